"""wwsh file: files that nodes are given."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Sequence

from lab.guest.system import System
from lab.guest.warewulf import contents, file_editing
from lab.guest.warewulf.lookup import expand, select
from lab.guest.warewulf.model import UNDEF, Kind, Record, cleared
from lab.guest.warewulf.options import Option, Parsed, parse
from lab.guest.warewulf.session import Session, change_line, title_line

HELP = """USAGE: wwsh file COMMAND [options] [name ...]

Commands:
   import       PATH ...: import files of the SMS into the data store
   export       NAME ... PATH: write stored files to the SMS
   new          create a file object, from its origins or empty
   set          change name, path, mode, owner, origins, interpreter
   edit         change the content in an editor
   show         print the content
   list, ls     show one line per file
   print        show all keys of each file
   sync         read the origins again (also: resync)
   delete       delete files; nodes no longer get them
   help         show this text

Options:
   -l, --lookup FIELD   field that the names on the line refer to (default: name)
   -n, --name NAME      name in the data store
   -D, --path PATH      path of the file on nodes (also --dest)
   -o, --origin PATH    source of the content (also --source); 'COMMAND|' runs a command
   -m, --mode  -u, --uid  -g, --gid
       --interpreter P  program on the SMS that generates the content from the stored file
   -p, --program P      editor
       --overwrite      on sync: also read mode and owner again; on export: overwrite existing files

The value UNDEF, in any case, clears a key.

Examples:
   wwsh file import /etc/passwd
   wwsh file import /etc/slurm/slurm.conf.login --name=slurm.conf.login --path=/etc/slurm/slurm.conf
   wwsh file resync passwd group shadow"""

OPTIONS = (
    Option("lookup", ("lookup", "l")),
    Option("name", ("name", "n")),
    Option("program", ("program", "p")),
    Option("origin", ("origin", "source", "o")),
    Option("path", ("path", "dest", "D")),
    Option("mode", ("mode", "m")),
    Option("uid", ("uid", "u")),
    Option("gid", ("gid", "g")),
    Option("interpreter", ("interpreter",)),
    Option("overwrite", ("overwrite",), flag=True),
)
SHAPES = {
    "name": re.compile(r"^[A-Za-z0-9_.-]+$"),
    "path": re.compile(r"^/[A-Za-z0-9_/.-]+$"),
    "mode": re.compile(r"^[0-7]{1,7}$"),
    "uid": re.compile(r"^[0-9]+$"),
    "gid": re.compile(r"^[0-9]+$"),
    "interpreter": re.compile(r"^/[A-Za-z0-9_/.-]+$"),
}
ORIGIN = re.compile(r"^[A-Za-z0-9_./ |;-]+$")
"""The patterns of Cli/File.pm (exec), and that paths are absolute, as File.pm's path wants it."""
NAMELESS = "A file must have a name; UNDEF is none"


def run(session: Session, words: Sequence[str]) -> bool:
    """Runs one command of the module."""
    parsed = parse(OPTIONS, words, session.warning)
    if not parsed.words or parsed.words[0] == "help":
        session.row(HELP)
        return bool(parsed.words)
    name, targets = parsed.words[0], parsed.words[1:]
    if not _well_formed(session, parsed):
        return False
    if name in ("import", "new"):
        return (_import if name == "import" else _new)(session, parsed, targets)
    if name == "export":
        return file_editing.export(
            session, targets, parsed.one("lookup", "name"), overwrite=parsed.has("overwrite")
        )
    commands = {"list": _list, "ls": _list, "print": _print, "show": _show, "set": _set, "delete": _delete,
                "edit": _edit, "sync": _sync, "resync": _sync}  # fmt: skip
    if name not in commands:
        return session.error(f"Unknown command: {name}\nhint: wwsh file help")
    if not targets and name in ("set", "delete", "show", "edit"):
        return session.error(f"To {name} files, you must provide a list of files to operate on.")
    records = select(session.store.records(Kind.FILE), targets, parsed.one("lookup", "name"))
    if not records:
        session.notice("No objects found")
        return False
    return commands[name](session, parsed, records)


def _well_formed(session: Session, parsed: Parsed) -> bool:
    for key, shape in SHAPES.items():
        value = parsed.one(key)
        if parsed.has(key) and not cleared(value) and not shape.match(value):
            return session.error(f"Option '{key}' has invalid characters")
    if not all(cleared(one) or ORIGIN.match(one) for one in parsed.listed("origin")):
        return session.error("Option 'origin' has invalid characters")
    return True


def _attributes(parsed: Parsed) -> dict[str, str]:
    """The keys that options set; an empty string clears a key."""
    values = {}
    for key in SHAPES:
        if parsed.has(key):
            value = parsed.one(key)
            text = "" if cleared(value) else value
            values[key.upper()] = f"{stat.S_IMODE(int(text, 8)):04o}" if key == "mode" and text else text
    return values


# Creating


def _origins(parsed: Parsed) -> tuple[str, ...]:
    """The origins that the line names; none if one of them is UNDEF."""
    origins = parsed.listed("origin")
    return () if any(map(cleared, origins)) else origins


def _import(session: Session, parsed: Parsed, paths: Sequence[str]) -> bool:
    paths = paths or _origins(parsed)
    if not paths:
        return session.error("USAGE: wwsh file import PATH ...")
    if len(paths) > 1 and (parsed.has("name") or parsed.has("path")):
        return session.error("Options --name and --path work with one file only")
    return all([_import_one(session, parsed, path) for path in paths])


def _import_one(session: Session, parsed: Parsed, given: str) -> bool:
    system, store = session.system, session.store
    path = _source(system, given)
    name = parsed.one("name") or os.path.basename(path)
    if cleared(name):
        return session.error(NAMELESS)
    if not SHAPES["name"].match(name):
        return session.error(f"Name '{name}' contains invalid characters\nhint: --name=...")
    try:
        attributes, content = contents.from_path(system, path)
    except OSError as error:
        return session.error(f'"{given}" not found -- {error.strerror or error}')
    old = store.named(Kind.FILE, name)
    if old is not None and not session.ask(f'Overwrite existing file object "{name}" in the data store?'):
        session.row(f'Not importing "{name}"')
        return False
    with store.transaction():
        record = store.named(Kind.FILE, name) or Record(Kind.FILE, {"NAME": name})
        values = {"PATH": path, **attributes, **_attributes(parsed), "NAME": name}
        for key, value in values.items():
            record = record.put(key, value)
        origins = _origins(parsed) if parsed.has("origin") else (path,)
        contents.save(store, record.put("ORIGIN", origins), content)
    session.changed()
    return True


def _source(system: System, given: str) -> str:
    """What a path leads to, or the path of a link that leads nowhere here: units are delivered as links."""
    if os.path.islink(system.path(given)) and not system.exists(given):
        return os.path.abspath(given)
    return system.inside(os.path.realpath(system.path(given)))


def _new(session: Session, parsed: Parsed, names: Sequence[str]) -> bool:
    if not names:
        return session.error("USAGE: wwsh file new NAME ...")
    names = expand(names)
    if parsed.has("name"):
        if len(names) > 1:
            return session.error("Option --name works with one file only")
        names = [parsed.one("name")]
    origins = _origins(parsed)
    content, missing = contents.from_origins(session.system, origins)
    for problem in missing:
        session.warning(problem)
    for name in names:
        if cleared(name):
            return session.error(NAMELESS)
        if not SHAPES["name"].match(name):
            return session.error(f"Name '{name}' contains invalid characters")
        if session.store.named(Kind.FILE, name) is not None:
            return session.error(f'File "{name}" already exists\nhint: wwsh file set {name} ...')
    with session.store.transaction():
        for name in names:
            record = Record(Kind.FILE, {"NAME": name, "MODE": contents.DEFAULT_MODE, "UID": "0", "GID": "0"})
            for key, value in {**_attributes(parsed), "NAME": name}.items():
                record = record.put(key, value)
            contents.save(session.store, record.put("ORIGIN", origins), content)
    session.changed()
    return True


# Changing


def _set(session: Session, parsed: Parsed, records: list[Record]) -> bool:
    values: dict[str, str | tuple[str, ...]] = {**_attributes(parsed)}
    if parsed.has("origin"):
        values["ORIGIN"] = _origins(parsed)
    if not values:
        return session.error("To change files, you must say what to change\nhint: wwsh file help")
    if "NAME" in values and not _can_rename(session, records, str(values["NAME"])):
        return False
    lines = [_line(key, value) for key, value in values.items()]
    if not session.proceed(len(records), "file(s)", lines):
        return False
    with session.store.transaction():
        for old in records:
            record = session.store.get(Kind.FILE, old.id) or old
            for key, value in values.items():
                record = record.put(key, value)
            session.store.put(record)
    session.changed()
    return True


def _line(key: str, value: str | tuple[str, ...]) -> str:
    text = value if isinstance(value, str) else ",".join(value)
    return change_line("SET", key, text) if text else change_line("UNDEF", key)


def _can_rename(session: Session, records: list[Record], name: str) -> bool:
    other = session.store.named(Kind.FILE, name)
    if not name:
        return session.error(NAMELESS)
    if len(records) > 1:
        return session.error("Option --name works with one file only")
    if other is not None and other.id != records[0].id:
        return session.error(f'File "{name}" already exists')
    return True


def _delete(session: Session, parsed: Parsed, records: list[Record]) -> bool:
    session.notice("\n".join(change_line("DEL", "FILE", record.name) for record in records))
    if not session.ask(f"Are you sure you want to delete {len(records)} files(s):"):
        session.row("No update performed")
        return False
    numbers = {str(record.id) for record in records}
    with session.store.transaction():
        for record in records:
            session.store.delete(record)
        for node in session.store.records(Kind.NODE):
            kept = tuple(number for number in node.many("FILEIDS") if number not in numbers)
            session.store.put(node.put("FILEIDS", kept))
    session.changed()
    return True


def _edit(session: Session, parsed: Parsed, records: list[Record]) -> bool:
    return all([file_editing.edit(session, record, parsed.one("program")) for record in records])


def _sync(session: Session, parsed: Parsed, records: list[Record]) -> bool:
    return file_editing.sync(
        session, records, named=len(parsed.words) > 1, attributes=parsed.has("overwrite")
    )


# Showing


def _show(session: Session, parsed: Parsed, records: list[Record]) -> bool:
    for record in records:
        session.raw(session.store.content(record.id))
    return True


def _list(session: Session, parsed: Parsed, records: list[Record]) -> bool:
    if session.flags.verbose:
        heads = ("NAME", "PERMS", "O", "USER GROUP", "SIZE", "DEST")
        session.row("{:<24}  {:>10} {:<3} {:<16} {:>9} {}".format(*heads))
    for record in records:
        origins, owner = len(record.many("ORIGIN")), _owner(record)
        size, path = int(record.one("SIZE", "0")), record.one("PATH", UNDEF)
        perms = _permissions(record)
        session.row(f"{record.name:<24}: {perms:>10} {origins:<3d} {owner:<16} {size:9d} {path}")
    return True


def _permissions(record: Record) -> str:
    # File.pm (modestring) shows the bits for set-uid, set-gid and sticky as `ls` does.
    bits = int(record.one("MODE", contents.DEFAULT_MODE), 8)
    return contents.LETTERS.get(record.one("FILETYPE"), "") + stat.filemode(bits)[1:]


def _owner(record: Record) -> str:
    import grp
    import pwd

    uid, gid = record.one("UID", "0"), record.one("GID", "0")
    try:
        user = pwd.getpwuid(int(uid)).pw_name
    except KeyError:
        user = uid
    try:
        group = grp.getgrgid(int(gid)).gr_name
    except KeyError:
        group = gid
    return f"{user} {group}"


def _print(session: Session, parsed: Parsed, records: list[Record]) -> bool:
    keys = ("NAME", "PATH", "ORIGIN", "FORMAT", "CHECKSUM", "INTERPRETER", "SIZE", "MODE", "UID", "GID")
    for record in records:
        session.notice(title_line(record.name))
        session.row(f"{record.name:<16}: {'ID':<16} = {record.id}")
        for key in keys:
            default = contents.DEFAULT_MODE if key == "MODE" else UNDEF
            session.row(f"{record.name:<16}: {key:<16} = {record.one(key, default)}")
    return True
