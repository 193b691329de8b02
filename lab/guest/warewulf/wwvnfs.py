"""wwvnfs: packs a chroot as a VNFS image and stores it."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from lab.guest.archive import segments
from lab.guest.archive.cpio import TRAILER, TooLargeError, check_sizes
from lab.guest.archive.errors import ArchiveError
from lab.guest.archive.tree import Rules, scan
from lab.guest.system import System
from lab.guest.warewulf import conf, images
from lab.guest.warewulf.errors import WarewulfError
from lab.guest.warewulf.model import Kind
from lab.guest.warewulf.options import Option, Parsed, parse
from lab.guest.warewulf.store import Store

USAGE = """USAGE: wwvnfs [options] NAME
       wwvnfs [options] --chroot PATH

Packs a chroot into a VNFS image, the root file system that nodes boot. Packs only the parts that
changed since the last run. The first run writes its options to /etc/warewulf/vnfs/NAME.conf, which later
runs follow; to leave out more paths for good, add `exclude += /path` there.

   -c, --chroot PATH      the tree to pack (also -r, --root)
   -o, --output FILE      write the image to FILE, not to the data store
   -e, --exclude GLOB     leave out these paths, and not those of the configuration
       --excludefile FILE leave out the paths in FILE, too
       --hybridize GLOB   leave out these paths or link them into the hybrid path, and not those of the
                          configuration
       --hybridizefile FILE  hybridize the paths in FILE, too
       --hybridpath PATH  where nodes find hybridized paths
       --full             pack everything again
   -d, -v, -q, -h         debug, verbose, quiet, show this text
"""

OPTIONS = (
    Option("help", ("help", "h"), flag=True),
    Option("debug", ("debug", "d"), flag=True),
    Option("verbose", ("verbose", "v"), flag=True),
    Option("quiet", ("quiet", "q"), flag=True),
    Option("full", ("full",), flag=True),
    Option("chroot", ("chroot", "c", "root", "r")),
    Option("output", ("output", "o")),
    Option("exclude", ("exclude", "e")),
    Option("excludefile", ("excludefile",)),
    Option("hybridize", ("hybridize",)),
    Option("hybridizefile", ("hybridizefile",)),
    Option("hybridpath", ("hybridpath",)),
    Option("includefile", ("includefile",)),
)
CACHE = "/var/cache/warewulf"
KEPT = ("lock", "manifest")
"""What lies in a cache beside the segments."""
COMPRESSOR = "zstd -q -3"
# Without -n, gzip and pigz write the time into each member, and equal trees would give different images.
TIMELESS = {"gzip": "-n", "pigz": "-n"}


@dataclass(frozen=True)
class PackJob:
    """The settings of one run."""

    name: str
    chroot: str
    output: str
    rules: Rules
    command: tuple[str, ...]
    full: bool
    new_config: str
    """The VNFS's own configuration, to be written; empty if it has one."""


class StepTimer:
    """Prints steps and their times in seconds, in Warewulf's columns."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self.begun = time.perf_counter()

    def say(self, text: str) -> None:
        """Prints a line unless --quiet was given."""
        if not self._quiet:
            sys.stdout.write(text + "\n")
            sys.stdout.flush()

    @contextmanager
    def step(self, label: str) -> Iterator[None]:
        """Prints how long the block took."""
        begun = time.perf_counter()
        yield
        self.took(label, begun)

    def took(self, label: str, begun: float) -> None:
        """Prints a step and the time since it began."""
        self.say(f"{label:<60}: {time.perf_counter() - begun:.2f} s")


def main(arguments: Sequence[str], system: System) -> int:
    """Runs wwvnfs."""
    try:
        parsed = parse(OPTIONS, arguments, _warn)
        if parsed.has("help"):
            sys.stdout.write(USAGE)
            return 0
        if not parsed.words and not parsed.has("chroot"):
            sys.stderr.write(USAGE)
            return 1
        job = _job(system, parsed)
        timer = StepTimer(quiet=parsed.has("quiet"))
        _build(system, job, timer)
    except (WarewulfError, OSError) as error:
        sys.stdout.flush()
        sys.stderr.write(f"ERROR:  {error}\n")
        return 1
    return 0


def _warn(text: str) -> None:
    sys.stderr.write(f"WARNING:  {text}\n")


def _job(system: System, parsed: Parsed) -> PackJob:
    if not system.is_root:
        raise WarewulfError("Only root can read all of a chroot\nhint: use sudo")
    chroot = parsed.one("chroot").rstrip("/")
    name = parsed.words[0] if parsed.words else os.path.basename(chroot)
    images.folder(name)  # raises for an invalid name
    own_file = f"vnfs/{name}.conf"
    new = conf.find(system, own_file) is None
    settings = conf.read(system, "vnfs.conf", own_file)
    for problem in settings.problems:
        _warn(problem)
    chroot = chroot or settings.one("chroot")
    if not chroot or not system.is_dir(chroot):
        raise WarewulfError(f"Path to chroot is not valid ('{chroot}')")
    if not os.path.lexists(system.path(f"{chroot}/sbin/init")):
        raise WarewulfError("Can not find /sbin/init in your VNFS!")
    return _job_of(system, parsed, settings, name, chroot, new_config=new)


def _job_of(
    system: System, parsed: Parsed, settings: conf.Config, name: str, chroot: str, *, new_config: bool
) -> PackJob:
    hybridpath = (parsed.one("hybridpath") or settings.one("hybridpath")).replace("%{name}", name).rstrip("/")
    if hybridpath and not _is_mounted(system, chroot, hybridpath):
        _warn(f"The hybrid path {hybridpath} is not mounted by {chroot}/etc/fstab")
    exclude = _paths(system, parsed, settings, "exclude")
    # `excludes` is the former name of `hybridize`; the command line does not replace it.
    hybridize = [*_paths(system, parsed, settings, "hybridize"), *settings.many("excludes")]
    return PackJob(
        name=name,
        chroot=os.path.abspath(chroot),
        output=parsed.one("output") or settings.one("output"),
        rules=Rules(_absolute(exclude), _absolute(hybridize), hybridpath),
        command=_compressor(settings.one("gzip command", COMPRESSOR)),
        full=parsed.has("full"),
        new_config=_own_config(parsed, chroot) if new_config else "",
    )


def _paths(system: System, parsed: Parsed, settings: conf.Config, key: str) -> list[str]:
    """The paths of `exclude` or `hybridize`, as in vnfs/bin/wwvnfs.

    Paths on the command line replace those of the configuration and of any file. A file on the command line
    replaces the configuration's file and adds to its paths.
    """
    if parsed.has(key):
        return list(parsed.listed(key))
    path = parsed.one(f"{key}file") or settings.one(f"{key}file")
    lines = system.text(path).splitlines() if path else []
    return [*settings.many(key), *(line.strip() for line in lines if line.strip())]


def _absolute(paths: Sequence[str]) -> list[str]:
    for path in paths:
        if not path.startswith("/"):
            _warn(f"Not an absolute path, so nothing is left out: {path}")
    return [path for path in paths if path.startswith("/")]


def _is_mounted(system: System, chroot: str, path: str) -> bool:
    rows = [line.split() for line in system.text(f"{chroot}/etc/fstab", "").splitlines()]
    places = [row[1].rstrip("/") for row in rows if len(row) > 2 and row[1].startswith("/") and row[1] != "/"]
    return any(path.startswith(place) for place in places)


def _compressor(text: str) -> tuple[str, ...]:
    words = text.split()
    if shutil.which(words[0]) is None:
        raise WarewulfError(f"{words[0]}: not found ('gzip command' in {conf.FOLDER}/vnfs.conf)")
    flag = TIMELESS.get(os.path.basename(words[0]))
    return (*words, flag) if flag and flag not in words else tuple(words)


def _build(system: System, job: PackJob, timer: StepTimer) -> None:
    timer.say(f"Using '{job.name}' as the VNFS name")
    timer.say(f"Creating VNFS image from {job.name}")
    cache = f"{CACHE}/{job.name}"
    system.make_dir(cache, 0o700)
    with _alone(system, f"{cache}/lock"), _explained():
        if job.output:
            _to_file(system, job, timer, cache)
        else:
            _to_store(system, job, timer, cache)
    if job.new_config:
        path = f"{conf.FOLDER}/vnfs/{job.name}.conf"
        system.write(path, job.new_config.encode())
        timer.say(f"Wrote a new configuration file at: {path}")
    timer.took("Total elapsed time", timer.begun)


@contextmanager
def _explained() -> Iterator[None]:
    """Adds what to type next to the errors of packing."""
    try:
        yield
    except TooLargeError as error:
        raise WarewulfError(
            f"{error}\nhint: remove it, or add `exclude += /{error.path}` to /etc/warewulf/vnfs.conf"
        ) from error
    except segments.ChangedError as error:
        raise WarewulfError(f"{error}\nhint: run wwvnfs again") from error
    except ArchiveError as error:
        raise WarewulfError(str(error)) from error


@contextmanager
def _alone(system: System, path: str) -> Iterator[None]:
    """Lets only one run per VNFS work at a time. The kernel releases the lock when the process ends."""
    with open(system.path(path), "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            _warn("Another wwvnfs is packing this VNFS; waiting until it ends")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _own_config(parsed: Parsed, chroot: str) -> str:
    """The configuration that the first run writes: what its command line says (vnfs/bin/wwvnfs, the end)."""
    given = {key: parsed.one(key) for key in ("output", "hybridpath", "excludefile", "hybridizefile")}
    rows = [f"chroot = {os.path.abspath(chroot)}"]
    rows += [f"{key} = {value}" if value else f"# {key} =" for key, value in given.items()]
    for key in ("exclude", "hybridize"):
        rows += [f"{key} += {path}" for path in parsed.listed(key)] or [f"# {key} += /path"]
    head = "# Settings of this VNFS; those of all are in vnfs.conf. Options of wwvnfs replace both.\n"
    return head + "".join(f"{row}\n" for row in rows)


@dataclass(frozen=True)
class Archive:
    """The segment files of an image, and its compressed trailer."""

    files: tuple[str, ...]
    trailer: bytes

    @property
    def names(self) -> list[str]:
        """The segments' names in the cache."""
        return [os.path.basename(file) for file in self.files]


def _archive(
    system: System, job: PackJob, timer: StepTimer, cache: str, current: list[str]
) -> Archive | None:
    """Packs the tree; None if its segments are those in `current`, so that there is nothing to do."""
    with timer.step("Compiling hybridization link tree"):
        pass  # hybrid links are made while the list is built, but Warewulf prints this step
    with timer.step("Building file list"):
        started = time.time_ns()
        items = scan(os.fsencode(system.path(job.chroot)), job.rules)
        check_sizes(item.entry for item in items)
        cut = segments.cut(items, _salt(system, job))
    begun = time.perf_counter()
    digests = [segment.digest for segment in cut]
    if digests == current and not job.full:
        timer.took("Compiling and compressing VNFS", begun)
        return None
    folder = system.path(cache)
    if job.full:
        segments.tidy(folder, ("lock",))
    workers = os.cpu_count() or 1
    files = segments.pack(system, cut, folder, job.command, workers=workers, started_ns=started)
    trailer = segments.compressed(system, TRAILER, job.command)
    timer.took("Compiling and compressing VNFS", begun)
    return Archive(tuple(files), trailer)


def _salt(system: System, job: PackJob) -> str:
    # Another version of the compressor may write different bytes for the same input.
    version = system.run([job.command[0], "--version"]).out.decode(errors="replace")
    return f"{job.command} {version}"


def _to_file(system: System, job: PackJob, timer: StepTimer, cache: str) -> None:
    archive = _archive(system, job, timer, cache, [])
    if archive is None:  # impossible: every tree has segments
        return
    output = f"{job.output.rstrip('/')}/{job.name}.vnfs" if system.is_dir(job.output) else job.output
    system.make_dir(os.path.dirname(os.path.abspath(output)))
    with timer.step("Writing the image"), system.replacing(output, 0o600) as temporary:
        segments.join(archive.files, temporary, archive.trailer)
    timer.say(f"Wrote VNFS image to {output}")
    segments.tidy(system.path(cache), (*archive.names, *KEPT))


def _to_store(system: System, job: PackJob, timer: StepTimer, cache: str) -> None:
    store = Store(system)
    manifest = f"{cache}/manifest"
    known = json.loads(system.text(manifest, "{}") or "{}")
    record = store.named(Kind.VNFS, job.name)
    current = images.is_current(system, record, known.get("checksum", ""), known.get("size", -1))
    archive = _archive(system, job, timer, cache, known["segments"] if current else [])
    with timer.step("Adding image to datastore"):
        place = images.folder(job.name)
        system.make_dir(place)
        values = {"ARCH": os.uname().machine, "CHROOT": job.chroot}
        if archive is not None:
            temporary = f"{system.path(place)}/.image.new"  # the lock excludes other writers
            checksum, size = segments.join(archive.files, temporary, archive.trailer)
            images.guard(system, temporary)
            os.rename(temporary, system.path(f"{place}/image.{checksum}"))
            values |= {"CHECKSUM": checksum, "SIZE": str(size)}
        record = images.describe(store, job.name, values)
        images.prune(system, record)
        if archive is not None:
            made = {"segments": archive.names, "checksum": values["CHECKSUM"], "size": int(values["SIZE"])}
            system.write(manifest, json.dumps(made).encode(), 0o600)
            segments.tidy(system.path(cache), (*archive.names, *KEPT))
    store.close()
