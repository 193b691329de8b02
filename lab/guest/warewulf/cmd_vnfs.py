"""wwsh vnfs: root file systems of nodes."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Sequence

from lab.guest.warewulf import images
from lab.guest.warewulf.lookup import select
from lab.guest.warewulf.model import UNDEF, Kind, Record
from lab.guest.warewulf.options import Option, Parsed, parse
from lab.guest.warewulf.session import Session, change_line

HELP = """USAGE: wwsh vnfs COMMAND [options] [name ...]

Commands:
   import       PATH: take an image file into the data store
   export       NAME PATH: write an image to a file
   set          change name, architecture, chroot
   list, print  one line for each VNFS
   delete       forget VNFS images
   help         this text

Options:
   -l, --lookup FIELD   what the names on the line are (default: name)
   -n, --name NAME  -a, --arch ARCH  -c, --chroot PATH
   -1                   with list: names only, one a line

Images are usually made by wwvnfs."""

OPTIONS = (
    Option("lookup", ("lookup", "l")),
    Option("name", ("name", "n")),
    Option("arch", ("arch", "a")),
    Option("chroot", ("chroot", "c")),
    Option("one", ("1",), flag=True),
)
MEGABYTE = 1024 * 1024


def run(session: Session, words: Sequence[str]) -> bool:
    """Runs one command of the module."""
    parsed = parse(OPTIONS, words)
    if not parsed.words or parsed.words[0] == "help":
        session.row(HELP)
        return bool(parsed.words)
    name, targets = parsed.words[0], parsed.words[1:]
    if name == "import":
        return _import(session, parsed, targets)
    if name == "export":
        return _export(session, parsed, targets)
    commands = {"set": _set, "list": _list, "print": _list, "delete": _delete}
    if name not in commands:
        return session.error(f"Unknown command: {name}\nhint: wwsh vnfs help")
    if not targets and name in ("set", "delete"):
        return session.error(f"To {name} a VNFS, you must provide its name.")
    records = select(session.store.records(Kind.VNFS), targets, parsed.one("lookup", "name"))
    if not records:
        return session.error("No VNFS images found")
    return commands[name](session, parsed, records)


def _import(session: Session, parsed: Parsed, targets: Sequence[str]) -> bool:
    if len(targets) != 1:
        return session.error("USAGE: wwsh vnfs import PATH [--name=NAME]")
    system, (given,) = session.system, targets
    name = parsed.one("name") or os.path.basename(given).split(".vnfs")[0]
    if not system.is_file(given):
        return session.error(f'"{given}" not found -- No such file or directory')
    place = images.folder(name)
    old = session.store.named(Kind.VNFS, name)
    if old is not None and not session.may_overwrite(name):
        return False
    system.make_dir(place)
    checksum = _copied(session, given, place)
    size = os.path.getsize(system.path(f"{place}/image.{checksum}"))
    values = {"ARCH": parsed.one("arch", os.uname().machine), "CHECKSUM": checksum, "SIZE": str(size)}
    if parsed.has("chroot"):
        values["CHROOT"] = parsed.one("chroot")
    images.prune(system, images.describe(session.store, name, values))
    session.row(f"VNFS '{name}' has been imported")
    return True


def _copied(session: Session, given: str, place: str) -> str:
    """Copies an image to its place, whole or not at all; returns its checksum."""
    checksum = hashlib.md5(usedforsecurity=False)
    temporary = session.system.path(f"{place}/.import.{os.getpid()}.new")
    try:
        with open(session.system.path(given), "rb") as source, open(temporary, "wb") as target:
            while chunk := source.read(4 * MEGABYTE):
                checksum.update(chunk)
                target.write(chunk)
        images.guard(session.system, temporary)
        os.rename(temporary, session.system.path(f"{place}/image.{checksum.hexdigest()}"))
    finally:
        if os.path.exists(temporary):
            os.unlink(temporary)
    return checksum.hexdigest()


def _export(session: Session, parsed: Parsed, targets: Sequence[str]) -> bool:
    if len(targets) != 2:
        return session.error("USAGE: wwsh vnfs export NAME PATH")
    name, target = targets
    record = session.store.named(Kind.VNFS, name)
    if record is None:
        return session.error("No VNFS images found")
    system = session.system
    path = os.path.join(target, f"{name}.vnfs") if system.is_dir(target) else target
    if system.exists(path) and not session.ask(f"Do you wish to overwrite this file: {path}?", "Yes/No> "):
        session.row(f"Not exporting '{name}'")
        return False
    with system.replacing(path, 0o600) as temporary:
        shutil.copyfile(system.path(images.path(record)), temporary)
    return True


def _set(session: Session, parsed: Parsed, records: list[Record]) -> bool:
    values = {key.upper(): parsed.one(key) for key in ("name", "arch", "chroot") if parsed.has(key)}
    if not values:
        return session.error("To change a VNFS, you must say what to change\nhint: wwsh vnfs help")
    name = values.get("NAME")
    if name and (len(records) > 1 or session.store.named(Kind.VNFS, name) is not None):
        return session.error(f"VNFS '{name}' exists already, or more than one would get this name")
    if not session.proceed(
        len(records), "VNFS(s)", [change_line("SET", key, text) for key, text in values.items()]
    ):
        return False
    system = session.system
    for old in records:
        if name:
            os.rename(system.path(images.folder(old.name)), system.path(images.folder(name)))
        images.describe(session.store, old.name, values)
    session.changed()
    return True


def _delete(session: Session, parsed: Parsed, records: list[Record]) -> bool:
    lines = [change_line("DEL", f"VNFS {record.name}").rstrip() for record in records]
    if not session.proceed(len(records), "VNFS(s)", lines):
        return False
    session.store.delete_referenced(records, "VNFSID")
    for record in records:
        session.system.remove_tree(images.folder(record.name))
    session.changed()
    return True


def _list(session: Session, parsed: Parsed, records: list[Record]) -> bool:
    if parsed.has("one"):
        for record in records:
            session.row(record.name)
        return True
    session.notice("{:<20} {:<10} {:<10} {}".format("VNFS NAME", "SIZE (M)", "ARCH", "CHROOT LOCATION"))
    for record in records:
        size = int(record.one("SIZE", "0")) / MEGABYTE
        session.row(f"{record.name:<20} {size:<10.1f} {record.one('ARCH'):<10} {record.one('CHROOT', UNDEF)}")
    return True
