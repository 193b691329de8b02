"""wwbootstrap: builds a bootstrap, the kernel and drivers that nodes start with."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Sequence

from lab.guest.system import System
from lab.guest.warewulf import bootstraps, conf, drivers
from lab.guest.warewulf.errors import WarewulfError
from lab.guest.warewulf.model import Kind
from lab.guest.warewulf.options import Option, Parsed, parse
from lab.guest.warewulf.session import Flags, Session

USAGE = """USAGE: /usr/bin/wwbootstrap [options] kernel_version

Builds a bootstrap, the kernel and drivers that nodes boot, as configured in /etc/warewulf/bootstrap.conf.

   -c, --chroot DIR    take kernel, modules and firmware from DIR (also -r, --root)
   -k, --kernel NAME   look for boot/NAME-VERSION (default: vmlinuz); also the path of a file
   -u, --ucode FILE    processor microcode; has no effect in this lab
       --config NAME   read /etc/warewulf/bootstrap/NAME, not bootstrap.conf; also a path
   -n, --name NAME     name of the bootstrap (default: the kernel version)
   -o, --output FILE   write the bootstrap to FILE, not to the data store (also -f)
   -d, -v, -h          debug, verbose, show this text
"""

OPTIONS = (
    Option("help", ("help", "h"), flag=True),
    Option("debug", ("debug", "d"), flag=True),
    Option("verbose", ("verbose", "v"), flag=True),
    Option("chroot", ("chroot", "c", "root", "r")),
    Option("kernel", ("kernel", "k")),
    Option("ucode", ("ucode", "u")),
    Option("config", ("config",)),
    Option("name", ("name", "n")),
    Option("output", ("output", "o", "f")),
)
CACHE = "/var/cache/warewulf/.drivers"


def main(arguments: Sequence[str], system: System) -> int:
    """Runs wwbootstrap."""
    terminal = sys.stdin.isatty() and sys.stdout.isatty()
    session = Session(system, Flags(), out=sys.stdout, err=sys.stderr, terminal=terminal)
    try:
        parsed = parse(OPTIONS, arguments, session.warning)
        if parsed.has("help"):
            sys.stdout.write(USAGE)
            return 0
        if len(parsed.words) != 1:
            sys.stderr.write(USAGE)
            return 1
        return 0 if _make(session, parsed) else 1
    except (WarewulfError, OSError) as error:
        session.error(str(error))
        return 1
    finally:
        session.close()


def _make(session: Session, parsed: Parsed) -> bool:
    system = session.system
    version = parsed.words[0]
    name = parsed.one("name") or version
    if not bootstraps.NAME.match(version):
        raise WarewulfError(f"'{version}' contains invalid characters")
    bootstraps.check_name(name)
    if not system.is_root:
        raise WarewulfError("Only root can make bootstraps\nhint: use sudo")
    chroot = os.path.abspath(parsed.one("chroot", "/"))
    kernel = parsed.one("kernel", "vmlinuz")
    if "/" not in kernel:
        # Warewulf's --kernel is the beginning of the file's name; here it may also be a path.
        kernel = os.path.join(chroot, "boot", f"{kernel}-{version}")
    if parsed.has("ucode") and not system.is_file(parsed.one("ucode")):
        raise WarewulfError(f"Can't locate the specified CPU microcode initrd: {parsed.one('ucode')}")
    if not system.is_file(kernel):
        raise WarewulfError(f"Can't locate the boot kernel: {kernel}\nhint: ls {os.path.dirname(kernel)}")
    # Always the SMS's configuration, also for a kernel from a chroot.
    settings = conf.read(system, _configuration(system, parsed.one("config")))
    for problem in settings.problems:
        session.warning(problem)
    if not settings.values:
        session.warning("No drivers: bootstrap.conf is missing or empty\nhint: wwinit bootstrap")
    where = drivers.source(system, chroot, version)
    if not system.is_file(f"{where.modules}/modules.dep"):
        session.warning(f"No modules for this kernel: {where.modules}/modules.dep does not exist")
    found = _collected(system, where, settings)
    session.row(f"Number of drivers included in bootstrap: {found.modules}")
    session.row(f"Number of firmware images included in bootstrap: {found.firmware}")
    session.row("Building and compressing bootstrap")
    data = bootstraps.bundle(system.read(kernel), found.archive)
    if parsed.has("output"):
        system.write(parsed.one("output"), data)
    else:
        _import(session, name, data)
    session.row("Done.")
    return True


def _configuration(system: System, given: str) -> str:
    """The name of the configuration to read; one that the user names must exist, unlike bootstrap.conf."""
    if not given:
        return "bootstrap.conf"
    # Warewulf's wwbootstrap looks in the folder `bootstrap` only; here also /etc/warewulf itself, and paths.
    names = [given] if given.startswith("/") else [f"bootstrap/{given}", given]
    found = next((name for name in names if conf.find(system, name) is not None), None)
    if found is None:
        places = " or ".join(name if name.startswith("/") else f"{conf.FOLDER}/{name}" for name in names)
        raise WarewulfError(f"No configuration '{given}': {places} does not exist\nhint: ls {conf.FOLDER}")
    return found


def _collected(system: System, where: drivers.Source, settings: conf.Config) -> drivers.Drivers:
    """The packed drivers; reuses those of the last run if nothing that they depend on has changed."""
    key = _digest(system, where, settings)
    kept = f"{CACHE}/{where.version}"
    head, _, archive = (system.read(kept) if system.is_file(kept) else b"").partition(b"\n")
    words = head.decode(errors="replace").split()
    if len(words) == 3 and words[0] == key:
        return drivers.Drivers(archive, int(words[1]), int(words[2]))
    found = drivers.collect(system, where, settings)
    system.make_dir(CACHE, 0o700)
    system.write(kept, f"{key} {found.modules} {found.firmware}\n".encode() + found.archive)
    return found


def _digest(system: System, where: drivers.Source, settings: conf.Config) -> str:
    digest = hashlib.blake2b(repr((where, sorted(settings.values.items()))).encode(), digest_size=20)
    places = [bootstraps.BASE, where.modules]
    places += [where.firmware] if settings.many("firmware") else []
    for place in places:
        for folder, folders, names in os.walk(system.path(place)):
            folders.sort()
            for name in sorted(names):
                info = os.lstat(os.path.join(folder, name))
                digest.update(repr((folder, name, info.st_size, info.st_mtime_ns)).encode())
    return digest.hexdigest()


def _import(session: Session, name: str, data: bytes) -> None:
    known = session.store.named(Kind.BOOTSTRAP, name) is not None
    if known and not session.may_overwrite(name):
        return  # As in Warewulf: the old bootstrap stays, and the program still ends with `Done.`
    record = bootstraps.keep(session.system, session.store, name, data, os.uname().machine)
    bootstraps.build(session.system, record, session.row)
    session.changed()
    session.apply_events()
