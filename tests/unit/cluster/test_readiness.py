"""Probes: what one look makes of each node, and that nothing unseen is called well."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lab.cluster.readiness import (
    ClusterSnapshot,
    Expectation,
    ProbeResult,
    Reading,
    evaluate,
    next_command,
    nodes_to_resume,
    not_up,
)
from lab.cluster.sms_look import SmsReport, look_at_sms, parse_look
from lab.facts.slurm import NodeInfo
from lab.model import ClusterSpec, NodeStatus, Power

NOW = 1_000_000
WELL = SmsReport(
    system="running",
    ready='{"result": "ok", "seconds": 2.1}',
    dhcp="active",
    controller="Slurmctld(primary) at sms is UP",
    clock=NOW,
    nodes={},
)


def info(name: str, state: str = "IDLE", flags: str = "", reason: str = "", when: int = NOW) -> NodeInfo:
    return NodeInfo(name, state, frozenset(flags.split()), reason, when, NOW, NOW, 2, 900, "")


def view(
    notified: SmsReport = WELL, powered: str = "", elapsed: float = 5.0, **stages: str
) -> ClusterSnapshot:
    """A view in which every node has booted a moment ago, but for those named."""
    found = {}
    for name in ("sms", "login", "c1", "c2", "g1", "g2"):
        stage = stages.get(name, "init")
        found[name] = NodeStatus(name, Power.OFF if stage == "off" else Power.ON, stage, "", 1)
    return ClusterSnapshot(found, notified, {"login": "running"}, frozenset(powered.split()), elapsed)


def one(spec: ClusterSpec, seen: ClusterSnapshot, node: str) -> Reading:
    (found,) = evaluate(spec, seen, [node])
    return found


@pytest.mark.parametrize(
    ("change", "probe", "answer", "outlook"),
    [
        ({}, "slurmctld answers", ProbeResult.YES, Expectation.OPEN),
        ({"trouble": "no shell"}, "system runs", ProbeResult.UNKNOWN, Expectation.OPEN),
        ({"system": "starting"}, "system runs", ProbeResult.NO, Expectation.OPEN),
        ({"system": ""}, "system runs", ProbeResult.UNKNOWN, Expectation.OPEN),
        ({"system": "degraded"}, "slurmctld answers", ProbeResult.YES, Expectation.OPEN),
        ({"ready": ""}, "set up", ProbeResult.NO, Expectation.OPEN),
        ({"ready": "{"}, "set up", ProbeResult.UNKNOWN, Expectation.OPEN),
        ({"ready": '{"result": "OSError: full"}'}, "set up", ProbeResult.NO, Expectation.HOPELESS),
        ({"dhcp": "failed"}, "DHCP server answers", ProbeResult.NO, Expectation.OPEN),
        (
            {"controller": "Slurmctld(primary) at sms is DOWN"},
            "slurmctld answers",
            ProbeResult.NO,
            Expectation.OPEN,
        ),
        ({"controller": ""}, "slurmctld answers", ProbeResult.UNKNOWN, Expectation.OPEN),
        (
            {"controller": "slurmctld.service is activating"},
            "slurmctld answers",
            ProbeResult.NO,
            Expectation.OPEN,
        ),
        (
            {"controller": "munge.service is inactive"},
            "slurmctld answers",
            ProbeResult.NO,
            Expectation.HOPELESS,
        ),
        (
            {"controller": "slurmctld.service is failed", "system": "degraded"},
            "slurmctld answers",
            ProbeResult.NO,
            Expectation.HOPELESS,
        ),
    ],
)
def test_sms(
    spec: ClusterSpec, change: dict[str, str], probe: str, answer: ProbeResult, outlook: Expectation
) -> None:
    found = one(spec, view(replace(WELL, **change)), "sms")  # type: ignore[arg-type]
    assert (found.probe, found.answer, found.outlook) == (probe, answer, outlook)


@pytest.mark.parametrize(
    ("node", "answer", "outlook", "evidence"),
    [
        (info("c1"), ProbeResult.YES, Expectation.OPEN, "idle"),
        (info("c1", "MIXED"), ProbeResult.YES, Expectation.OPEN, "mixed"),
        (info("c1", "IDLE", "", "Node unexpectedly rebooted"), ProbeResult.YES, Expectation.OPEN, "idle"),
        (
            info("c1", "IDLE", "NOT_RESPONDING"),
            ProbeResult.NO,
            Expectation.OPEN,
            "idle+NOT_RESPONDING".lower(),
        ),
        (info("c1", "DOWN", "", "Not responding"), ProbeResult.NO, Expectation.OPEN, "down: Not responding"),
        (info("c1", "DOWN", "", "fan"), ProbeResult.NO, Expectation.LEFT, "down: fan"),
        (info("c1", "IDLE", "DRAIN", "fan"), ProbeResult.NO, Expectation.LEFT, "idle+drain: fan"),
        (
            replace(info("c1"), slurmd_start=NOW - 60),
            ProbeResult.NO,
            Expectation.OPEN,
            "slurmd has not registered since the node booted",
        ),
        (
            replace(info("c1"), slurmd_start=None),
            ProbeResult.NO,
            Expectation.OPEN,
            "slurmd has not registered since the node booted",
        ),
    ],
)
def test_compute(
    spec: ClusterSpec, node: NodeInfo, answer: ProbeResult, outlook: Expectation, evidence: str
) -> None:
    found = one(spec, view(replace(WELL, nodes={"c1": node})), "c1")
    told = answer is ProbeResult.NO and not evidence.startswith("slurmd")
    assert (found.probe, found.answer, found.outlook, found.evidence) == (
        "in Slurm" if told else "idle in Slurm",
        answer,
        outlook,
        evidence,
    )


def test_compute_without_an_answer_from_slurm(spec: ClusterSpec) -> None:
    assert one(spec, view(replace(WELL, nodes=None)), "c1").answer is ProbeResult.UNKNOWN
    assert one(spec, view(SmsReport(trouble="gone")), "c1").evidence == "gone"
    assert one(spec, view(), "c1").evidence == "slurmctld has no node of that name"


@pytest.mark.parametrize(
    ("powered", "when", "reason", "revived"),
    [
        ("c1", NOW - 2, "Node unexpectedly rebooted", ("c1",)),
        ("", NOW - 2, "Node unexpectedly rebooted", ()),  # somebody typed reboot: the lesson stays
        ("c1", NOW - 60, "Node unexpectedly rebooted", ()),  # it was so before we came
        ("c1", NOW - 2, "broken fan", ()),
        ("c1", NOW - 60, "Reboot ASAP : reboot issued", ("c1",)),  # what an ordered reboot leaves behind
    ],
)
def test_only_our_own_button_is_taken_back(
    spec: ClusterSpec, powered: str, when: int, reason: str, revived: tuple[str, ...]
) -> None:
    seen = view(replace(WELL, nodes={"c1": info("c1", "DOWN", "", reason, when)}), powered)
    assert nodes_to_resume(seen) == revived
    assert one(spec, seen, "c1").settled is not bool(revived)


@pytest.mark.parametrize(("detail", "since"), [("no DHCP answer", 0.1), ("", 5.0)])
def test_a_node_waits_for_its_registration_once_it_was_not_answered(
    spec: ClusterSpec, detail: str, since: float
) -> None:
    seen = view()
    status = NodeStatus("login", Power.ON, "pxe", detail, since)
    waiting = replace(seen, statuses={**seen.statuses, "login": status})
    assert one(spec, waiting, "login").answer is ProbeResult.YES


@pytest.mark.parametrize(
    ("detail", "answer"),
    [
        ("no DHCP answer", ProbeResult.NO),
        ("", ProbeResult.NO),
        ("no boot script for 52:54: bootstrap assigned?", ProbeResult.YES),
    ],
)
def test_a_node_that_was_registered_meanwhile_is_waited_for(
    spec: ClusterSpec, detail: str, answer: ProbeResult
) -> None:
    seen = view(replace(WELL, known=frozenset({spec.node("login").mac})))
    status = NodeStatus("login", Power.ON, "pxe", detail, 9.0)
    asking = replace(seen, statuses={**seen.statuses, "login": status})
    assert one(spec, asking, "login").answer is answer


def test_reservations_are_known_by_their_cards() -> None:
    notified = parse_look(
        0, "@@system\nrunning\n@@known\n# Written by Warewulf\n52:54:00:AB:00:02\n@@clock\n7\n"
    )
    assert notified.known == {"52:54:00:ab:00:02"}


def test_a_profile_that_greets_hides_no_state(spec: ClusterSpec) -> None:
    greeted = replace(view(), systems={"login": "Welcome!\nrunning"})
    assert one(spec, greeted, "login").answer is ProbeResult.YES


def test_chassis_and_stages(spec: ClusterSpec) -> None:
    seen = view(c1="off", c2="vnfs", g1="", login="pxe")
    assert one(spec, seen, "c1").evidence == "its power is off"
    assert one(spec, seen, "c2").evidence == "stage vnfs"
    assert one(spec, seen, "g1").answer is ProbeResult.UNKNOWN
    assert one(spec, seen, "login").answer is ProbeResult.NO  # it has asked for a second only
    assert one(spec, view(login="vnfs"), "login").answer is ProbeResult.NO
    gone = ClusterSnapshot({}, WELL)
    assert one(spec, gone, "sms").evidence == "the engine has no such machine"


def test_a_login_node_that_was_registered_since_must_run(spec: ClusterSpec) -> None:
    assert one(spec, view(), "login").probe == "system runs"
    for text, answer in (
        ("running", ProbeResult.YES),
        ("starting", ProbeResult.NO),
        ("no shell", ProbeResult.UNKNOWN),
    ):
        seen = replace(view(), systems={"login": text})
        assert one(spec, seen, "login").answer is answer


@pytest.mark.parametrize("output", ["", "sh: not found", "@@other\nx"])
def test_a_look_that_was_no_look_says_so(output: str) -> None:
    assert parse_look(0, output).trouble


def test_a_look_before_the_set_up_has_ended() -> None:
    found = parse_look(1, "@@system\nFailed to connect\nstarting\n")
    assert (found.trouble, found.system, found.nodes) == ("", "starting", None)


def test_a_look_that_took_long_does_not_make_a_registered_node_look_unregistered(spec: ClusterSpec) -> None:
    """The SMS's clock was read ten seconds after the age of the node's stage."""
    node = replace(info("c1"), slurmd_start=NOW - 8)
    seen = view(replace(WELL, nodes={"c1": node}))
    assert one(spec, seen, "c1").answer is ProbeResult.NO
    assert one(spec, replace(seen, took=10.0), "c1").answer is ProbeResult.YES


def test_on_a_slow_host_slurmctld_gets_more_time_to_answer() -> None:
    assert "timeout 3 scontrol -o show nodes" in look_at_sms().command
    assert "timeout 24 scontrol -o show nodes" in look_at_sms(8.0).command


def test_every_probe_has_a_next_command(spec: ClusterSpec) -> None:
    for stage in ("init", "vnfs", "pxe", "off"):
        for name in ("sms", "login", "c1"):
            seen = view(SmsReport(trouble="gone"), "", 5.0, **{name: stage})
            reading = one(spec, seen, name)
            assert next_command(spec, reading).startswith("lab ")


def test_the_error_names_all_late_nodes(spec: ClusterSpec) -> None:
    readings = evaluate(spec, view(c1="vnfs", c2="files"), ["c1", "c2", "login"])
    problem = not_up(spec, readings, 180.2, lambda name: f"last of {name}")
    assert problem.message == "2 nodes were not up after 180 s"
    assert problem.evidence.splitlines() == [
        "c1: booted: not yet; stage vnfs",
        "c1: last line on its console: last of c1",
        "c2: booted: not yet; stage files",
        "c2: last line on its console: last of c2",
    ]
    slow = "this host answers 8 times slower than usual; waited 1440 s"
    problem = not_up(spec, readings, 1440.0, lambda _name: "", slow)
    assert problem.evidence.splitlines()[-1] == slow
