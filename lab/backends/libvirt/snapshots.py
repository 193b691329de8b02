"""Snapshots: the saved memory of every powered machine, and its disks as they were at that moment.

Machines are paused together and resumed together, so that none times out waiting for another. Their clocks
stop meanwhile, which does no harm as they still agree with each other.
"""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lab.backends.base import HANDOUT, Say
from lab.backends.editions import check_snapshot_name
from lab.backends.libvirt import console_log, inspection, removal, wire_guard
from lab.backends.libvirt.engine import ignore_missing, insist, translate_errors
from lab.backends.libvirt.inspection import LabObject
from lab.backends.libvirt.ssh_channel import Door
from lab.backends.libvirt.storage import LabFolder, make_closed_folder
from lab.backends.parallel import for_each_parallel
from lab.errors import UsageError
from lab.host_speed import measured_limit
from lab.model import BOOTED, ClusterSpec
from lab.polling import monotonic, pause, wait_for
from lab.process import run

FIRST = ".first"  # the handout when all its machines were ready for the first time
UNFINISHED = ".new"
FOR_OTHERS = ".golden"  # while a checkpoint for later labs is being saved (checkpoint_cache.py)
COPY_SECONDS = 300
SERVED_SECONDS = 6.0
SAVING_SECONDS = 120.0
ASLEEP = "asleep"  # marks a folder that may hold the only copy of a machine's memory
WHOLE = b"LibvirtQemudSave"
"""First bytes of a complete saved memory (libvirt, qemu_saveimage.h)."""
DOOR = re.compile(r"name='rackling\.door' state='connected'")
"""In a running machine's XML: a guest process has the port open (QEMU's event VSERPORT_CHANGE)."""


def take(connection: Any, lab: str, name: str, say: Say) -> None:
    """Saves the lab's state under a name; all machines are paused for a moment."""
    if name != FIRST:
        check_snapshot_name(name)
    folder = LabFolder(lab)
    place = _place(folder, UNFINISHED)
    save(connection, lab, place, say)
    final = _place(folder, name)
    former = place.with_name(".old")
    shutil.rmtree(former, ignore_errors=True)
    if final.exists():
        final.rename(former)
    place.rename(final)
    shutil.rmtree(former, ignore_errors=True)


def save(connection: Any, lab: str, place: Path, say: Say) -> None:
    """Writes memory and disks of the lab's machines to a new folder; all resume at the same moment.

    On failure the folder is removed, unless it holds the only copy of a machine's memory: see `recover`.
    """
    folder = LabFolder(lab)
    shutil.rmtree(place, ignore_errors=True)
    make_closed_folder(place)
    present = {found.metadata["node"]: found for found in inspection.domains(connection, lab)}
    running = {node: found for node, found in present.items() if found.active}
    say("pausing every machine and saving its memory")
    (place / ASLEEP).touch()
    whole = False
    try:
        # While they still run: after the resume, a server would wait for a client that never said goodbye.
        until_served([found for node, found in running.items() if Door(folder, node).close()])
        _pause(running)
        for_each_parallel(running.items(), lambda one: _save(one[1], folder, place, one[0]))
        for node, found in present.items():
            (place / f"{node}.profile").write_text(found.metadata["profile"])
        copy_disks(folder.path, place)
        whole = True
    finally:
        # Machines that were not saved are still paused; saved ones must be restored.
        bring_back(connection, running, place)
        (place / ASLEEP).unlink()
        if not whole:
            shutil.rmtree(place, ignore_errors=True)


def recover(connection: Any, lab: str, say: Say) -> None:
    """Completes an interrupted save: restores memory from files, and resumes paused machines."""
    folder = LabFolder(lab)
    places = []
    for place in (_place(folder, UNFINISHED), for_others(folder)):
        if (place / ASLEEP).exists():
            places.append(place)
        else:  # all machines run, perhaps under other keys by now
            shutil.rmtree(place, ignore_errors=True)
    found = inspection.domains(connection, lab)
    if not places and not any(inspection.stands_still(one.thing) for one in found if one.active):
        return
    say("a command was interrupted while the machines were paused: resuming them")
    # The daemon completes a save even if the process that asked for it is dead.
    wait_for(lambda: not any(map(_is_being_saved, found)), monotonic() + SAVING_SECONDS, every=0.5)
    found = inspection.domains(connection, lab)
    for place in places:
        asleep = {one.metadata["node"]: one for one in found if not one.active}
        saved = {node: one for node, one in asleep.items() if _find_memory(place, node)}
        bring_back(connection, saved, place)
        shutil.rmtree(place)
    _go_on({one.metadata["node"]: one for one in found if one.active})


def asleep(folder: LabFolder, present: Mapping[str, LabObject]) -> tuple[str, ...]:
    """The machines whose memory an interrupted save left in a file; `recover` gives it back to them."""
    places = [
        place for place in (_place(folder, UNFINISHED), for_others(folder)) if (place / ASLEEP).exists()
    ]
    files = [path.name for place in places for path in place.glob("*.*")]
    return tuple(
        node
        for node, one in present.items()
        if not one.active and {f"{node}.save", f"{node}.part"}.intersection(files)
    )


def _is_being_saved(found: LabObject) -> bool:
    import libvirt

    at_work = False
    with ignore_missing():
        at_work = found.thing.isActive() and found.thing.jobInfo()[0] != libvirt.VIR_DOMAIN_JOB_NONE
    return bool(at_work)


def _find_memory(place: Path, node: str) -> bool:
    """Whether a machine's saved memory exists; renames a complete one that was not renamed yet."""
    unfinished, saved = place / f"{node}.part", place / f"{node}.save"
    if unfinished.exists():
        with unfinished.open("rb") as file:
            whole = file.read(len(WHOLE)) == WHOLE
        if whole:
            unfinished.rename(saved)
    return saved.exists()


def for_others(folder: LabFolder) -> Path:
    """Where a checkpoint for later labs is saved before it is published."""
    return _place(folder, FOR_OTHERS)


def put_back(connection: Any, lab: str, name: str, say: Say) -> tuple[tuple[str, ...], float]:
    """Restores memory and disks from any state; machines that were off stay off.

    Returns the machines whose systems run now, and how many seconds their clocks are behind.
    """
    folder = LabFolder(lab)
    place = _place(folder, name)
    present = {found.metadata["node"]: found for found in inspection.domains(connection, lab)}
    say("cutting the power of every machine")
    for_each_parallel(present.values(), lambda found: removal.unplug(found.thing))
    copy_disks(place, folder.path)
    say("restoring the memory of every machine")
    for node in present:
        console_log.go_back(folder.console(node), place / f"{node}.said")
    saved = {node: found for node, found in present.items() if (place / f"{node}.save").exists()}
    bring_back(connection, saved, place)
    now = time.time()
    lag = max((now - (place / f"{node}.save").stat().st_mtime for node in saved), default=0.0)
    return tuple(node for node in saved if has_booted(folder, node, now)), lag


def has_booted(folder: LabFolder, node: str, now: float) -> bool:
    """Whether a machine's own system runs, judged by its console."""
    said = console_log.read_since_power_on(folder.console(node))
    return console_log.stage_of(node, "", said, now).stage == BOOTED


def is_first_state(lab: str, spec: ClusterSpec, present: Mapping[str, LabObject]) -> bool:
    """Whether the first state is saved with its memory, for exactly the machines that the lab has now."""
    place = _place(LabFolder(lab), FIRST)
    kept = {path.stem: path.read_text() for path in place.glob("*.profile")}
    saved = {path.stem for path in place.glob("*.save")}
    now = {node: found.metadata["profile"] for node, found in present.items()}
    return bool(kept) and kept == now and saved == {node.name for node in spec.nodes}


def forget(lab: str, name: str) -> None:
    """Removes a snapshot; the handout takes no space and cannot be removed."""
    if name == HANDOUT:
        raise _unknown(lab, name)
    check_there(lab, name)
    shutil.rmtree(_place(LabFolder(lab), name))


def check_there(lab: str, name: str) -> None:
    """Raises UsageError, which names the snapshots there are, when a lab has none of that name."""
    if name not in names(lab):
        raise _unknown(lab, name)


def _unknown(lab: str, name: str) -> UsageError:
    kept = " ".join(names(lab))
    return UsageError(
        f"the lab {lab} has no snapshot called {name} that could be removed or restored",
        evidence=f"snapshots: {kept}",
        hint="lab snapshot --list",
    )


def names(lab: str) -> tuple[str, ...]:
    """Names of a lab's snapshots, oldest first; the handout is always the first."""
    folder = LabFolder(lab).path / "snapshots"
    found = list(folder.glob("[a-z0-9]*")) if folder.is_dir() else []
    return (HANDOUT, *(path.name for path in sorted(found, key=lambda path: path.stat().st_mtime)))


def _place(folder: LabFolder, name: str) -> Path:
    return folder.path / "snapshots" / name


def until_served(machines: Sequence[LabObject], patience: float = SERVED_SECONDS) -> None:
    """Waits until machines whose ssh channels were closed listen there again.

    Otherwise each restore would start all servers at once, and the first client would wait for that.
    """
    began = monotonic()
    away: set[int] = set()

    def served() -> bool:
        now = [number for number, found in enumerate(machines) if DOOR.search(found.thing.XMLDesc())]
        away.update(set(range(len(machines))).difference(now))
        return len(away) == len(now) == len(machines)

    with translate_errors("waiting for the ssh channels"):
        if wait_for(served, began + patience, every=0.05):
            pause(monotonic() - began)  # a new server needs about as long again until it greets


def _pause(running: Mapping[str, LabObject]) -> None:
    for node, found in running.items():
        with translate_errors(f"pausing {node}"):
            found.thing.suspend()


def _save(found: LabObject, folder: LabFolder, place: Path, node: str) -> None:
    """Saves memory to a file, which ends the machine's process."""
    import libvirt

    (place / f"{node}.said").write_bytes(console_log.read_since_power_on(folder.console(node)))
    unfinished = place / f"{node}.part"
    with translate_errors(f"saving {node}"):
        found.thing.saveFlags(str(unfinished), None, libvirt.VIR_DOMAIN_SAVE_PAUSED)
    unfinished.rename(place / f"{node}.save")


def bring_back(connection: Any, machines: Mapping[str, LabObject], place: Path) -> None:
    """Restores memory from files; then all resume at the same moment, even if one could not be restored."""
    import libvirt

    def restore(node: str) -> None:
        if not machines[node].thing.isActive():
            with translate_errors(f"restoring {node}"):
                saved = str(place / f"{node}.save")
                insist(lambda: connection.restoreFlags(saved, None, libvirt.VIR_DOMAIN_SAVE_PAUSED))
                wire_guard.close_cards(machines[node].thing)

    try:
        for_each_parallel(machines, restore)
    finally:
        _go_on(machines)


def _go_on(machines: Mapping[str, LabObject]) -> None:
    def resume(node: str) -> None:
        thing = machines[node].thing
        with translate_errors(f"resuming {node}"):
            if thing.isActive() and inspection.stands_still(thing):
                thing.resume()

    for_each_parallel(machines, resume)


def copy_disks(source: Path, target: Path) -> None:
    """Copies overlays, identities and nodes' disks; sparse, so only what was written takes space."""
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
        try:
            run(copy, timeout=measured_limit(COPY_SECONDS))
            unfinished.rename(target / disk.name)
        finally:
            unfinished.unlink(missing_ok=True)
