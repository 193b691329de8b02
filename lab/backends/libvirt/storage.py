"""Files of virtual machines on this computer: base disks by content, one folder a lab."""

from __future__ import annotations

import os
import pwd
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from lab.backends.editions import edition
from lab.backends.libvirt import engine, socket_names
from lab.errors import LabError
from lab.host_speed import measured_limit
from lab.model import PendingBoot
from lab.paths import PACKAGE, account_locks, kept_state, private_folder
from lab.process import run
from lab.serialize import boot_to_json

SYSTEM = Path("/var/lib/libvirt/images/rackling")
"""Where root's machines may read: libvirt's usual place, which its AppArmor profiles know."""


def root_folder() -> Path:
    """Where all files of machines are: a user who has libvirt to themselves keeps them at home."""
    return kept_state(os.environ) / "machines" if engine.is_session() else SYSTEM


ROOT = root_folder()
PARTS = (".raw", ".kernel", ".initrd")
MAKER = PACKAGE / "guest/files/chassis/disks"
IDENTITY_MIB = 16
DISK_MODE = 0o600  # libvirt gives a disk to the account of machines
BY_BOOT, HALF, AWAKE = "booted", "half", "awake"
"""How a lab that was never ready yet was created: by a boot, or from a checkpoint, in part or completely."""
SOCKET_PATH, SOCKET_NAME = 107, 30
"""Bytes that a socket's path may have (unix(7), sun_path); those that our longest names and ssh take."""
BUILD = "lab --backend libvirt images build"
FULL = "df -h {}"
CLOSED = "sudo lab …, where root's libvirt is meant; else name a folder of yours: export XDG_STATE_HOME=…"


@dataclass(frozen=True)
class Base:
    """A disk that labs start from: never changed, as overlays of labs lie on it."""

    disk: Path
    kernel: Path
    initrd: Path

    def share(self) -> None:
        """Lets machines read its disk, which holds no secret, and not write to it (vms/domain.xml).

        The kernel and the initial file system are for machines alone: libvirt gives both to their account
        while one of them runs.
        """
        if not engine.is_session():
            os.chown(self.disk, os.geteuid(), -1)  # libvirt gave it away, for machines of earlier versions
            self.disk.chmod(0o644)
        for path in (self.kernel, self.initrd):  # 0644 in bases of earlier versions
            path.chmod(DISK_MODE)


class DiskStore:
    """The base disks, by name and key; LAB_IMAGES names the edition that labs are made of."""

    def __init__(self, root: Path = ROOT) -> None:
        self.folder = root / "base"

    def look(self, name: str, key: str) -> tuple[int, str]:
        """Bytes on this disk and time of making; (0, "") when there is none."""
        found = [self.folder / f"{name}-{key}{part}" for part in PARTS]
        if not all(path.exists() for path in found):
            return 0, ""
        made = datetime.fromtimestamp(found[0].stat().st_mtime, UTC).isoformat(timespec="seconds")
        return sum(path.stat().st_blocks * 512 for path in found), made

    @contextmanager
    def making(self, name: str, key: str) -> Iterator[Path]:
        """Yields the start of file names to write to; they take their places when all went well."""
        make_folder(self.folder)
        unfinished = self.folder / f"{name}-{key}.part"
        try:
            yield unfinished
            for part in reversed(PARTS):  # the disk last: with it the base is whole
                Path(f"{unfinished}{part}").chmod(DISK_MODE)
                Path(f"{unfinished}{part}").rename(self.folder / f"{name}-{key}{part}")
        finally:
            for part in PARTS:
                Path(f"{unfinished}{part}").unlink(missing_ok=True)

    def use(self, name: str, key: str) -> None:
        """Makes a base the one that labs are made of from now on, and removes those nobody needs."""
        link = self.folder / f"{name}.{edition()}"
        fresh = link.with_name(f"{link.name}.new")
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(f"{name}-{key}.raw")
        fresh.replace(link)
        self._prune(name)

    def current(self, name: str) -> Base:
        """The base labs are made of; LabError when none was ever built."""
        link = self.folder / f"{name}.{edition()}"
        if not link.exists():
            raise LabError(f"the disk of {name} has not been built", hint=BUILD)
        disk = link.resolve()
        return Base(disk, disk.with_suffix(".kernel"), disk.with_suffix(".initrd"))

    def _prune(self, name: str) -> None:
        kept = {link.resolve() for link in self.folder.glob(f"{name}.*") if link.is_symlink()}
        kept |= {path.resolve() for path in self.folder.parent.glob("labs/*/*.base")}
        for disk in self.folder.glob(f"{name}-*.raw"):
            if disk not in kept and ".part" not in disk.name:
                for part in PARTS:
                    disk.with_suffix(part).unlink(missing_ok=True)
        for link in self.folder.parent.glob("golden/*/*.base"):
            if not link.exists():  # of no use without it
                shutil.rmtree(link.parent, ignore_errors=True)


class LabFolder:
    """The files of one lab: disks, consoles, the door's key. All of them go with the lab."""

    def __init__(self, lab: str, root: Path = ROOT) -> None:
        self.path = root / "labs" / lab

    def make(self) -> None:
        """Makes the folder, and the key that opens the machines' doors; what is there stays."""
        if len(os.fsencode(self.path)) > SOCKET_PATH - SOCKET_NAME:
            raise LabError(
                "the folder of the lab has too long a name: sockets in it could not be reached",
                evidence=f"{self.path} (a socket's path has {SOCKET_PATH} bytes at most)",
                hint="give the lab a shorter name, or: export XDG_STATE_HOME=/var/tmp/$USER",
            )
        make_folder(self.path)
        self._close_to_others()
        if not self.key.exists():
            unfinished = self.path / "key.new"
            unfinished.unlink(missing_ok=True)
            run(
                ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "lab", "-f", str(unfinished)],
                timeout=measured_limit(20),
            )
            Path(f"{unfinished}.pub").rename(self.path / "key.pub")
            unfinished.rename(self.key)

    def _close_to_others(self) -> None:
        """Only the machines' processes may pass, by their group; where it is not known, everybody may."""
        if engine.is_session():  # they run as we do
            self.path.chmod(0o700)
            return
        for user in ("libvirt-qemu", "qemu"):
            try:
                os.chown(self.path, -1, pwd.getpwnam(user).pw_gid)
            except KeyError:
                continue
            self.path.chmod(0o710)
            return

    def note(self, path: Path, text: str) -> None:
        """Writes one of the small files below; LabError when there is no room for it."""
        try:
            path.write_text(text, encoding="utf-8")
        except OSError as problem:
            hint = FULL.format(self.path)
            raise LabError(f"cannot write to {self.path}", evidence=str(problem), hint=hint) from problem

    def note_boot(self, boot: PendingBoot | None) -> None:
        """Writes which nodes boot; None removes it. A lab without a folder is about to be made: no record."""
        if boot is None:
            self.booting.unlink(missing_ok=True)
        elif self.path.is_dir():
            self.note(self.booting, boot_to_json(boot))

    @property
    def unsettled(self) -> Path:
        """There from the first moment of a lab until it has stood well once: holds how it was made."""
        return self.path / "unsettled"

    @property
    def is_half_made(self) -> bool:
        """Whether the restoring of a lab from a checkpoint was interrupted, or is in progress."""
        return self.unsettled.exists() and self.unsettled.read_text() == HALF

    @property
    def pending(self) -> Path:
        """There while the lab is on its way to a snapshot: holds its name."""
        return self.path / "pending"

    @property
    def booting(self) -> Path:
        """There while nodes boot that nobody has seen ready: holds which (lab.model, PendingBoot)."""
        return self.path / "booting"

    @property
    def key(self) -> Path:
        """The private key; for its owner only."""
        return self.path / "key"

    @property
    def public_key(self) -> str:
        """One line `ssh-ed25519 BASE64`."""
        return " ".join((self.path / "key.pub").read_text().split()[:2])

    def door(self, node: str) -> Path:
        """The socket behind which a machine's door is."""
        return self.path / f"{node}.door"

    def clock(self, node: str) -> Path:
        """The socket where a machine is told the time."""
        return self.path / f"{node}.clock"

    def wire(self, node: str, network: str) -> Path:
        """The socket of a machine's card, where there are no bridges."""
        return self.path / socket_names.WIRE.format(node=node, network=network)

    def switch(self, network: str) -> Path:
        """The socket of a network, where there are no bridges."""
        return self.path / socket_names.SWITCH.format(network=network)

    def console(self, node: str) -> Path:
        """What a machine wrote to its console; the logging daemon keeps older parts as .0 and .1."""
        return self.path / f"{node}.console"

    def disk(self, node: str, letter: str) -> Path:
        """A machine's disk, by the last letter of its name there."""
        return self.path / f"{node}-vd{letter}.img"

    def base_of(self, node: str) -> Base:
        """The base a machine's disk lies on."""
        disk = (self.path / f"{node}.base").resolve()
        return Base(disk, disk.with_suffix(".kernel"), disk.with_suffix(".initrd"))

    def make_system_disk(
        self, node: str, store: DiskStore, *, anew: bool = False, base_name: str = "sms"
    ) -> None:
        """An empty layer over the base of today; one that is there stays, or begins anew over its own."""
        disk = self.disk(node, "a")
        link = self.path / f"{node}.base"
        if disk.exists() and link.exists() and not anew:
            return
        base = self.base_of(node) if link.exists() else store.current(base_name)
        base.share()
        unfinished = disk.with_suffix(".new")
        run(
            ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", str(base.disk), str(unfinished)],
            timeout=measured_limit(60),
        )
        link.unlink(missing_ok=True)
        link.symlink_to(base.disk)
        _put(unfinished, disk)

    def make_identity_disk(self, node: str) -> None:
        """A small disk for what outlives every reset; one that is there stays."""
        disk = self.disk(node, "b")
        if disk.exists():
            return
        unfinished = disk.with_suffix(".new")
        unfinished.unlink(missing_ok=True)
        run(
            ["mke2fs", "-q", "-F", "-t", "ext4", "-L", "identity", str(unfinished), f"{IDENTITY_MIB}M"],
            timeout=measured_limit(60),
            environ={"PATH": search_path()},
        )
        _put(unfinished, disk)

    def make_node_disk(self, node: str, size: int, *, anew: bool = False) -> None:
        """A disk of so many GiB as the course hands it out; one that is there stays, or begins anew."""
        disk = self.disk(node, "a")
        if anew:
            disk.unlink(missing_ok=True)
        if not disk.exists():
            make = ["sh", str(MAKER), "make", disk.stem, str(size)]
            run(make, timeout=measured_limit(60), environ={"DISKS": str(self.path), "PATH": search_path()})
            disk.chmod(DISK_MODE)

    def forget(self, node: str) -> None:
        """Removes a machine's files."""
        for path in (*self.path.glob(f"{node}-*"), *self.path.glob(f"{node}.*")):
            path.unlink(missing_ok=True)

    def remove(self) -> None:
        """Removes everything."""
        if self.path.exists():
            shutil.rmtree(self.path)


def _put(unfinished: Path, disk: Path) -> None:
    """Puts a disk in its place, once it is whole and closed."""
    unfinished.chmod(DISK_MODE)
    unfinished.rename(disk)


def search_path() -> str:
    """Where programs are looked for: an ordinary user's PATH often leaves out root's folders."""
    return f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"


def lab_names(root: Path = ROOT) -> list[str]:
    """The labs that have files here, whether or not anything else is left of them."""
    folder = root / "labs"
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


def lock_folder() -> Path:
    """Where the labs' locks are: one folder for all who may use this libvirt; made but for the last one."""
    if engine.is_session():
        folder = account_locks(os.environ)
        make_folder(folder.parent)
        return folder
    make_folder(SYSTEM)
    return SYSTEM / "locks"


def make_folder(folder: Path) -> None:
    """Makes a folder that the machines' processes may pass through but not list, whatever the umask is.

    Where they run as we do, others may not even pass.
    """
    try:
        if engine.is_session():
            private_folder(folder)
        else:
            _make_passable(folder)
    except OSError as problem:
        hint = CLOSED if isinstance(problem, PermissionError) else FULL.format(folder.parent)
        raise LabError(f"cannot make {folder}", evidence=str(problem), hint=hint) from problem
    if not os.access(folder, os.W_OK):
        raise LabError(f"cannot write to {folder}", hint=CLOSED)


def _make_passable(folder: Path) -> None:
    for place in (*reversed(folder.parents), folder):
        if not place.is_dir():
            place.mkdir(mode=0o711, exist_ok=True)
            place.chmod(0o711)
        elif SYSTEM in (place, place.parent) and place.stat().st_uid == os.geteuid():
            # Closed, no machine would start. What lies below, the folders of labs, is more closed than this.
            place.chmod(0o711)


def make_closed_folder(folder: Path) -> None:
    """Makes a folder that not even machines may pass: libvirt opens what is in it for them, as root."""
    make_folder(folder)
    folder.chmod(0o700)
