"""wwsh bootstrap: kernels and initial file systems that nodes boot."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

from lab.guest.warewulf import bootstraps
from lab.guest.warewulf.lookup import select
from lab.guest.warewulf.model import Kind, Record
from lab.guest.warewulf.options import Option, Parsed, parse
from lab.guest.warewulf.session import Session, change_line

HELP = """USAGE: wwsh bootstrap COMMAND [options] [name ...]

Commands:
   import         PATH: take a bootstrap that wwbootstrap wrote to a file
   export         NAME PATH: write a bootstrap to a file
   set            change name, architecture
   list, print    one line for each bootstrap
   build          write again what nodes boot from (also: rebuild)
   delete         forget bootstraps
   help           this text

Options:
   -l, --lookup FIELD   what the names on the line are (default: name)
   -n, --name NAME  -a, --arch ARCH  --ucode NAME
   -1                   with list: names only, one a line"""

OPTIONS = (
    Option("lookup", ("lookup", "l")),
    Option("name", ("name", "n")),
    Option("arch", ("arch", "a")),
    Option("ucode", ("ucode",)),
    Option("one", ("1",), flag=True),
)
NAME = re.compile(r"^[A-Za-z0-9_][A-Za-z0-9_.+~-]*$")
ARCH = re.compile(r"^[a-z0-9_]+$")
MEGABYTE = 1024 * 1024


def run(session: Session, words: Sequence[str]) -> bool:
    """Runs one command of the module."""
    parsed = parse(OPTIONS, words)
    if not parsed.words or parsed.words[0] == "help":
        session.row(HELP)
        return bool(parsed.words)
    name, targets = parsed.words[0], parsed.words[1:]
    if parsed.has("name") and not NAME.match(parsed.one("name")):
        return session.error("Option 'name' has invalid characters")
    if parsed.has("arch") and not ARCH.match(parsed.one("arch")):
        return session.error("Option 'arch' has invalid characters")
    if name in ("import", "export"):
        return (_import if name == "import" else _export)(session, parsed, targets)
    commands = {"set": _set, "list": _list, "print": _list, "delete": _delete,
                "build": _build, "rebuild": _build}  # fmt: skip
    if name not in commands:
        return session.error(f"Unknown command: {name}\nhint: wwsh bootstrap help")
    if not targets and name in ("set", "delete"):
        return session.error(f"To {name} a bootstrap, you must provide its name.")
    records = select(session.store.records(Kind.BOOTSTRAP), targets, parsed.one("lookup", "name"))
    if not records:
        session.warning("No bootstrap images found")
        return False
    return commands[name](session, parsed, records)


def _import(session: Session, parsed: Parsed, targets: Sequence[str]) -> bool:
    if len(targets) != 1:
        return session.error("USAGE: wwsh bootstrap import PATH [--name=NAME]")
    system, (given,) = session.system, targets
    name = parsed.one("name") or os.path.basename(given).split(".wwbs")[0]
    if not NAME.match(name):
        return session.error(f"Bootstrap name '{name}' contains invalid characters")
    if not system.is_file(given):
        return session.error(f'"{given}" not found -- No such file or directory')
    if session.store.named(Kind.BOOTSTRAP, name) is not None and not session.may_overwrite(name):
        return False
    arch = parsed.one("arch", os.uname().machine)
    record = bootstraps.keep(system, session.store, name, system.read(given), arch)
    bootstraps.build(system, record, session.row)
    session.changed()
    return True


def _export(session: Session, parsed: Parsed, targets: Sequence[str]) -> bool:
    if len(targets) != 2:
        return session.error("USAGE: wwsh bootstrap export NAME PATH")
    name, target = targets
    record = session.store.named(Kind.BOOTSTRAP, name)
    if record is None:
        session.warning("No bootstrap images found")
        return False
    system = session.system
    path = os.path.join(target, f"{name}.wwbs") if system.is_dir(target) else target
    if system.exists(path) and not session.ask(f"Do you wish to overwrite this file: {path}?", "Yes/No> "):
        session.row(f"Not exporting '{name}'")
        return False
    system.write(path, bootstraps.content(system, record))
    return True


def _set(session: Session, parsed: Parsed, records: list[Record]) -> bool:
    values = {key.upper(): parsed.one(key) for key in ("name", "arch", "ucode") if parsed.has(key)}
    if not values:
        return session.error("To change a bootstrap, you must say what to change\nhint: wwsh bootstrap help")
    if "NAME" in values and (len(records) > 1 or session.store.named(Kind.BOOTSTRAP, values["NAME"])):
        return session.error(f"Bootstrap '{values['NAME']}' exists already, or several would get this name")
    lines = [change_line("SET", key, text) for key, text in values.items()]
    if not session.proceed(len(records), "bootstrap(s)", lines):
        return False
    changed: list[Record] = []
    with session.store.transaction():
        for record in records:
            for key, value in values.items():
                record = record.put(key, value)  # noqa: PLW2901 (the same object, changed)
            changed.append(session.store.put(record))
    for old, new in zip(records, changed):
        if bootstraps.folder(old) != bootstraps.folder(new):
            session.system.remove_tree(bootstraps.folder(old))
            bootstraps.build(session.system, new, session.info)
    session.changed()
    return True


def _delete(session: Session, parsed: Parsed, records: list[Record]) -> bool:
    lines = [change_line("DEL", f"BOOTSTRAP {record.name}").rstrip() for record in records]
    if not session.proceed(len(records), "bootstrap(s)", lines):
        return False
    session.store.delete_referenced(records, "BOOTSTRAPID")
    for record in records:
        bootstraps.remove(session.system, record)
    session.changed()
    return True


def _build(session: Session, parsed: Parsed, records: list[Record]) -> bool:
    if not session.system.is_root:
        return session.error("Only root can build bootstraps\nhint: use sudo")
    for record in records:
        bootstraps.build(session.system, record, session.row)
    return True


def _list(session: Session, parsed: Parsed, records: list[Record]) -> bool:
    if parsed.has("one"):
        for record in records:
            session.row(record.name)
        return True
    session.notice("{:<25} {:<13} {}".format("BOOTSTRAP NAME", "SIZE (M)", "ARCH"))
    for record in records:
        size = int(record.one("SIZE", "0")) / MEGABYTE
        session.row(f"{record.name:<25} {size:<13.1f} {record.one('ARCH')}")
    return True
