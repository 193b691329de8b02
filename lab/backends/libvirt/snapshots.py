"""Snapshots: the saved memory of every machine that has power, and its disks as they were at that moment.

Machines are paused together and go on together, so that none of them sees another miss anything; that all
their clocks stand still meanwhile harms nobody, as they agree with each other.
"""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lab.backends.base import HANDOUT, Say
from lab.backends.libvirt import consoles, inspection, removal
from lab.backends.libvirt.disks import LabFolder, make_folder
from lab.backends.libvirt.door import Door
from lab.backends.libvirt.engine import explained
from lab.backends.libvirt.inspection import Found
from lab.backends.shared import check_snapshot_name, each
from lab.errors import UsageError
from lab.model import ClusterSpec
from lab.run import run
from lab.wait import monotonic, pause, wait_for

FIRST = ".first"  # what the handout was when all its machines stood well for the first time
UNFINISHED = ".new"
COPY_SECONDS = 300
SERVED_SECONDS = 6.0
DOOR = re.compile(r"name='rackling\.door' state='connected'")
"""In a running machine's description: a process of its has the port open (QEMU's event VSERPORT_CHANGE)."""


def take(connection: Any, lab: str, name: str, say: Say) -> None:
    """Keeps the lab's state under a name; all machines stand still for a moment meanwhile."""
    if name != FIRST:
        check_snapshot_name(name)
    folder = LabFolder(lab)
    place = _place(folder, UNFINISHED)
    shutil.rmtree(place, ignore_errors=True)
    make_folder(place)
    save(connection, lab, place, say)
    final = _place(folder, name)
    former = place.with_name(".old")
    shutil.rmtree(former, ignore_errors=True)
    if final.exists():
        final.rename(former)
    place.rename(final)
    shutil.rmtree(former, ignore_errors=True)


def save(connection: Any, lab: str, place: Path, say: Say) -> None:
    """Writes memory and disks of the lab's machines to an empty folder; all go on in the same moment."""
    folder = LabFolder(lab)
    present = {found.marks["node"]: found for found in inspection.domains(connection, lab)}
    running = {node: found for node, found in present.items() if found.active}
    say("pausing every machine and saving its memory")
    # While they still run: a server that heard no goodbye would wait for its caller when it goes on.
    until_served([found for node, found in running.items() if Door(folder, node).close()])
    _pause(running)
    try:
        each(running.items(), lambda one: _save(one[1], folder, place, one[0]))
        for node, found in present.items():
            (place / f"{node}.profile").write_text(found.marks["profile"])
        copy_disks(folder.path, place)
    finally:
        # What was not saved still stands paused; what was saved has to be brought back.
        bring_back(connection, running, place)


def put_back(connection: Any, lab: str, name: str, say: Say) -> tuple[tuple[str, ...], float]:
    """Puts memory and disks back, whatever the machines do now; those that had no power have none.

    Returns the machines whose systems run now, and how many seconds their clocks are behind.
    """
    folder = LabFolder(lab)
    place = _place(folder, name)
    if not place.is_dir():
        raise _unknown(lab, name)
    present = {found.marks["node"]: found for found in inspection.domains(connection, lab)}
    say("cutting the power of every machine")
    each(present.values(), lambda found: removal.unplug(found.thing))
    copy_disks(place, folder.path)
    say("giving every machine its memory back")
    for node in present:
        consoles.go_back(folder.console(node), place / f"{node}.said")
    saved = {node: found for node, found in present.items() if (place / f"{node}.save").exists()}
    bring_back(connection, saved, place)
    now = time.time()
    lag = max((now - (place / f"{node}.save").stat().st_mtime for node in saved), default=0.0)
    return tuple(node for node in saved if has_booted(folder, node, now)), lag


def has_booted(folder: LabFolder, node: str, now: float) -> bool:
    """Whether a machine's own system runs, by what it has said."""
    said = consoles.read_since_power_on(folder.console(node))
    return consoles.stage_of(node, "", said, now).stage == "init"


def is_first_state(lab: str, spec: ClusterSpec, present: Mapping[str, Found]) -> bool:
    """Whether the first state is kept with its memory, of the very machines that the lab has now."""
    place = _place(LabFolder(lab), FIRST)
    kept = {path.stem: path.read_text() for path in place.glob("*.profile")}
    saved = {path.stem for path in place.glob("*.save")}
    now = {node: found.marks["profile"] for node, found in present.items()}
    return bool(kept) and kept == now and saved == {node.name for node in spec.nodes}


def forget(lab: str, name: str) -> None:
    """Removes a snapshot; the handout takes no room and stays."""
    if name == HANDOUT or name not in names(lab):
        raise _unknown(lab, name)
    shutil.rmtree(_place(LabFolder(lab), name))


def _unknown(lab: str, name: str) -> UsageError:
    kept = " ".join(names(lab))
    return UsageError(
        f"the lab {lab} has no snapshot called {name} to remove or go back to",
        evidence=f"snapshots: {kept}",
        hint="lab snapshot --list",
    )


def names(lab: str) -> tuple[str, ...]:
    """Names of a lab's snapshots, oldest first, the handout before all."""
    folder = LabFolder(lab).path / "snapshots"
    found = list(folder.glob("[a-z0-9]*")) if folder.is_dir() else []
    return (HANDOUT, *(path.name for path in sorted(found, key=lambda path: path.stat().st_mtime)))


def _place(folder: LabFolder, name: str) -> Path:
    return folder.path / "snapshots" / name


def until_served(machines: Sequence[Found], patience: float = SERVED_SECONDS) -> None:
    """Waits until machines whose doors were closed have servers there again.

    Else they would start them after every restore, all at once, and keep the first caller waiting.
    """
    began = monotonic()
    away: set[int] = set()

    def served() -> bool:
        now = [number for number, found in enumerate(machines) if DOOR.search(found.thing.XMLDesc())]
        away.update(set(range(len(machines))).difference(now))
        return len(away) == len(now) == len(machines)

    with explained("looking whether the doors are served again"):
        if wait_for(served, began + patience, every=0.05):
            pause(monotonic() - began)  # one that begins takes as long again to come to its greeting


def _pause(running: Mapping[str, Found]) -> None:
    for node, found in running.items():
        with explained(f"pausing {node}"):
            found.thing.suspend()


def _save(found: Found, folder: LabFolder, place: Path, node: str) -> None:
    """Memory to a file; the machine's process ends with that."""
    import libvirt

    (place / f"{node}.said").write_bytes(consoles.read_since_power_on(folder.console(node)))
    unfinished = place / f"{node}.part"
    with explained(f"saving {node}"):
        found.thing.saveFlags(str(unfinished), None, libvirt.VIR_DOMAIN_SAVE_PAUSED)
    unfinished.rename(place / f"{node}.save")


def bring_back(connection: Any, machines: Mapping[str, Found], place: Path) -> None:
    """Memory from its files; then all go on in the same moment."""
    import libvirt

    def restore(node: str) -> None:
        if not machines[node].thing.isActive():
            with explained(f"restoring {node}"):
                saved = str(place / f"{node}.save")
                connection.restoreFlags(saved, None, libvirt.VIR_DOMAIN_SAVE_PAUSED)

    each(machines, restore)
    for node, found in machines.items():
        with explained(f"letting {node} go on"):
            found.thing.resume()


def copy_disks(source: Path, target: Path) -> None:
    """Layers over the base, identities and nodes' disks: as large as what was written to them."""
    for disk in source.glob("*-vd?.img"):
        unfinished = target / f"{disk.name}.new"
        copy = [
            "cp",
            "--reflink=auto",
            "--sparse=always",
            "--preserve=ownership,mode",
            str(disk),
            str(unfinished),
        ]
        run(copy, timeout=COPY_SECONDS)
        unfinished.rename(target / disk.name)
