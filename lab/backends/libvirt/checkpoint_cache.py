"""The cached checkpoint: a lab that was ready right after its first boot; later labs are created from it.

Booting a lab with emulated processors takes minutes. So memory and disks of the first lab of a kind are
saved; a later lab of the same shape, disk and libvirt version is restored from them, under names and on
networks of its own, and is then given an identity of its own (lab/guest/setup/rotate_identity.py).
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

from lab.backends.base import Say
from lab.backends.libvirt import assembly, console_log, inspection, snapshots, time_sync
from lab.backends.libvirt.domain_xml import CMDLINE
from lab.backends.libvirt.engine import translate_errors
from lab.backends.libvirt.storage import ROOT, DiskStore, LabFolder, make_closed_folder, make_folder
from lab.backends.parallel import for_each_parallel
from lab.errors import LabError
from lab.model import ClusterSpec
from lab.paths import data_folder
from lab.serialize import spec_to_json

KEPT = 2  # the newest: each takes as much space as the memory that its machines have touched
PLACE = ROOT / "golden"
HEADER = struct.Struct("=16s5I56x")
"""Magic, version, length of all texts, running, packing, place of the cookie (libvirt, qemu_saveimage.h)."""
MAGIC, VERSION = b"LibvirtQemudSave", 2
CHUNK = 1 << 26


class CheckpointCorrupt(LabError):
    """No lab can be restored from a checkpoint."""


class CheckpointCache:
    """The checkpoint that fits a lab, whether it exists or not."""

    def __init__(self, connection: Any, spec: ClusterSpec, store: DiskStore, *, kvm: bool) -> None:
        self._connection = connection
        self._spec = spec
        self._kvm = kvm
        parts = (
            spec_to_json(replace(spec, lab="golden")),
            store.current(spec.sms_image).disk.name,
            (data_folder("vms") / "domain.xml").read_text(),
            CMDLINE,
            f"{kvm} {connection.getVersion()} {connection.getLibVersion()}",
        )
        self.place = PLACE / hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]

    @property
    def is_there(self) -> bool:
        """Whether it exists."""
        return self.place.is_dir()

    def forget(self) -> None:
        """Removes it, once no lab is being restored from it."""
        with _alone():
            shutil.rmtree(self.place, ignore_errors=True)

    def save(self, say: Say) -> Path | None:
        """Saves the lab privately; `publish` shares it. None when there is not enough space."""
        spec, folder = self._spec, LabFolder(self._spec.lab)
        aside = snapshots.for_others(folder)  # in the lab's folder until then, so it is removed with the lab
        try:
            snapshots.save(self._connection, spec.lab, aside, say)
            for path in (folder.key, folder.key.with_suffix(".pub"), *folder.path.glob("*.base")):
                shutil.copy2(path, aside, follow_symlinks=False)
            if all((aside / f"{node.name}.save").exists() for node in spec.nodes):
                return aside
        except (LabError, OSError) as problem:
            if (aside / snapshots.ASLEEP).exists():
                raise  # it holds the only copy of a machine's memory: snapshots.recover
            say(f"the checkpoint for later labs could not be saved, so they will boot: {problem}")
        shutil.rmtree(aside, ignore_errors=True)
        return None

    def publish(self, aside: Path) -> None:
        """Shares the saved checkpoint; its own lab must have a new identity by now."""
        with _alone():
            shutil.rmtree(self.place, ignore_errors=True)
            aside.rename(self.place)
            for old in sorted(PLACE.glob("[0-9a-f]*"), key=lambda path: path.stat().st_mtime)[:-KEPT]:
                shutil.rmtree(old)

    def put_together(self, say: Say) -> None:
        """Creates the whole lab, which must not exist yet, from it; the machines then run.

        Raises CheckpointCorrupt when the checkpoint itself is the cause.
        """
        try:
            with _alone(fcntl.LOCK_SH):
                self._put_together(say)
        except OSError as problem:
            raise LabError(
                "a lab could not be restored from a checkpoint", evidence=str(problem)
            ) from problem

    def _put_together(self, say: Say) -> None:
        spec, folder = self._spec, LabFolder(self._spec.lab)
        say("restoring the lab from a cached checkpoint")
        for path in (self.place / "key", self.place / "key.pub", *self.place.glob("*.base")):
            shutil.copy2(path, folder.path, follow_symlinks=False)
        snapshots.copy_disks(self.place, folder.path)
        saves = folder.path / "golden"
        make_closed_folder(saves)
        try:
            for_each_parallel(spec.nodes, lambda node: self._make(node.name, folder, saves))
            machines = {one.metadata["node"]: one for one in inspection.domains(self._connection, spec.lab)}
            try:
                snapshots.bring_back(self._connection, machines, saves)
            except LabError as problem:
                raise CheckpointCorrupt(
                    problem.message, evidence=problem.evidence, hint=problem.hint
                ) from problem
        finally:
            shutil.rmtree(saves, ignore_errors=True)
        now = time.time()
        lag = max(now - path.stat().st_mtime for path in self.place.glob("*.save"))
        up = [node.name for node in spec.nodes if snapshots.has_booted(folder, node.name, now)]
        time_sync.set_forward(folder, up, lag, say)

    def _make(self, name: str, folder: LabFolder, saves: Path) -> None:
        node = self._spec.node(name)
        domain = assembly.define(self._connection, self._spec, node, folder, kvm=self._kvm)
        console_log.go_back(folder.console(name), self.place / f"{name}.said")
        with translate_errors(f"describing {name}"):
            import libvirt

            text = domain.XMLDesc(libvirt.VIR_DOMAIN_XML_SECURE | libvirt.VIR_DOMAIN_XML_MIGRATABLE)
        with (self.place / f"{name}.save").open("rb") as old, (saves / f"{name}.save").open("wb") as new:
            rewrite_save_header(old, text, new)


@contextmanager
def _alone(how: int = fcntl.LOCK_EX) -> Iterator[None]:
    """Holds what labs share, alone or (LOCK_SH) with others who only read; the kernel lets it go with us."""
    make_folder(PLACE)
    with (PLACE / ".lock").open("w") as file:
        fcntl.flock(file, how)
        yield


def rewrite_save_header(old: BinaryIO, text: str, new: BinaryIO) -> None:
    """Writes a saved memory under another description; CheckpointCorrupt when its format is unknown.

    libvirt itself lets neither a machine's name nor its number be changed (virDomainSaveImageDefineXML).
    """
    head = old.read(HEADER.size)
    magic, version, length, running, packing, cookie = HEADER.unpack(head.ljust(HEADER.size, b"\0"))
    if (magic, version) != (MAGIC, VERSION):
        raise CheckpointCorrupt(f"a saved memory has an unknown format: {magic!r}, version {version}")
    texts = old.read(length)
    described = text.encode() + b"\0"
    rest = texts[cookie:] if cookie else b""
    place = len(described) if rest else 0
    new.write(HEADER.pack(magic, version, len(described) + len(rest), running, packing, place))
    new.write(described + rest)
    new.flush()
    place = HEADER.size + length
    while sent := os.sendfile(new.fileno(), old.fileno(), place, CHUNK):
        place += sent
