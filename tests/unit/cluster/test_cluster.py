"""A lab's life on the fake backend: shells are real, nodes are folders."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from lab.backends.actions import Verb
from lab.backends.fake import FakeBackend
from lab.cluster.cluster import Cluster
from lab.cluster.readiness import Expectation, ProbeResult, Reading, evaluate, nodes_to_resume
from lab.config.loader import load
from lab.errors import Exit, LabError, UsageError
from lab.facts import slurm
from lab.model import CRASHED, ClusterSpec, Power


class Room:
    """A cluster whose steps and looks are written down."""

    def __init__(self, spec: ClusterSpec, backend: FakeBackend, timeout: float = 10.0) -> None:
        self.said: list[str] = []
        self.seen: list[Sequence[Reading]] = []
        self.cluster = Cluster(
            spec,
            backend,
            say=self.said.append,
            watch=lambda readings, _seconds: self.seen.append(readings),
            timeout=timeout,
        )


@pytest.fixture
def room(spec: ClusterSpec, backend: FakeBackend) -> Iterator[Room]:
    found = Room(spec, backend)
    yield found
    found.cluster.close()


@pytest.fixture
def up(room: Room) -> Room:
    room.cluster.up()
    room.said.clear()
    room.seen.clear()
    return room


def reading(readings: Sequence[Reading], node: str) -> Reading:
    return next(found for found in readings if found.node == node)


def test_up_from_nothing_ends_with_every_node_well(room: Room, backend: FakeBackend) -> None:
    readings = room.cluster.up()
    assert {r.node: r.answer for r in readings} == dict.fromkeys(
        ["sms", "login", "c1", "c2", "g1", "g2", "outside", "client"], ProbeResult.YES
    )
    assert reading(readings, "login").probe == "waits in its PXE loop"
    assert reading(readings, "g2").probe == "idle in Slurm"
    assert room.said[0] == "create sms, login, c1, c2, g1, g2, outside, client"
    assert backend.calls == [f"apply {room.said[0]}"]
    assert backend.settled == ["lab"]


def test_only_a_lab_made_just_now_is_told_to_be_in_its_first_state(up: Room, backend: FakeBackend) -> None:
    backend.settled.clear()
    up.cluster.up()
    up.cluster.power_off(["c1"], hard=True)
    up.cluster.up()
    names = [node.name for node in up.cluster.spec.nodes]
    up.cluster.power_off(names, hard=True)
    up.cluster.up()
    assert backend.settled == [], "all of it boots, but somebody worked there before"
    up.cluster.down()
    up.cluster.up(["c1"])
    assert backend.settled == [], "the others were not waited for"
    up.cluster.recreate()
    assert backend.settled == ["lab"]


def test_machines_that_stand_still_are_let_go_on(up: Room, backend: FakeBackend) -> None:
    backend.stuck["c1"] = ("paused", "its processor stands still")
    up.cluster.cycle("c1", wait=False)
    first = up.cluster.plan()[0]
    assert (first.verb, first.nodes) == (Verb.UNPAUSE, ("c1",))
    backend.calls.clear()
    with pytest.raises(LabError, match="c1"):
        up.cluster.up(["c1"])
    assert backend.calls == ["apply unpause c1: paused"]


def test_a_node_whose_chassis_fails_gets_power_again_once(
    up: Room, backend: FakeBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab, really_start = backend.found["lab"], backend.start
    starts: list[list[str]] = []

    def start(name: str, nodes: Sequence[str]) -> None:
        starts.append(list(nodes))
        really_start(name, nodes)
        if len(starts) in fails:
            lab.power["c1"], lab.stage["c1"] = Power.OFF, CRASHED

    monkeypatch.setattr(backend, "start", start)
    fails = {1}
    up.cluster.cycle("c1")
    assert starts == [["c1"], ["c1"]]
    assert [line for line in up.said if line.startswith("c1 lost its power")]
    fails = {3, 4, 5}
    up.cluster.timeout = 1.0
    with pytest.raises(LabError, match="c1"):
        up.cluster.cycle("c1")
    assert len(starts) == 4


STANDS = "10 multi-user.target start waiting\n11 basic.target start waiting\n"


@pytest.mark.parametrize(
    ("says", "cut"),
    [
        (STANDS, True),
        (STANDS + "12 slurmd.service start running\n", False),  # it may still come up by itself
        ("", False),  # the boot has ended: nothing that a power cycle would change
        ("Failed to list jobs: Connection timed out\n", False),
    ],
)
def test_a_node_whose_boot_stands_still_is_powered_off_and_on_once(
    up: Room, backend: FakeBackend, monkeypatch: pytest.MonkeyPatch, says: str, cut: bool
) -> None:
    monkeypatch.setattr("lab.cluster.repower.YOUNG", 0.0)
    monkeypatch.setattr("lab.cluster.repower.AGAIN", 0.1)
    backend.answer("lab", "g1", "jobs", says)
    backend.silent.add("g1")
    really_start, starts = backend.start, []

    def start(name: str, nodes: Sequence[str]) -> None:
        starts.append(list(nodes))
        if len(starts) == 2:
            backend.silent.clear()
        really_start(name, nodes)

    monkeypatch.setattr(backend, "start", start)
    up.cluster.timeout = 5.0 if cut else 1.0
    if cut:
        assert reading(up.cluster.cycle("g1"), "g1").answer is ProbeResult.YES
        assert "g1 stands still in its boot (2 jobs wait, none runs): power off and on" in up.said
        backend.silent.add("g1")
        up.cluster.timeout = 1.0
        starts.append([])
    with pytest.raises(LabError, match="g1 was not up"):
        up.cluster.cycle("g1")
    assert len(starts) == (5 if cut else 1), "at most once in each wait"


def test_states_are_dropped_where_they_are_kept(up: Room, backend: FakeBackend) -> None:
    up.cluster.snapshot("after-one")
    backend.saved_states["after-two"] = {}
    up.cluster.delete_states(["after-one", "after-two", "after-none"])
    assert "after-one" not in up.cluster.snapshots()
    assert backend.saved_states == {}


def test_up_again_touches_nothing(up: Room, backend: FakeBackend) -> None:
    backend.calls.clear()
    assert [action.verb for action in up.cluster.plan()] == [Verb.WAIT]
    up.cluster.up()
    assert backend.calls == []
    assert up.said == []


def test_up_powers_on_what_is_off_and_leaves_the_rest(up: Room, backend: FakeBackend) -> None:
    backend.stop("lab", ["c1"], hard=True)
    actions = up.cluster.plan()
    assert [(a.verb, a.nodes) for a in actions if a.verb is not Verb.WAIT] == [(Verb.POWER_ON, ("c1",))]
    up.cluster.up()
    assert backend.found["lab"].power["c1"] is Power.ON


def test_up_with_names_takes_those_and_the_sms(up: Room, backend: FakeBackend) -> None:
    backend.stop("lab", ["c1", "c2"], hard=True)
    readings = up.cluster.up(["c2"])
    assert [r.node for r in readings] == ["sms", "c2"]
    assert backend.found["lab"].power["c1"] is Power.OFF


def test_up_without_wait_returns_at_once(room: Room, backend: FakeBackend) -> None:
    backend.stuck["c1"] = ("vnfs", "")
    assert room.cluster.up(wait=False) == ()
    assert room.seen == []


def test_at_the_deadline_node_probe_evidence_and_next_command_are_named(
    spec: ClusterSpec, backend: FakeBackend
) -> None:
    backend.stuck["c2"] = ("vnfs", "no VNFS assigned to c2")
    room = Room(spec, backend, timeout=0.6)
    with pytest.raises(LabError) as caught:
        room.cluster.up()
    backend.found["lab"].console["c2"] = b"booting\r\nno VNFS assigned to c2\r\n\r\n"
    with pytest.raises(LabError) as caught:
        room.cluster.up()
    assert caught.value.message == "node c2 was not up after 1 s"
    assert caught.value.evidence.splitlines() == [
        "booted: not yet; stage vnfs: no VNFS assigned to c2",
        "last line on its console: no VNFS assigned to c2",
    ]
    assert caught.value.hint == "lab console c2"
    assert caught.value.code is Exit.BROKEN


def test_an_unregistered_compute_node_names_the_provisioning(spec: ClusterSpec, backend: FakeBackend) -> None:
    backend.stuck["c2"] = ("pxe", "no DHCP answer")
    backend.stuck["g1"] = ("pxe", "no DHCP answer")
    with pytest.raises(LabError) as caught:
        Room(spec, backend, timeout=0.6).cluster.up()
    assert caught.value.message == "2 nodes were not up after 1 s"
    assert "g1: booted: not yet; stage pxe: no DHCP answer" in caught.value.evidence
    assert caught.value.hint == "lab shell sms, then: wwsh provision print c2"


def test_a_failed_set_up_of_the_sms_ends_the_wait_at_once(spec: ClusterSpec, backend: FakeBackend) -> None:
    room = Room(spec, backend, timeout=60.0)
    room.cluster.up(wait=False)
    backend.answer("lab", "sms", "run/rackling/ready", '{"result": "OSError: no space"}')
    with pytest.raises(LabError) as caught:
        room.cluster.up()
    assert caught.value.message == "node sms failed"
    assert "set up: not yet; OSError: no space" in caught.value.evidence
    assert caught.value.hint == "lab logs sms"


def test_what_could_not_be_looked_at_is_never_well(spec: ClusterSpec, backend: FakeBackend) -> None:
    room = Room(spec, backend, timeout=0.6)
    room.cluster.up(wait=False)
    backend.answer("lab", "sms", "ping", "")
    with pytest.raises(LabError) as caught:
        room.cluster.up()
    assert "slurmctld answers: unknown; no output" in caught.value.evidence


def test_a_node_someone_took_down_is_told_and_not_waited_for(up: Room, backend: FakeBackend) -> None:
    backend.tell_slurm("lab", "c1", "DOWN", "Node unexpectedly rebooted")
    readings = up.cluster.up()
    found = reading(readings, "c1")
    assert (found.answer, found.outlook) == (ProbeResult.NO, Expectation.LEFT)
    assert found.evidence == "down: Node unexpectedly rebooted"


def test_a_node_that_went_down_by_our_own_button_goes_back_into_service(
    up: Room, backend: FakeBackend
) -> None:
    backend.slurm["c1"] = ("DOWN", "Node unexpectedly rebooted")
    readings = up.cluster.cycle("c1")
    assert reading(readings, "c1").answer is ProbeResult.YES
    assert (backend.sms_folder("lab") / "updates").read_text() == "update nodename=c1 state=resume\n"
    assert "resuming c1 in Slurm: the lab rebooted it" in up.said


@pytest.mark.parametrize(
    ("state", "reason", "age"),
    [("IDLE+DRAIN", "broken fan", 0.0), ("DOWN", "Node unexpectedly rebooted", 500.0)],
)
def test_what_a_person_left_so_survives_a_power_cycle(
    up: Room, backend: FakeBackend, state: str, reason: str, age: float
) -> None:
    backend.tell_slurm("lab", "c1", state, reason)
    backend.slurm["c1"] = (state, reason)
    backend.reason_age["c1"] = age
    readings = up.cluster.cycle("c1")
    assert reading(readings, "c1").outlook is Expectation.LEFT
    assert reading(readings, "c1").evidence == f"{state.lower()}: {reason}"
    assert not (backend.sms_folder("lab") / "updates").exists()


@pytest.mark.parametrize(
    ("state", "reason", "why"),
    [
        ("IDLE+DRAIN", "Epilog error", "it was reset, and had been drained (Epilog error)"),
        ("IDLE+DRAIN", "broken fan", "it was reset, and had been drained (broken fan)"),
        ("DOWN", "Not responding", "the lab rebooted it"),
        ("DOWN+DRAIN", "NHC: /tmp is full", "it was reset, and had been drained (NHC: /tmp is full)"),
    ],
)
def test_a_reset_returns_a_node_into_service_whoever_took_it_out(
    up: Room, backend: FakeBackend, state: str, reason: str, why: str
) -> None:
    for name in ("c1", "c2"):
        backend.tell_slurm("lab", name, state, reason)
        backend.slurm[name] = (state, reason)
        backend.reason_age[name] = 500.0
    readings = up.cluster.reset("c1")
    assert [found.answer for found in readings] == [ProbeResult.YES]
    assert (backend.sms_folder("lab") / "updates").read_text() == "update nodename=c1 state=resume\n"
    assert f"resuming c1 in Slurm: {why}" in up.said


def test_a_reset_makes_a_new_machine_of_one_node_but_of_the_sms(up: Room, backend: FakeBackend) -> None:
    def identities() -> dict[str, int]:
        return {name: made[0] for name, made in backend.found["lab"].made.items()}

    before = identities()
    up.cluster.reset("outside")
    up.cluster.reset("c1")
    up.cluster.reset("sms")
    assert {name for name, found in identities().items() if found != before[name]} == {"c1", "outside"}


def test_a_reset_waits_until_the_node_has_registered(up: Room, backend: FakeBackend) -> None:
    backend.tell_slurm("lab", "c1", "IDLE+DRAIN", "broken fan", age=100.0)
    view = up.cluster.look(["c1"])
    assert nodes_to_resume(replace(view, reset=frozenset({"c1"}))) == ()
    backend.tell_slurm("lab", "c1", "IDLE+DRAIN", "broken fan")
    view = replace(up.cluster.look(["c1"]), reset=frozenset({"c1"}))
    assert nodes_to_resume(view) == ("c1",)
    # What takes it out again afterwards is told, not fought.
    told = replace(view, restored_nodes=frozenset({"c1"}))
    assert nodes_to_resume(told) == ()
    assert reading(evaluate(up.cluster.spec, told, ["c1"]), "c1").outlook is Expectation.LEFT


@pytest.mark.parametrize("reason", ["Node unexpectedly rebooted", "kernel update : reboot issued"])
def test_a_node_that_served_goes_back_whatever_its_old_reason_says(
    up: Room, backend: FakeBackend, reason: str
) -> None:
    backend.tell_slurm("lab", "c1", "IDLE", reason)
    backend.slurm["c1"] = ("DOWN", reason)
    backend.reason_age["c1"] = 500.0
    assert reading(up.cluster.cycle("c1"), "c1").answer is ProbeResult.YES
    backend.stop("lab", ["c1"], hard=True)
    assert reading(up.cluster.power_on(["c1"]), "c1").answer is ProbeResult.YES


def test_idle_in_slurm_before_the_boot_does_not_count(spec: ClusterSpec, backend: FakeBackend) -> None:
    room = Room(spec, backend, timeout=0.6)
    room.cluster.up(wait=False)
    backend.tell_slurm("lab", "c1", "IDLE", age=100)
    with pytest.raises(LabError) as caught:
        room.cluster.up()
    assert "slurmd has not registered since the node booted" in caught.value.evidence


def test_power_off_that_is_not_heeded_names_the_hard_way(up: Room, backend: FakeBackend) -> None:
    backend.stubborn.add("c2")
    up.cluster.timeout = 0.3
    with pytest.raises(LabError) as caught:
        up.cluster.power_off(["c1", "c2"])
    assert caught.value.hint == "lab power off --hard c2"
    up.cluster.power_off(["c2"], hard=True)
    assert backend.found["lab"].power["c2"] is Power.OFF


def test_restore_gives_back_the_power_and_waits_for_those_that_have_it(
    up: Room, backend: FakeBackend
) -> None:
    up.cluster.power_off(["g1"])
    up.cluster.snapshot("kept")
    up.cluster.power_on(["g1"])
    backend.stop("lab", ["c1"], hard=True)
    readings = up.cluster.restore("kept")
    assert {r.node for r in readings} == {"sms", "login", "c1", "c2", "g2", "outside", "client"}
    assert backend.found["lab"].power["g1"] is Power.OFF
    assert up.cluster.snapshots() == ("kept",)


NOTE = "etc/rackling/service.json"
REBOOTED = "Node unexpectedly rebooted"


@pytest.mark.parametrize(
    ("kept", "afterwards", "told"),
    [
        (("DOWN", REBOOTED), ("IDLE", ""), [f"state=down reason={REBOOTED}"]),
        (("DOWN", REBOOTED), ("DOWN", REBOOTED), []),
        (("IDLE", ""), ("DOWN", REBOOTED), ["state=resume"]),
        (("IDLE", ""), ("IDLE+DRAIN", "broken fan"), ["state=resume"]),
        (("IDLE+DRAIN", "broken fan"), ("IDLE+DRAIN", "broken fan"), []),
        (
            ("IDLE+DRAIN", "broken fan"),
            ("DOWN", REBOOTED),
            ["state=resume", "state=drain reason=broken fan"],
        ),
        (("IDLE", ""), ("IDLE", ""), []),
    ],
)
@pytest.mark.parametrize("age", [0.0, 500.0])
def test_a_restored_node_stands_as_it_stood(
    up: Room,
    backend: FakeBackend,
    kept: tuple[str, str],
    afterwards: tuple[str, str],
    told: list[str],
    age: float,
) -> None:
    backend.tell_slurm("lab", "c1", *kept)
    up.cluster.snapshot("kept")
    assert not (backend.sms_folder("lab") / NOTE).exists()
    backend.slurm["c1"] = afterwards  # what the controller's late memory makes of the reboot …
    backend.reason_age["c1"] = age  # … now, or long ago
    readings = up.cluster.restore("kept")
    found = up.cluster.sms.fact(slurm.nodes)["c1"]
    assert (found.label, found.reason) == kept
    expected = (
        (ProbeResult.YES, Expectation.OPEN) if kept[0] == "IDLE" else (ProbeResult.NO, Expectation.LEFT)
    )
    assert (reading(readings, "c1").answer, reading(readings, "c1").outlook) == expected
    updates = backend.sms_folder("lab") / "updates"
    lines = updates.read_text().splitlines() if updates.exists() else []
    assert lines == [f"update nodename=c1 {order}" for order in told]
    assert not (backend.sms_folder("lab") / NOTE).exists()


def test_a_snapshot_without_a_note_is_restored_as_before(up: Room, backend: FakeBackend) -> None:
    up.cluster.power_off(["sms"], hard=True)  # nobody can be asked
    up.cluster.snapshot("kept")
    up.cluster.power_on(["sms"], wait=False)
    backend.slurm["c1"] = ("DOWN", REBOOTED)
    backend.found["lab"].snapshots["kept"]["sms"] = Power.ON
    assert reading(up.cluster.restore("kept"), "c1").answer is ProbeResult.YES
    assert "resuming c1 in Slurm: the lab rebooted it" in up.said


def test_the_note_of_another_snapshot_says_nothing(up: Room, backend: FakeBackend) -> None:
    up.cluster.snapshot("kept")
    place = backend.sms_folder("lab") / NOTE
    place.write_text('{"snapshot": "other", "nodes": {"c1": {"out": "down", "reason": "x"}}}')
    up.cluster.backend.snapshot("lab", "kept", up.said.append)
    assert reading(up.cluster.restore("kept"), "c1").answer is ProbeResult.YES


def test_a_node_that_will_not_stay_in_service_is_told_and_not_waited_for(
    up: Room, backend: FakeBackend
) -> None:
    up.cluster.snapshot("kept")
    backend.slurm["c1"] = ("IDLE+DRAIN", "NHC: no /home")
    program = backend.sms_folder("lab") / "bin" / "scontrol"
    program.write_text(
        '#!/bin/sh\ncase "$*" in *update*) ;; *ping*) cat "$NODE/ping";; *) cat "$NODE/nodes";; esac\n'
    )
    found = reading(up.cluster.restore("kept"), "c1")
    assert (found.outlook, found.evidence) == (Expectation.LEFT, "idle+drain: NHC: no /home")


def test_a_stopped_controller_is_told_at_once_and_is_not_a_slow_host(
    up: Room, backend: FakeBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend.answer("lab", "sms", "ping", "Slurmctld(primary) at sms is DOWN\n**** RESTORE IT ****\n")
    measured: list[float] = []
    monkeypatch.setattr(backend.host_speed, "note", lambda seconds, _usual: measured.append(seconds))
    late = reading(evaluate(up.cluster.spec, up.cluster.look(), ["sms"]), "sms")
    assert (late.outlook, late.evidence) == (Expectation.OPEN, "Slurmctld(primary) at sms is DOWN")
    backend.answer("lab", "sms", "slurmctld.service", "inactive\n")
    with pytest.raises(LabError) as error:
        up.cluster.wait(["sms", "c1"])
    assert "slurmctld.service is inactive" in error.value.evidence
    assert error.value.hint == "lab shell sms, then: systemctl status munge slurmctld"
    assert len(up.seen) == 1
    assert not measured


def test_recreate_makes_everything_anew(up: Room, backend: FakeBackend) -> None:
    backend.calls.clear()
    up.cluster.recreate()
    nodes = ", ".join(node.name for node in up.cluster.spec.nodes)
    assert backend.calls == ["delete lab", f"apply create {nodes}"]


def test_a_registered_login_node_must_run_its_system(spec: ClusterSpec, backend: FakeBackend) -> None:
    nodes = tuple(replace(n, registered=True) if n.name == "login" else n for n in spec.nodes)
    room = Room(replace(spec, nodes=nodes), backend, timeout=0.6)
    room.cluster.up()
    assert reading(room.seen[-1], "login").probe == "system runs"
    backend.answer("lab", "login", "system", "starting\n")
    with pytest.raises(LabError, match="node login was not up"):
        room.cluster.up()


def test_facts_and_commands_of_a_node(up: Room, backend: FakeBackend) -> None:
    backend.tell_slurm("lab", "g1", "MIXED")
    found = up.cluster.sms.fact(slurm.nodes)
    assert found["g1"].takes_jobs
    assert up.cluster.node("c1").run("echo $WHO", user="user1").output == "user1\n"
    with pytest.raises(UsageError, match="no node c9"):
        up.cluster.node("c9")


def test_transcripts_are_written_for_the_owner_only(
    spec: ClusterSpec, backend: FakeBackend, tmp_path: Path
) -> None:
    with Cluster(spec, backend, transcripts=tmp_path / "kept", timeout=10) as cluster:
        cluster.up()
        with cluster.node("c1").open_console() as console:
            console.run("echo seen")
    assert [place.name for place in (tmp_path / "kept").iterdir()] == ["c1-root.log"]
    log = tmp_path / "kept" / "c1-root.log"
    assert "$ echo seen" in log.read_text()
    assert log.stat().st_mode & 0o077 == 0


def test_growing_and_shrinking_are_planned(up: Room, backend: FakeBackend) -> None:
    bigger = Room(load(None, ["c.count=3", "g.count=0", "login.memory=2000"], {}, None), backend)
    actions = [a for a in bigger.cluster.plan() if a.verb is not Verb.WAIT]
    assert [(a.verb, a.nodes) for a in actions] == [
        (Verb.REMOVE, ("g1", "g2")),
        (Verb.REMAKE, ("login",)),
        (Verb.CREATE, ("c3",)),
        (Verb.CHANGE, ("sms",)),
        (Verb.CHANGE, ("client",)),
    ]
    assert up.cluster.spec.lab == "lab"


def test_networks_of_a_lab_that_exists_cannot_change(up: Room, backend: FakeBackend) -> None:
    other = Room(load(None, ["network.internal.subnet=10.1.0.0/16"], {}, None), backend)
    with pytest.raises(UsageError) as caught:
        other.cluster.plan()
    assert "internal: 172.16.0.0/16 would become 10.1.0.0/16" in caught.value.evidence
    assert up.cluster.plan()


def test_whom_root_of_a_lab_that_exists_is_cannot_change(up: Room, backend: FakeBackend) -> None:
    other = Room(load(None, ["trust=nobody"], {}, None), backend)
    with pytest.raises(UsageError, match="cannot change while it exists") as caught:
        other.cluster.plan()
    assert caught.value.evidence == "learner would become nobody"


def test_software_of_a_lab_that_exists_cannot_change(up: Room, backend: FakeBackend) -> None:
    other = Room(load(None, ["jupyter=true"], {}, None), backend)
    with pytest.raises(UsageError, match="gets no Jupyter while it exists") as caught:
        other.cluster.plan()
    assert caught.value.evidence == "jupyter = false would become true"
    assert "lab down" in caught.value.hint


# states


def test_an_interrupted_restore_is_completed_by_up(up: Room, backend: FakeBackend) -> None:
    up.cluster.snapshot("before")
    backend.restore(
        "lab", "before", lambda _line: None, ephemeral_identity=True
    )  # and then the command was killed
    up.said.clear()
    up.cluster.up()
    assert up.said[0] == "complete the interrupted restore: before"
    assert backend.found["lab"].pending == ""
    up.said.clear()
    up.cluster.up()
    assert "complete the interrupted restore: before" not in up.said


def test_where_an_interrupted_restore_led_may_be_gone(up: Room, backend: FakeBackend) -> None:
    backend.found["lab"].pending = "gone"
    with pytest.raises(LabError, match="on its way to gone, which no longer exists") as caught:
        up.cluster.up()
    assert "lab restore handout" in caught.value.hint


def test_states_of_all_labs_are_there_besides_the_labs_own(up: Room) -> None:
    up.cluster.snapshot("mine")
    up.cluster.restore("mine", ephemeral_identity=True)
    up.cluster.save_state("after-one")
    assert up.cluster.states() == ("mine", "after-one")
    assert up.cluster.snapshots() == ("mine",)
    up.cluster.delete_states(["after-one"])
    assert up.cluster.states() == ("mine",)


# what a command began, and another completes


class Killed(BaseException):
    """As SIGKILL: no handler of ours sees it."""


def killed(up: Room, monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> None:
    """Runs a command that is killed while it waits for the nodes; a new process goes on."""
    with monkeypatch.context() as patch:
        patch.setattr(up.cluster, "look", lambda *_: (_ for _ in ()).throw(Killed()))
        with pytest.raises(Killed):
            act()
    up.cluster.close()


def other(up: Room, backend: FakeBackend) -> Room:
    return Room(up.cluster.spec, backend)


def host_loses_power(backend: FakeBackend) -> None:
    for name in backend.found["lab"].power:
        backend.found["lab"].power[name], backend.found["lab"].stage[name] = Power.OFF, "off"
    for name in ("c1", "c2", "g1", "g2"):
        backend.slurm[name] = ("DOWN", REBOOTED)


def test_an_up_after_a_host_lost_its_power_may_be_cut_short(
    up: Room, backend: FakeBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend.tell_slurm("lab", "c2", "IDLE+DRAIN", "broken fan")
    host_loses_power(backend)
    backend.slurm["c2"] = ("IDLE+DRAIN", "broken fan")
    backend.reason_age["c2"] = 500.0
    killed(up, monkeypatch, up.cluster.up)
    second = other(up, backend)
    readings = second.cluster.up()
    assert {r.node for r in readings if r.answer is not ProbeResult.YES} == {"c2"}
    assert reading(readings, "c2").outlook is Expectation.LEFT
    assert "resuming c1, g1, g2 in Slurm: the lab rebooted them" in second.said
    assert backend.found["lab"].boot is None, "what is completed is not completed again"


def test_what_goes_down_after_a_completed_up_is_left_so(up: Room, backend: FakeBackend) -> None:
    up.cluster.cycle("c1")
    backend.tell_slurm("lab", "c1", "DOWN", REBOOTED)
    assert reading(other(up, backend).cluster.up(), "c1").outlook is Expectation.LEFT


def test_a_power_cycle_that_was_cut_short_is_completed(
    up: Room, backend: FakeBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend.tell_slurm("lab", "c1", "IDLE", "kernel update")
    backend.slurm["c1"] = ("DOWN", "kernel update")
    backend.reason_age["c1"] = 500.0  # only that it took jobs before tells whose doing this is
    killed(up, monkeypatch, lambda: up.cluster.cycle("c1"))
    assert reading(other(up, backend).cluster.up(), "c1").answer is ProbeResult.YES


@pytest.mark.parametrize("way", ["kill", "deadline"])
def test_a_restore_that_was_cut_short_while_it_waited_is_completed(
    up: Room, backend: FakeBackend, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    backend.tell_slurm("lab", "c1", "DOWN", REBOOTED)
    up.cluster.snapshot("kept")
    backend.slurm = dict.fromkeys(("c2", "g1", "g2"), ("DOWN", REBOOTED))
    if way == "deadline":
        backend.stuck = dict.fromkeys(("c1", "c2", "g1", "g2"), ("vnfs", "unpacking"))
        up.cluster.timeout = 0.5
        with pytest.raises(LabError, match="4 nodes were not up"):
            up.cluster.restore("kept")
        backend.stuck = {}
        backend.stop("lab", ["c1", "c2", "g1", "g2"], hard=True)
    else:
        killed(up, monkeypatch, lambda: up.cluster.restore("kept"))
    readings = other(up, backend).cluster.up()
    assert {r.node: r.outlook for r in readings if r.answer is not ProbeResult.YES} == {
        "c1": Expectation.LEFT
    }
    assert not (backend.sms_folder("lab") / NOTE).exists()
    assert backend.found["lab"].boot is None


def test_nodes_that_nobody_waited_for_are_completed_by_the_next_up(up: Room, backend: FakeBackend) -> None:
    host_loses_power(backend)
    up.cluster.up(wait=False)
    assert reading(other(up, backend).cluster.up(["c1"]), "c1").answer is ProbeResult.YES
    left = backend.found["lab"].boot
    assert left is not None
    assert set(left.nodes) == {"login", "c2", "g1", "g2", "outside", "client"}
    assert all(r.answer is ProbeResult.YES for r in other(up, backend).cluster.up())
