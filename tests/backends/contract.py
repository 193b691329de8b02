"""What every backend must do, whatever it is made of: each backend's tests inherit these."""

from __future__ import annotations

import io
import subprocess
import tarfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from lab.backends.base import Backend
from lab.errors import LabError
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

    @property
    def name(self) -> str:
        return self.spec.lab

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


def unpacked(data: bytes) -> dict[str, tuple[bytes, int]]:
    """Content and mode of each file in an archive."""
    found = {}
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        for entry in archive:
            file = archive.extractfile(entry)
            if file is not None:
                found[entry.name] = (file.read(), entry.mode & 0o7777)
    return found


class Contract:
    """The tests; `up` is a bed whose nodes have all booted, at the start of each."""

    def test_create_again_changes_nothing(self, up: Bed, folder: str) -> None:
        up.must("c1", f"touch {folder}/mark")  # gone with the next boot
        record = up.record()
        said: list[str] = []
        up.backend.create(up.spec, said.append)
        up.must("c1", f"test -e {folder}/mark")
        assert up.record() == record
        assert not [line for line in said if line.startswith(("making", "remaking", "removing", "handing"))]

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

    def test_shell_gives_exit_status_and_both_outputs(self, up: Bed) -> None:
        done = up.run("c1", "echo out; echo err >&2; exit 7")
        assert (done.returncode, done.stdout, done.stderr) == (7, b"out\n", b"err\n")

    def test_shell_takes_stdin_to_its_end(self, up: Bed) -> None:
        assert up.run("sms", "cat", stdin=BYTES).stdout == BYTES

    @pytest.mark.parametrize("words", [["printf", "%s|", "a b", "$HOME", "'", '"', "", "*", "\\"]])
    def test_shell_hands_over_words_as_they_are(self, up: Bed, words: Sequence[str]) -> None:
        argv = up.backend.shell(up.name, "c1", words, user="root", tty=False)
        done = subprocess.run(argv, capture_output=True, timeout=60, check=True, stdin=subprocess.DEVNULL)
        assert done.stdout.decode() == "|".join([*words[2:], ""])

    def test_copies_come_back_as_they_went(self, up: Bed, folder: str) -> None:
        up.backend.copy_in(up.name, "c1", packed("strange name", BYTES, 0o750), folder)
        back = unpacked(up.backend.copy_out(up.name, "c1", f"{folder}/strange name"))
        assert back == {"strange name": (BYTES, 0o750)}

    def test_plug_pulled_and_power_on_again(self, up: Bed) -> None:
        up.backend.stop(up.name, ["c1"], hard=True)
        up.wait_off("c1")
        assert up.status()["sms"].power is Power.ON
        refused = up.run("c1", "true")
        assert refused.returncode == 69
        assert b"c1" in refused.stderr
        up.backend.start(up.name, ["c1"])
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

    def test_a_start_state_is_kept_only_under_a_borrowed_identity(self, up: Bed) -> None:
        if "shared-states" in up.backend.probe().missing:
            pytest.skip("this backend keeps start states for one lab")
        name = f"after-{up.name}"
        up.backend.snapshot(up.name, "base", silent)
        with pytest.raises(LabError):
            up.backend.keep(up.name, name, silent)
        up.backend.restore(up.name, "base", silent, borrowed=True)
        up.wait_for("sms")
        assert up.pending() == "base"
        try:
            up.backend.keep(up.name, name, silent)
            assert name in [state.name for state in up.backend.states()]
            assert name not in up.backend.snapshots(up.name)
            up.backend.restore(up.name, name, silent)
            up.wait_for("sms")
            assert up.pending() == ""
        finally:
            up.backend.drop([name])
        assert name not in [state.name for state in up.backend.states()]
        up.backend.drop([name])

    def test_a_snapshot_is_forgotten(self, up: Bed) -> None:
        up.backend.snapshot(up.name, "short-lived", silent)
        up.backend.forget(up.name, "short-lived")
        assert "short-lived" not in up.backend.snapshots(up.name)

    def test_labs_and_status_follow_a_changed_specification(self, up: Bed, larger: ClusterSpec) -> None:
        up.backend.create(larger, silent)
        record = up.record()
        assert record is not None
        assert record.spec == larger
        replace(up, spec=larger).wait_for("sms", "c1", "c2")
        up.backend.create(up.spec, silent)
        record = up.record()
        assert record is not None
        assert record.spec == up.spec
        assert list(up.status()) == [node.name for node in up.spec.nodes]

    def test_a_node_taken_away_is_absent_until_it_is_made_again(self, up: Bed) -> None:
        up.backend.delete(up.name, silent, ["c1"])
        assert up.status()["c1"].power is Power.ABSENT
        assert up.status()["sms"].power is Power.ON
        up.backend.create(up.spec, silent)
        up.wait_for("c1")

    def test_delete_takes_all_and_twice_is_fine(self, up: Bed) -> None:
        up.backend.delete(up.name, silent)
        assert up.record() is None
        up.backend.delete(up.name, silent)


def small(spec: Callable[..., ClusterSpec], lab: str, *, compute: int) -> ClusterSpec:
    """An SMS and compute nodes."""
    return spec(None, (f"c.count={compute}", "g.count=0", "login.count=0"), {}, lab)


def temporary(root: Path) -> str:
    """A folder of the test's own, as a node names it."""
    place = root / "copies"
    place.mkdir()
    return str(place)
