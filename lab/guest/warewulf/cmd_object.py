"""wwsh object: any object and any of its keys."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import asdict

from lab.guest.warewulf import bootstraps, images, object_fields, quoting
from lab.guest.warewulf.edits import Edit, persist, setting
from lab.guest.warewulf.lookup import select
from lab.guest.warewulf.model import Kind, Record, cleared, with_node_names
from lab.guest.warewulf.options import Option, Parsed, parse
from lab.guest.warewulf.session import Session, change_line, title_line

HELP = """USAGE: wwsh object COMMAND [options] [name ...]

Commands:
   print          show keys of objects
   modify         set, add or delete keys
   delete         delete objects
   dump           show all data as text
   jsondump       show all data as JSON
   canonicalize   rebuild derived keys
   help           show this text

Options:
   -l, --lookup FIELD     field that the names on the line refer to (default: name)
   -t, --type TYPE        node, file, vnfs or bootstrap (default: all)
   -p, --print FIELD,...  keys to show, also of devices, as eth0.ipaddr; :all shows all keys
   -s, --set KEY=A,B      set a key to one value or to several; KEY= removes it
   -a, --add KEY=A,B      add values to a key
   -D, --del KEY[=A,B]    remove values from a key, or the key

A value in quotes may hold commas."""

OPTIONS = (
    Option("lookup", ("lookup", "l")),
    Option("type", ("type", "t")),
    Option("print", ("print", "p")),
    Option("set", ("set", "s")),
    Option("add", ("add", "a")),
    Option("del", ("del", "delete", "D")),
    Option("help", ("help", "h"), flag=True),
)
KEY = re.compile(r"^[A-Z][A-Z0-9_]*$")
DERIVED = frozenset({"NAME", "CHECKSUM", "SIZE", "FILEIDS", "VNFSID", "BOOTSTRAPID", "FILETYPE", "MODE",
                     "UID", "GID", "PATH", "ARCH", "NODENAME", "NETDEVS"})  # fmt: skip
"""Keys with their own rules: only the modules for nodes, files and images set them."""


def run(session: Session, words: Sequence[str]) -> bool:
    """Runs one command of the module."""
    parsed = parse(OPTIONS, words, session.warning)
    if not parsed.words or parsed.words[0] == "help" or parsed.has("help"):
        session.row(HELP)
        return bool(parsed.words) or parsed.has("help")
    name, targets = parsed.words[0], parsed.words[1:]
    commands = {"print": _print, "modify": _modify, "delete": _delete, "dump": _dump, "jsondump": _jsondump,
                "canonicalize": _canonicalize}  # fmt: skip
    if name not in commands:
        return session.error(f"Unknown command: {name}\nhint: wwsh object help")
    if not targets and name in ("modify", "delete"):
        return session.error(f"To {name} objects, you must provide their names.")
    wanted = parsed.one("type").lower()
    if wanted and wanted not in [kind.value for kind in Kind]:
        return session.error(f"Unknown type: {parsed.one('type')} (node, file, vnfs or bootstrap)")
    every = [one for kind in Kind if wanted in ("", kind.value) for one in session.store.records(kind)]
    records = select(every, targets, parsed.one("lookup", "name"))
    if not records:
        session.warning("No matching objects found.")
        return False
    return commands[name](session, parsed, records)


def _print(session: Session, parsed: Parsed, records: list[Record]) -> bool:
    fields = parsed.listed("print") or ("name", "_type")
    if fields[0] == ":all":
        for record in records:
            session.notice(title_line(f"{record.kind.value} {record.full_name}"))
            for line in object_fields.lines(record, private=session.flags.verbose or session.flags.debug):
                session.row(line)
    else:
        _table(session, records, fields)
    return not session.strict


def _table(session: Session, records: Sequence[Record], fields: Sequence[str]) -> None:
    if len(fields) > 1:
        head = "".join(f"{field.upper():<26} " for field in fields)
        session.notice(f"{head}\n{'=' * len(head)}")
    for record in records:
        session.row("".join(f"{object_fields.value(session, record, field):<26} " for field in fields))


def _modify(session: Session, parsed: Parsed, records: list[Record]) -> bool:
    edits: list[Edit] = []
    for what in ("set", "add", "del"):
        for text in parsed.values.get(what, ()):
            edit = _edit(session, what, text)
            if edit is None:
                return False
            edits.append(edit)
    if not edits:
        return session.error("To change objects, you must say what to change\nhint: wwsh object help")
    if not session.proceed(len(records), "object(s)", [edit.line for edit in edits]):
        return False
    persist(session, records, edits)
    return True


def _edit(session: Session, what: str, text: str) -> Edit | None:
    """The edit for one KEY=VALUE; None after an error."""
    name, equals, value = text.partition("=")
    key, values = name.strip().upper(), quoting.split(value)
    if key.startswith("_"):
        session.error(f'Will not modify private object member "{name}".')
    elif key in DERIVED:
        session.error(f"Key {key} cannot be set here\nhint: wwsh node help, wwsh file help, wwsh vnfs help")
    elif values is None:
        session.error(f"A quote is not closed: {text}")
    elif not KEY.match(key) or (what == "set" and not equals) or (what == "add" and not value):
        form = {"set": "KEY=[VALUE]", "add": "KEY=VALUE", "del": "KEY[=VALUE]"}[what]
        session.error(f"Not {form}: {text}")
    elif what == "set" and (not values or (len(values) == 1 and cleared(values[0]))):
        return setting(change_line("UNDEF", key), key, "")
    elif what == "set":
        return setting(
            change_line("SET", key, ",".join(values)), key, values if len(values) > 1 else values[0]
        )
    elif what == "add":
        line = change_line("ADD", key, ",".join(values))
        return Edit(line, lambda record, _: record.put(key, (*record.many(key), *values)))
    elif not values:
        return setting(change_line("DEL", key, "[ALL]"), key, "")
    else:
        # Cli/Object.pm forgets the values and removes the key; its help promises this.
        line = change_line("DEL", key, ",".join(values))
        return Edit(
            line, lambda record, _: record.put(key, tuple(v for v in record.many(key) if v not in values))
        )
    return None


def _delete(session: Session, parsed: Parsed, records: list[Record]) -> bool:
    lines = [change_line("DEL", f"{record.kind.value.upper()} {record.name}").rstrip() for record in records]
    if not session.proceed(len(records), "object(s)", lines):
        return False
    gone = {(record.kind, str(record.id)) for record in records}
    with session.store.transaction():
        for record in records:
            session.store.delete(record)
        for node in session.store.records(Kind.NODE):
            session.store.put(_without(node, gone))
    for record in records:
        if record.kind is Kind.VNFS:
            session.system.remove_tree(images.folder(record.name))
        if record.kind is Kind.BOOTSTRAP:
            bootstraps.remove(session.system, record)
    session.changed()
    return True


def _without(node: Record, gone: set[tuple[Kind, str]]) -> Record:
    """A node without references to deleted objects."""
    files = tuple(number for number in node.many("FILEIDS") if (Kind.FILE, number) not in gone)
    node = node.put("FILEIDS", files)
    for kind, key in ((Kind.VNFS, "VNFSID"), (Kind.BOOTSTRAP, "BOOTSTRAPID")):
        if (kind, node.one(key)) in gone:
            node = node.put(key, "")
    return node


def _as_data(record: Record) -> dict[str, object]:
    data: dict[str, object] = {"_ID": record.id, "_TYPE": record.kind.value, "_TIMESTAMP": record.timestamp}
    data.update(record.values)
    if record.netdevs:
        data["NETDEVS"] = {
            device.name: {key.upper(): value for key, value in asdict(device).items() if value}
            for device in record.netdevs
        }
    return data


def _dump(session: Session, parsed: Parsed, records: list[Record]) -> bool:
    for record in records:
        for key, value in _as_data(record).items():
            session.row(f"{record.name} {key} = {json.dumps(value)}")
    return True


def _jsondump(session: Session, parsed: Parsed, records: list[Record]) -> bool:
    session.row(json.dumps([_as_data(record) for record in records], indent=2, sort_keys=True))
    return True


def _canonicalize(session: Session, parsed: Parsed, records: list[Record]) -> bool:
    stale = [one for one in records if one.kind is Kind.NODE and with_node_names(one) != one]
    session.notice(f"There were {len(stale)} changes made to {len(records)} objects")
    if stale:
        persist(session, stale, [Edit("", lambda record, _: with_node_names(record))])
    return True
