"""A lab is saved when its doors are served again, and its machines go on whatever becomes of that."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lab.backends.libvirt import inspection, snapshots, wire_guard
from lab.backends.libvirt.inspection import LabObject
from lab.backends.libvirt.snapshots import WHOLE, until_served
from lab.backends.libvirt.storage import LabFolder
from lab.errors import LabError
from lab.polling import monotonic


class Machine:
    """A domain whose door's state is the next one of these at each look, in the end the last."""

    def __init__(self, *states: str) -> None:
        self.states = list(states)

    def XMLDesc(self) -> str:  # noqa: N802 (libvirt's name)
        state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        return f"<target type='virtio' name='rackling.door' state='{state}'/>"


def found(*states: str) -> LabObject:
    return LabObject(Machine(*states), {}, active=True)


def test_each_servers_end_and_its_successor_are_waited_for() -> None:
    early = found("disconnected", "connected")
    late = found("connected", "connected", "disconnected", "disconnected", "connected")
    until_served([early, late])
    assert late.thing.states == ["connected"]


def test_one_that_does_not_come_back_is_not_waited_for_long() -> None:
    began = monotonic()
    until_served([found("disconnected")], patience=0.3)
    assert monotonic() - began < 5


def test_nobody_is_waited_for_where_no_door_was_open() -> None:
    began = monotonic()
    until_served([])
    assert monotonic() - began < 1


class Domain:
    """A domain that can be saved, restored and let go on."""

    def __init__(self, state: str) -> None:
        self.now = state  # off, paused or running

    def isActive(self) -> bool:  # noqa: N802 (libvirt's name)
        return self.now != "off"

    def state(self) -> list[int]:
        return [{"off": 5, "paused": 3, "running": 1}[self.now], 0]

    def jobInfo(self) -> list[int]:  # noqa: N802
        return [0]

    def XMLDesc(self) -> str:  # noqa: N802
        return "<domain/>"

    def resume(self) -> None:
        assert self.now == "paused"
        self.now = "running"


class Daemon:
    """Restores a machine, which then stands still, from each file that holds a memory."""

    def __init__(self, domains: dict[str, Domain]) -> None:
        self.domains = domains

    def restoreFlags(self, file: str, _xml: None, _flags: int) -> None:  # noqa: N802
        if Path(file).read_bytes()[: len(WHOLE)] != WHOLE:
            raise libvirt().libvirtError("not a memory")
        self.domains[Path(file).stem].now = "paused"


def libvirt() -> Any:
    return pytest.importorskip("libvirt")


class Saved:
    """A lab whose machines were just being saved."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, **states: str) -> None:
        libvirt()
        self.domains = {node: Domain(state) for node, state in states.items()}
        self.daemon = Daemon(self.domains)
        self.folder = LabFolder("x", tmp_path)
        monkeypatch.setattr(snapshots, "LabFolder", lambda _lab: self.folder)
        monkeypatch.setattr(inspection, "domains", lambda *_: self.found())

    def found(self) -> list[LabObject]:
        return [LabObject(one, {"node": node}, one.isActive()) for node, one in self.domains.items()]

    def put(self, place: str, **files: bytes) -> Path:
        folder = self.folder.path / "snapshots" / place
        folder.mkdir(parents=True)
        for name, content in files.items():
            (folder / name.replace("_", ".")).write_bytes(content)
        return folder

    def states(self) -> dict[str, str]:
        return {node: one.now for node, one in self.domains.items()}


def test_all_go_on_even_when_one_cannot_be_brought_back(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    lab = Saved(monkeypatch, tmp_path, sms="paused", c1="off", c2="off", c3="running")
    place = lab.put("x", c1_save=b"rubbish", c2_save=WHOLE)
    with pytest.raises(LabError, match="restoring c1"):
        snapshots.bring_back(lab.daemon, {one.metadata["node"]: one for one in lab.found()}, place)
    assert lab.states() == {"sms": "running", "c1": "off", "c2": "running", "c3": "running"}


def test_a_restored_machine_sends_nothing_before_its_cards_are_closed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    lab = Saved(monkeypatch, tmp_path, c1="off")
    place = lab.put("x", c1_save=WHOLE)
    closed: list[str] = []
    monkeypatch.setattr(wire_guard, "close_cards", lambda domain: closed.append(domain.now))
    snapshots.bring_back(lab.daemon, {one.metadata["node"]: one for one in lab.found()}, place)
    assert (closed, lab.states()) == (["paused"], {"c1": "running"})


@pytest.mark.parametrize("place", [snapshots.UNFINISHED, snapshots.FOR_OTHERS])
def test_a_killed_save_is_ended(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, place: str) -> None:
    """Saved, saved but not yet called so, half saved, still paused, and without power from the beginning."""
    lab = Saved(monkeypatch, tmp_path, sms="off", c1="off", c2="paused", c3="paused", g1="off")
    folder = lab.put(place, asleep=b"", sms_save=WHOLE, c1_part=WHOLE + b"...", c2_part=b"LibvirtQemudPart")
    said: list[str] = []
    snapshots.recover(lab.daemon, "x", said.append)
    assert lab.states() == dict.fromkeys(["sms", "c1", "c2", "c3"], "running") | {"g1": "off"}
    assert not folder.exists()
    assert len(said) == 1


def test_where_nothing_stands_still_nothing_is_done(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    lab = Saved(monkeypatch, tmp_path, sms="running", c1="off")
    said: list[str] = []
    snapshots.recover(lab.daemon, "x", said.append)
    assert (lab.states(), said) == ({"sms": "running", "c1": "off"}, [])


def test_memory_that_is_nowhere_else_is_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    lab = Saved(monkeypatch, tmp_path, sms="off")
    folder = lab.put(snapshots.UNFINISHED, asleep=b"", sms_save=b"rubbish")
    with pytest.raises(LabError):
        snapshots.recover(lab.daemon, "x", lambda _line: None)
    assert (folder / "sms.save").exists()


def test_a_machine_switched_off_later_does_not_wake_up_with_what_was_saved_before(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """All were brought back; it was killed while it gave the lab other keys than those in the files."""
    lab = Saved(monkeypatch, tmp_path, sms="running", c1="off")
    folder = lab.put(snapshots.FOR_OTHERS, sms_save=WHOLE, c1_save=WHOLE)
    snapshots.recover(lab.daemon, "x", lambda _line: None)
    assert lab.states() == {"sms": "running", "c1": "off"}
    assert not folder.exists()
