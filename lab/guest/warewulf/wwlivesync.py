"""wwlivesync: brings running nodes to the state of their VNFS's chroot, without a reboot.

Warewulf runs rsync, which the nodes of this lab do not have. Here the files that differ travel in one tar
archive a node; as with Warewulf, files that are gone from the chroot stay on the nodes.
"""

from __future__ import annotations

import os
import shlex
import stat
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lab.guest.archive.tree import Item, Rules, scan
from lab.guest.system import System
from lab.guest.warewulf import conf
from lab.guest.warewulf.cmd_admin import SSH
from lab.guest.warewulf.errors import WarewulfError
from lab.guest.warewulf.lookup import select
from lab.guest.warewulf.model import Kind, Record
from lab.guest.warewulf.options import Option, Parsed, parse
from lab.guest.warewulf.session import Flags, Session

USAGE = """USAGE: wwlivesync [options] NODE ...

Copies what has changed in a VNFS's chroot to running nodes. Good for small changes; a node with a new
libc or kernel needs a reboot.

   -l, --lookup FIELD   field that the names on the line refer to (default: name)
   -f, --files A,B      only these paths of the chroot, and what is below them
       --show           only show what would be copied
       --logdir PATH    folder of one log per node (default: /var/log/wwlivesync)
   -d, -v, -q, -h       debug, verbose, quiet, show this text

Never copied: what /etc/warewulf/livesync.conf and vnfs.conf exclude, mount points in the chroot's fstab, and
files that Warewulf delivers to the node.
"""
OPTIONS = (
    Option("help", ("help", "h"), flag=True),
    Option("debug", ("debug", "d"), flag=True),
    Option("verbose", ("verbose", "v"), flag=True),
    Option("quiet", ("quiet", "q"), flag=True),
    Option("show", ("show",), flag=True),
    Option("lookup", ("lookup", "l")),
    Option("files", ("files", "f")),
    Option("logdir", ("logdir",)),
)
ALWAYS_LEFT = ("/etc/machine-id", "/proc", "/sys", "/dev", "/run", "/tmp")  # noqa: S108 (a path that is not touched)
REMOTE_ROOT = "/"
Kept = Mapping[bytes, "tuple[str, ...]"]
"""What a node has: each path with its attributes."""


@dataclass(frozen=True)
class Job:
    """What one node is to get: the paths of a chroot that may be copied there."""

    node: str
    chroot: str
    items: tuple[Item, ...]


Scans = dict[tuple[str, ...], list[Item]]
"""The files of a chroot, by it and the paths that are left out: most nodes have both in common."""


def main(arguments: Sequence[str], system: System) -> int:
    """Runs wwlivesync."""
    session = Session(system, Flags(yes=True), out=sys.stdout, err=sys.stderr, terminal=False)
    try:
        parsed = parse(OPTIONS, arguments, session.warning)
        session.flags = Flags(yes=True, quiet=parsed.has("quiet"), verbose=parsed.has("verbose"))
        if parsed.has("help") or not parsed.words:
            session.row(USAGE.rstrip())
            return 1
        return 0 if _synced(session, parsed) else 1
    except (WarewulfError, OSError) as error:
        session.error(str(error))
        return 1
    finally:
        session.close()


def _synced(session: Session, parsed: Parsed) -> bool:
    if not session.system.is_root:
        raise WarewulfError("Only root can read all of a chroot\nhint: use sudo")
    nodes = select(session.store.records(Kind.NODE), parsed.words, parsed.one("lookup", "name"))
    if not nodes:
        session.notice("No nodes found")
        return False
    live = conf.read(session.system, "livesync.conf")
    scans: Scans = {}
    jobs = [_job(session, parsed, node, live, scans) for node in nodes]
    logs = parsed.one("logdir") or live.one("logdir", "/var/log/wwlivesync")
    ready = [job for job in jobs if job is not None]
    done = [_sync(session, job, logs, show=parsed.has("show")) for job in ready]
    return all(done) and len(ready) == len(nodes)


def _job(session: Session, parsed: Parsed, node: Record, live: conf.Config, scans: Scans) -> Job | None:
    """The files that a node may get; None, after a warning, if it has no chroot."""
    system = session.system
    vnfs = session.store.referred(Kind.VNFS, node.one("VNFSID"))
    if vnfs is None:
        session.warning(
            f"VNFS not defined for node: {node.name}\nhint: wwsh provision set {node.name} --vnfs=NAME"
        )
        return None
    settings = conf.read(system, "vnfs.conf", f"vnfs/{vnfs.name}.conf")
    chroot = vnfs.one("CHROOT") or settings.one("chroot")
    if not chroot or not system.is_dir(chroot):
        session.warning(
            f"Unknown VNFS chroot location for VNFS: {vnfs.name}\nhint: wwsh vnfs list {vnfs.name}"
        )
        return None
    left = [*ALWAYS_LEFT, *_mount_points(system, chroot), *_delivered(session, node)]
    left += [
        path
        for key in ("exclude", "hybridize", "livesync skiplist", "skip list")
        for path in settings.many(key)
    ]
    left += [path for key in ("exclude", "skip list") for path in live.many(key)]
    key = (chroot, *left)
    if key not in scans:
        scans[key] = scan(os.fsencode(system.path(chroot)), Rules(left))
    items = scans[key]
    wanted = tuple(os.fsencode(path.strip("/").removeprefix("./")) + b"/" for path in parsed.listed("files"))
    if wanted:
        items = [one for one in items if (one.entry.path + b"/").startswith(wanted)]
    return Job(node.name, system.path(chroot), tuple(items))


def _mount_points(system: System, chroot: str) -> list[str]:
    rows = [line.split() for line in system.text(f"{chroot}/etc/fstab", "").splitlines()]
    return [
        row[1] for row in rows if len(row) > 1 and not row[0].startswith("#") and row[1] not in ("/", "none")
    ]


def _delivered(session: Session, node: Record) -> list[str]:
    """The paths of the files that the node gets from the data store."""
    files = [session.store.referred(Kind.FILE, number) for number in node.many("FILEIDS")]
    return [one.one("PATH") for one in files if one is not None and one.one("PATH")]


def _sync(session: Session, job: Job, logs: str, *, show: bool) -> bool:
    """Copies what differs to one node, and says how that went."""
    kept = _on_node(session.system, job.node)
    if isinstance(kept, str):
        session.row(f"{job.node}: fail")
        return session.error(f"{job.node}: {kept}\nhint: ssh {job.node} true")
    paths = [
        one.entry.path
        for one in job.items
        if one.entry.path != b"." and kept.get(one.entry.path) != _looks(job.chroot, one)
    ]
    names = [os.fsdecode(path) for path in paths]
    if show:
        for name in names:
            session.row(f"{job.node}: /{name}")
        return True
    complaint = _sent(session.system, job, paths) if paths else ""
    log = "".join(f"{name}\n" for name in names) + complaint
    session.system.write(f"{logs}/{job.node}.log", log.encode("utf-8", "surrogateescape"))
    session.info(f"{job.node}: {len(paths)} paths differ")
    session.row(f"{job.node}: {'fail' if complaint else 'done'}")
    return not complaint or session.error(f"{job.node}: {complaint.strip()}\nhint: cat {logs}/{job.node}.log")


_FIND = r"find . -xdev -printf '%P\0%y %m %U %G %s %Ts %l\0'"


def _on_node(system: System, node: str) -> Kept | str:
    """All files of a node with their attributes; a message if it does not answer."""
    done = system.run([*SSH, node, f"cd {REMOTE_ROOT} && LC_ALL=C {_FIND} 2>/dev/null; true"])
    if done.status:
        return done.err.decode(errors="replace").strip() or f"ssh ended with status {done.status}"
    words = done.out.split(b"\0")
    return {path: _attributes(text) for path, text in zip(words[::2], words[1::2])}


def _attributes(text: bytes) -> tuple[str, ...]:
    kind, mode, uid, gid, size, changed, target = os.fsdecode(text).split(" ", 6)
    if kind == "f":
        return kind, mode, uid, gid, size, changed
    return (kind, uid, gid, target) if kind == "l" else (kind, mode, uid, gid)


def _looks(chroot: str, item: Item) -> tuple[str, ...]:
    """The attributes of a file of the chroot, as `find` prints those of the node's."""
    entry = item.entry
    kind, owner = stat.filemode(entry.mode)[0].replace("-", "f"), (str(entry.uid), str(entry.gid))
    if kind == "l":
        return (kind, *owner, os.fsdecode(item.data))
    mode = f"{stat.S_IMODE(entry.mode):o}"
    if kind == "f":
        # Of a file with several names, only one entry has the size.
        path = os.path.join(os.fsencode(chroot), entry.path)
        size = entry.size if entry.nlink == 1 else os.lstat(path).st_size
        return (kind, mode, *owner, str(size), str(entry.mtime))
    return (kind, mode, *owner)


def _sent(system: System, job: Job, paths: Sequence[bytes]) -> str:
    """Packs the paths and unpacks them on the node; returns what went wrong."""
    with tempfile.NamedTemporaryFile(prefix="wwlivesync.") as names:
        names.write(b"\0".join(paths))
        names.flush()
        pack = [
            "tar",
            "-C",
            job.chroot,
            "--null",
            "--no-recursion",
            "--numeric-owner",
            "-T",
            names.name,
            "-cf",
            "-",
        ]
        unpack = [*SSH, job.node, f"tar -C {REMOTE_ROOT} --numeric-owner -xpf -"]
        done = system.run(["sh", "-c", f"{shlex.join(pack)} | {shlex.join(unpack)}"])
    return done.err.decode(errors="replace") or f"ssh ended with status {done.status}" if done.status else ""
