"""What every backend must do, whatever it is made of: each backend's tests inherit these."""

from __future__ import annotations

import io
import os
import stat
import subprocess
import tarfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pexpect
import pytest

from lab.backends.actions import Action, Verb, nodes_of
from lab.backends.base import Backend, Say
from lab.backends.hang_up import new_mark
from lab.cluster.cluster import Cluster
from lab.cluster.plan import work
from lab.config.loader import load
from lab.errors import Exit, LabError, UsageError
from lab.model import ClusterSpec, LabRecord, NodeStatus, Power

BYTES = bytes(range(256)) * 257


def silent(_line: str) -> None:
    """Progress that nobody reads."""


def until(what: Callable[[], bool], seconds: float, told: Callable[[], object]) -> None:
    """Looks until it is so; fails with what is there instead."""
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, f"not within {seconds:.0f} s: {told()}"
        time.sleep(0.1)


@dataclass(frozen=True)
class Bed:
    """A backend, the lab that the tests may do anything with, and how long its nodes take to boot."""

    backend: Backend
    spec: ClusterSpec
    seconds: float = 60.0
    identify: Callable[[str], str] = str
    """What tells a node from one that was made in its place."""

    @property
    def name(self) -> str:
        return self.spec.lab

    @property
    def cluster(self) -> Cluster:
        return Cluster(self.spec, self.backend)

    def up(self, *names: str, say: Say = silent) -> tuple[Action, ...]:
        """What `lab up` does, without waiting; returns the plan that was shown and executed."""
        shown: list[tuple[Action, ...]] = []
        with Cluster(self.spec, self.backend, say=say) as cluster:
            cluster.up(names, wait=False, confirm=lambda actions: shown.append(tuple(actions)))
        return shown[0]

    def identities(self) -> dict[str, str]:
        record = self.record()
        return {node: self.identify(node) for node in (record.nodes if record else ())}

    def status(self) -> dict[str, NodeStatus]:
        return {status.name: status for status in self.backend.status(self.name)}

    def record(self) -> LabRecord | None:
        return next((found for found in self.backend.labs() if found.lab == self.name), None)

    def booted(self, node: str) -> bool:
        return self.status()[node].stage == "init" and self.run(node, "true").returncode == 0

    def wait_for(self, *nodes: str) -> None:
        for node in nodes:
            until(lambda node=node: self.booted(node), self.seconds, self.status)  # type: ignore[misc]

    def pending(self) -> str:
        record = self.record()
        assert record is not None
        return record.pending

    def wait_off(self, node: str) -> None:
        until(lambda: self.status()[node].power is Power.OFF, self.seconds, self.status)

    def run(
        self, node: str, command: str, *, user: str = "root", stdin: bytes = b""
    ) -> subprocess.CompletedProcess[bytes]:
        argv = self.backend.shell(self.name, node, ["sh", "-c", command], user=user, tty=False)
        return subprocess.run(argv, input=stdin, capture_output=True, timeout=60, check=False)

    def must(self, node: str, command: str, *, user: str = "root") -> str:
        done = self.run(node, command, user=user)
        assert done.returncode == 0, (node, command, done)
        return done.stdout.decode().strip()


def packed(name: str, data: bytes, mode: int) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        entry = tarfile.TarInfo(name)
        entry.size, entry.mode = len(data), mode
        archive.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()


class Contract:
    """The tests; `up` is a bed whose nodes have all booted, at the start of each."""

    def test_up_again_changes_nothing(self, up: Bed, folder: str) -> None:
        up.must("c1", f"touch {folder}/mark")  # gone with the next boot
        record = up.record()
        said: list[str] = []
        assert not work(up.up(say=said.append))
        up.must("c1", f"test -e {folder}/mark")
        assert up.record() == record
        assert said == []

    def test_status_names_every_node_with_power_stage_and_age(self, up: Bed) -> None:
        found = up.status()
        assert list(found) == [node.name for node in up.spec.nodes]
        for status in found.values():
            assert (status.power, status.stage) == (Power.ON, "init")
            assert status.since is not None
            assert status.since >= 0

    def test_labs_shows_the_lab_with_its_specification(self, up: Bed) -> None:
        record = up.record()
        assert record is not None
        assert record.spec == up.spec
        assert set(record.nodes) == {node.name for node in up.spec.nodes}
        assert record.running == len(up.spec.nodes)

    def test_one_command_at_a_time_changes_a_lab_and_others_may_change_others(self, up: Bed) -> None:
        locks = up.backend.locks
        with locks.hold(up.name, "lab up", silent), locks.hold(f"{up.name}x", "lab up", silent):
            with pytest.raises(LabError) as caught, locks.hold(up.name, "lab down", silent):
                pass
            assert caught.value.code is Exit.LOCKED
            assert f"lab up (process {os.getpid()} of " in caught.value.evidence
            assert up.record() is not None  # who only looks need not wait
        with locks.hold(up.name, "lab down", silent):
            pass

    def test_shell_gives_exit_status_and_both_outputs(self, up: Bed) -> None:
        done = up.run("c1", "echo out; echo err >&2; exit 7")
        assert (done.returncode, done.stdout, done.stderr) == (7, b"out\n", b"err\n")

    def test_shell_takes_stdin_to_its_end(self, up: Bed) -> None:
        assert up.run("sms", "cat", stdin=BYTES).stdout == BYTES

    def test_shell_hands_over_bytes_that_are_not_utf8(self, up: Bed) -> None:
        argv = up.backend.shell(up.name, "c1", ["printf", "%s", "lat\udce9in\n"], user="root", tty=False)
        assert subprocess.run(argv, capture_output=True, timeout=60, check=True).stdout == b"lat\xe9in\n"

    def test_a_script_on_standard_input_is_run_and_gives_its_status(self, up: Bed) -> None:
        argv = up.backend.shell(up.name, "c1", None, user="root", tty=False)
        done = subprocess.run(argv, input=b"echo ran; exit 4\n", capture_output=True, timeout=60, check=False)
        assert (done.returncode, done.stdout) == (4, b"ran\n")

    def test_a_command_whose_client_is_killed_is_ended_by_its_mark(self, up: Bed) -> None:
        mark = new_mark()
        script = ["sh", "-c", "echo $$; exec sleep 1000"]
        argv = up.backend.shell(up.name, "c1", script, user="root", tty=False, mark=mark)
        with subprocess.Popen(argv, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL) as client:
            assert client.stdout
            pid = client.stdout.readline().decode().strip()
            client.kill()
        up.must("c1", f"test -d /proc/{pid}")
        subprocess.run([*up.backend.hang_up(up.name, "c1", mark), "2"], timeout=60, check=False)
        assert up.run("c1", f"test -d /proc/{pid}").returncode == 1

    @pytest.mark.parametrize("words", [["printf", "%s|", "a b", "$HOME", "'", '"', "", "*", "\\"]])
    def test_shell_hands_over_words_as_they_are(self, up: Bed, words: Sequence[str]) -> None:
        argv = up.backend.shell(up.name, "c1", words, user="root", tty=False)
        done = subprocess.run(argv, capture_output=True, timeout=60, check=True, stdin=subprocess.DEVNULL)
        assert done.stdout.decode() == "|".join([*words[2:], ""])

    def test_copies_come_back_as_they_went(self, up: Bed, folder: str, tmp_path: Path) -> None:
        node = up.cluster.node("c1")
        node.copy_in(packed("strange name", BYTES, 0o750), folder)
        assert node.receive(f"{folder}/strange name", str(tmp_path / "back")) == []
        assert (tmp_path / "back").read_bytes() == BYTES
        assert stat.S_IMODE((tmp_path / "back").stat().st_mode) == 0o750

    def test_a_folder_comes_back_with_links_holes_and_times(
        self, up: Bed, folder: str, tmp_path: Path
    ) -> None:
        source = tmp_path / "lat\udce9in"
        (source / "sub").mkdir(parents=True)
        (source / "file").write_bytes(BYTES)
        (source / "sub" / "hard").hardlink_to(source / "file")
        (source / "sub" / "soft").symlink_to("../file")
        with (source / "sparse").open("wb") as file:
            file.truncate(30 << 20)
        os.utime(source / "sub", (1e9, 1e9))
        node = up.cluster.node("c1")
        assert node.send(str(source), f"{folder}/") == []
        back = tmp_path / "back"
        assert node.receive(f"{folder}/lat\udce9in", str(back)) == []
        assert sorted(found.name for found in back.rglob("*")) == ["file", "hard", "soft", "sparse", "sub"]
        assert (back / "sub" / "hard").samefile(back / "file")
        assert (back / "sub" / "soft").readlink() == Path("../file")
        assert (back / "file").read_bytes() == BYTES
        assert (back / "sub").stat().st_mtime == 1e9
        assert ((back / "sparse").stat().st_size, (back / "sparse").stat().st_blocks) == (30 << 20, 0)
        node.send(f"{source}/.", f"{folder}/lat\udce9in")  # into the folder that is there
        assert node.receive(f"{folder}/lat\udce9in/.", str(back)) == []

    def test_plug_pulled_and_power_on_again(self, up: Bed) -> None:
        up.backend.stop(up.name, ["c1"], hard=True)
        up.wait_off("c1")
        assert up.status()["sms"].power is Power.ON
        refused = up.run("c1", "true")
        assert refused.returncode == 69
        assert b"c1" in refused.stderr
        up.backend.start(up.name, ["c1"])
        up.wait_for("c1")

    def test_power_on_right_after_the_plug_was_pulled(self, up: Bed) -> None:
        for _ in range(5):
            up.backend.stop(up.name, ["c1"], hard=True)
            up.backend.start(up.name, ["c1"])
            until(lambda: up.status()["c1"].power is Power.ON, 10, up.status)
        up.wait_for("c1")

    def test_asked_to_power_off_and_power_on_again(self, up: Bed) -> None:
        up.backend.stop(up.name, ["c1"])
        up.wait_off("c1")
        up.backend.stop(up.name, ["c1"], hard=True)  # off already: nothing to pull
        up.backend.start(up.name, ["c1"])
        up.backend.start(up.name, ["c1"])
        up.wait_for("c1")

    def test_a_node_that_was_off_stays_off_when_its_snapshot_is_restored(self, up: Bed) -> None:
        up.backend.stop(up.name, ["c1"], hard=True)
        up.wait_off("c1")
        up.backend.snapshot(up.name, "one-off", silent)
        up.backend.start(up.name, ["c1"])
        up.wait_for("c1")
        up.backend.restore(up.name, "one-off", silent)
        up.wait_for("sms")
        assert up.status()["c1"].power is Power.OFF
        assert "one-off" in up.backend.snapshots(up.name)

    def test_a_start_state_is_saved_only_under_an_ephemeral_identity(self, up: Bed) -> None:
        shared = up.backend.shared_states
        assert (shared is None) is ("shared-states" in up.backend.probe().missing)
        if shared is None:
            pytest.skip("this backend has no states for all labs")
        name = f"after-{up.name}"
        up.backend.snapshot(up.name, "base", silent)
        with pytest.raises(LabError):
            shared.save(up.name, name, silent)
        up.backend.restore(up.name, "base", silent, ephemeral_identity=True)
        up.wait_for("sms")
        assert up.pending() == "base"
        try:
            shared.save(up.name, name, silent)
            assert name in [state.name for state in shared.list()]
            assert name not in up.backend.snapshots(up.name)
            up.backend.restore(up.name, name, silent)
            up.wait_for("sms")
            assert up.pending() == ""
        finally:
            shared.delete([name])
        assert name not in [state.name for state in shared.list()]
        shared.delete([name])

    def test_a_snapshot_is_forgotten(self, up: Bed) -> None:
        up.backend.snapshot(up.name, "short-lived", silent)
        up.backend.forget(up.name, "short-lived")
        assert "short-lived" not in up.backend.snapshots(up.name)

    def test_labs_and_status_follow_a_changed_specification(self, up: Bed, larger: ClusterSpec) -> None:
        grown = replace(up, spec=larger)
        grown.up()
        record = up.record()
        assert record is not None
        assert record.spec == larger
        grown.wait_for("sms", "c1", "c2")
        up.up()
        record = up.record()
        assert record is not None
        assert record.spec == up.spec
        assert list(up.status()) == [node.name for node in up.spec.nodes]

    def test_a_node_taken_away_is_absent_until_it_is_made_again(self, up: Bed) -> None:
        up.backend.delete(up.name, silent, ["c1"])
        assert up.status()["c1"].power is Power.ABSENT
        assert up.status()["sms"].power is Power.ON
        up.up()
        up.wait_for("c1")

    def test_nodes_that_the_plan_does_not_name_keep_their_identity(
        self, up: Bed, larger: ClusterSpec
    ) -> None:
        grown = replace(up, spec=larger)
        heavier = replace(up, spec=with_memory(up.spec, "c1", 1200))
        for bed, remade, created, removed in (
            (grown, set(), {"c2"}, set()),
            (heavier, {"c1"}, set(), {"c2"}),
            (up, {"c1"}, set(), set()),
        ):
            before, planned = up.identities(), bed.cluster.plan()
            assert bed.cluster.plan() == planned
            assert up.identities() == before, "a plan changes nothing"
            assert bed.up() == planned
            after = up.identities()
            assert set(after) - set(before) == created == set(nodes_of(planned, Verb.CREATE))
            assert set(before) - set(after) == removed == set(nodes_of(planned, Verb.REMOVE))
            other = {name for name in before if name in after and before[name] != after[name]}
            assert other == remade == set(nodes_of(planned, Verb.REMAKE))
            assert not work(bed.cluster.plan())
        up.wait_for("sms", "c1")

    def test_an_up_that_was_interrupted_is_planned_to_its_end(self, up: Bed, larger: ClusterSpec) -> None:
        grown = replace(up, spec=larger)
        grown.up()
        up.backend.apply(up.spec, (), silent)  # it recorded what the lab is to be, and then was killed
        assert "c2" in up.status()
        assert not nodes_of(grown.cluster.plan(), Verb.CREATE, Verb.REMAKE)
        assert nodes_of(up.up(), Verb.REMOVE) == ("c2",)
        assert not work(up.cluster.plan())

    def test_delete_takes_all_and_twice_is_fine(self, up: Bed) -> None:
        up.backend.delete(up.name, silent)
        assert up.record() is None
        up.backend.delete(up.name, silent)


def wait_for_home(bed: Bed) -> None:
    """A shell opens before systemd has mounted what /etc/fstab names."""
    until(lambda: bed.run("c1", "mountpoint -q /home").returncode == 0, bed.seconds, bed.status)


def wait_ready(bed: Bed) -> None:
    """The SMS has set itself up, and c1 has what it gives out now."""
    bed.wait_for("sms")
    until(lambda: bed.run("sms", "test -s /run/rackling/ready").returncode == 0, bed.seconds, bed.status)
    assert '"ok"' in bed.must("sms", "cat /run/rackling/ready")
    until(lambda: bed.run("sms", "ssh -oBatchMode=yes c1 true").returncode == 0, bed.seconds, bed.status)
    until(lambda: bed.run("c1", "munge -n").returncode == 0, bed.seconds, bed.status)


class RealContract(Contract):
    """What every backend must do whose nodes are real systems."""

    spec_of: Callable[..., ClusterSpec] = staticmethod(load)

    @pytest.fixture
    def larger(self, bed: Bed) -> ClusterSpec:
        return small(self.spec_of, bed.name, compute=2)

    @pytest.fixture
    def folder(self, up: Bed) -> str:
        up.must("c1", "mkdir -p /run/contract")
        return "/run/contract"

    @pytest.fixture
    def up(self, bed: Bed) -> Bed:
        bed.up()
        bed.wait_for("sms", "c1")
        wait_for_home(bed)
        until(lambda: bed.run("sms", "test -s /run/rackling/ready").returncode == 0, bed.seconds, bed.status)
        return bed

    @pytest.mark.parametrize("user", ["root", "user1"])
    def test_commands_run_as_a_login_of_the_user(self, up: Bed, user: str) -> None:
        home = "/root" if user == "root" else f"/home/{user}"
        assert up.must("sms", "id -un; pwd", user=user).split() == [user, home]
        assert up.run("c1", "cat >copied; exit 3", user=user, stdin=b"x\0y").returncode == 3
        assert up.run("c1", "cat copied", user=user).stdout == b"x\0y"

    def test_shell_tells_by_which_signal_a_command_ended(self, up: Bed) -> None:
        done = up.run("c1", "kill -TERM $$")
        assert (done.returncode, done.stderr) == (143, b"")

    def test_a_command_on_a_terminal_hears_ctrl_c(self, up: Bed) -> None:
        argv = up.backend.shell(
            up.name, "c1", ["sh", "-c", "tty; echo going; sleep 1000"], user="user1", tty=True
        )
        child = pexpect.spawn(argv[0], argv[1:], timeout=up.seconds, encoding="utf-8")
        child.expect("/dev/(pts/[0-9]+|console|ttyS0)\r\n")
        child.expect_exact("going\r\n")
        child.sendintr()
        child.expect(pexpect.EOF)
        child.close()
        assert (child.exitstatus, child.signalstatus) != (0, None)
        assert up.run("c1", "pgrep -f '[s]leep 1000'").returncode == 1

    def test_a_login_shell_on_a_terminal_answers_and_ends(self, up: Bed) -> None:
        argv = up.backend.shell(up.name, "sms", None, user="root", tty=True)
        child = pexpect.spawn(argv[0], argv[1:], timeout=up.seconds, encoding="utf-8")
        child.expect_exact("# ")  # login(1) throws away what was typed before
        child.sendline("echo $((40 + 2))-$(id -un)-$(hostname)")
        child.expect_exact("42-root-sms")
        # Said by what Ctrl-C is to end: between two commands of a line, bash forgets it now and then.
        child.sendline("sh -c 'echo going-$((1 + 1)); exec sleep 1000'")
        child.expect_exact("going-2")
        child.sendintr()
        child.sendline("echo again-$((6 * 7)); exit 5")
        child.expect_exact("again-42")
        child.expect(pexpect.EOF)
        child.close()
        assert child.exitstatus == 5

    def test_a_program_that_outgrows_its_node_is_killed_alone(self, up: Bed) -> None:
        argv = up.backend.shell(up.name, "c1", ["sleep", "1000"], user="root", tty=False)
        with subprocess.Popen(argv, stdin=subprocess.DEVNULL) as other:
            done = up.run("c1", "tail /dev/zero; echo $?")  # it wants a line's end before it lets go
            assert done.stdout.split()[-1:] == [b"137"]
            assert other.poll() is None
            up.must("c1", "pkill -x sleep")
            assert other.wait(60) != 0

    def test_the_console_keeps_what_the_node_wrote(self, up: Bed) -> None:
        text = b"".join(up.backend.console(up.name, "c1", follow=False))
        assert b"iPXE" in text
        last = b"".join(up.backend.console(up.name, "c1", follow=False, tail=1))
        assert last
        assert text.endswith(last)

    def test_copying_what_is_not_there_says_so(self, up: Bed, tmp_path: Path) -> None:
        with pytest.raises(LabError) as caught:
            up.cluster.node("c1").receive("/no/such/file", str(tmp_path))
        assert "/no/such" in str(caught.value)

    def test_restore_brings_back_disk_and_shared_storage(self, up: Bed) -> None:
        up.must("sms", "echo old >/root/file; echo old >/root/before; echo old >/home/user1/before")
        up.backend.snapshot(up.name, "first", silent)
        up.must("sms", "echo new >/root/file; touch /root/after /home/user1/after; rm /home/user1/before")
        up.backend.restore(up.name, "first", silent)
        up.wait_for("sms", "c1")
        assert up.must("sms", "cat /root/file /root/before /home/user1/before").split() == ["old"] * 3
        wait_for_home(up)
        assert up.must("c1", "cat /home/user1/before", user="user1") == "old"
        assert up.run("sms", "ls /root/after || ls /home/user1/after").returncode != 0
        assert up.run("c1", "ls /home/user1/after").returncode != 0

    def test_a_snapshot_of_the_same_name_replaces_the_former(self, up: Bed) -> None:
        for word in ("one", "two"):
            up.must("sms", f"echo {word} >/root/word; echo {word} >/home/word")
            up.backend.snapshot(up.name, "again", silent)
        up.backend.snapshot(up.name, "again.new", silent)  # a name beside it harms neither
        assert up.backend.snapshots(up.name).count("again") == 1
        up.must("sms", "echo three >/root/word; echo three >/home/word")
        up.backend.restore(up.name, "again", silent)
        up.wait_for("sms")
        assert up.must("sms", "cat /root/word /home/word").split() == ["two", "two"]

    def test_names_that_are_no_snapshots_are_refused(self, up: Bed) -> None:
        for name in ("handout", "../x", "-x", "A", "", "a b", "x" * 65):
            with pytest.raises(UsageError):
                up.backend.snapshot(up.name, name, silent)
        with pytest.raises(UsageError) as caught:
            up.backend.restore(up.name, "never-taken", silent)
        assert "handout" in caught.value.evidence

    def test_a_new_node_joins_and_the_others_notice_nothing(self, up: Bed, larger: ClusterSpec) -> None:
        up.must("c1", "touch /run/same-boot")
        grown = replace(up, spec=larger)
        grown.up()
        grown.wait_for("c2")
        up.must("c1", "test -e /run/same-boot")
        assert "c2" in up.must("sms", "wwsh node list").split()
        states = "sinfo -hN -o '%N=%t'"
        until(lambda: "c2=idle" in up.must("sms", states).split(), up.seconds, lambda: up.must("sms", states))
        assert up.must("sms", "ssh c1 hostname").strip() == "c1"
        up.up()
        assert '"c2"' not in up.must("sms", "cat /etc/rackling/cluster.json")


def small(spec: Callable[..., ClusterSpec], lab: str, *, compute: int) -> ClusterSpec:
    """An SMS and compute nodes."""
    return spec(None, (f"c.count={compute}", "g.count=0", "login.count=0"), {}, lab)


def with_memory(spec: ClusterSpec, name: str, memory: int) -> ClusterSpec:
    """The same lab with a node of another size."""
    nodes = tuple(replace(node, memory=memory) if node.name == name else node for node in spec.nodes)
    return replace(spec, nodes=nodes)


def temporary(root: Path) -> str:
    """A folder of the test's own, as a node names it."""
    place = root / "copies"
    place.mkdir()
    return str(place)
