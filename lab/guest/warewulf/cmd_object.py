"""wwsh object: any object and any of its keys."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import asdict

from lab.guest.warewulf import bootstraps, images
from lab.guest.warewulf.edits import Edit, persist, setting
from lab.guest.warewulf.lookup import select
from lab.guest.warewulf.model import UNDEF, Kind, Record, with_node_names
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
   -p, --print FIELD,...  keys to show; :all shows all keys
   -s, --set KEY=VALUE    -a, --add KEY=VALUE    -D, --del KEY"""

OPTIONS = (
    Option("lookup", ("lookup", "l")),
    Option("type", ("type", "t")),
    Option("print", ("print", "p")),
    Option("set", ("set", "s")),
    Option("add", ("add", "a")),
    Option("del", ("del", "delete", "D")),
)
KEY = re.compile(r"^[A-Z][A-Z0-9_]*$")
DERIVED = frozenset({"NAME", "CHECKSUM", "SIZE", "FILEIDS", "VNFSID", "BOOTSTRAPID", "FILETYPE", "MODE",
                     "UID", "GID", "PATH", "ARCH", "NODENAME"})  # fmt: skip
"""Keys with their own rules: only the modules for nodes, files and images set them."""


def run(session: Session, words: Sequence[str]) -> bool:
    """Runs one command of the module."""
    parsed = parse(OPTIONS, words)
    if not parsed.words or parsed.words[0] == "help":
        session.row(HELP)
        return bool(parsed.words)
    name, targets = parsed.words[0], parsed.words[1:]
    commands = {"print": _print, "modify": _modify, "delete": _delete, "dump": _dump, "jsondump": _jsondump,
                "canonicalize": _canonicalize}  # fmt: skip
    if name not in commands:
        return session.error(f"Unknown command: {name}\nhint: wwsh object help")
    if not targets and name in ("modify", "delete"):
        return session.error(f"To {name} objects, you must provide their names.")
    if parsed.has("type") and parsed.one("type") not in [kind.value for kind in Kind]:
        return session.error(f"Unknown type: {parsed.one('type')} (node, file, vnfs or bootstrap)")
    kinds = [Kind(parsed.one("type"))] if parsed.has("type") else list(Kind)
    records: list[Record] = []
    for kind in kinds:
        records += select(session.store.records(kind), targets, parsed.one("lookup", "name"))
    if not records:
        session.warning("No matching objects found.")
        return False
    return commands[name](session, parsed, records)


def _value(record: Record, key: str) -> str:
    internal = {"_ID": str(record.id), "_TYPE": record.kind.value, "_TIMESTAMP": str(record.timestamp)}
    if key == "NAME":
        return record.name
    return internal.get(key) or record.one(key, UNDEF)


def _all_keys(record: Record) -> list[str]:
    return ["_ID", "_TIMESTAMP", "_TYPE", *sorted(record.values)]


def _print(session: Session, parsed: Parsed, records: list[Record]) -> bool:
    if parsed.one("print") == ":all":
        for record in records:
            session.notice(title_line(record))
            for key in _all_keys(record):
                session.row(f"{key} = {_value(record, key)}")
        return not session.strict
    keys = [key.upper() for key in parsed.listed("print")] or ["NAME", "_TYPE"]
    session.notice("".join(f"{key:<26}" for key in keys))
    session.notice("=" * 80)
    for record in records:
        session.row("".join(f"{_value(record, key):<26}" for key in keys))
    return not session.strict


def _modify(session: Session, parsed: Parsed, records: list[Record]) -> bool:
    edits: list[Edit] = []
    for what in ("set", "add", "del"):
        for text in parsed.values.get(what, ()):
            key, equals, value = text.partition("=")
            key = key.strip().upper()
            if not KEY.match(key) or (what != "del" and not equals):
                return session.error(f"Not KEY=VALUE: {text}")
            if key in DERIVED:
                return session.error(f"Key {key} cannot be set here\nhint: wwsh help")
            edits.append(_edit(what, key, value))
    if not edits:
        return session.error("To change objects, you must say what to change\nhint: wwsh object help")
    if not session.proceed(len(records), "object(s)", [edit.line for edit in edits]):
        return False
    persist(session, records, edits)
    return True


def _edit(what: str, key: str, value: str) -> Edit:
    if what == "del" or (what == "set" and value == UNDEF):
        return setting(change_line("UNDEF", key), key, "")
    if what == "set":
        return setting(change_line("SET", key, value), key, value)
    return Edit(change_line("ADD", key, value), lambda record, _: record.put(key, (*record.many(key), value)))


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
    fresh = Edit("", lambda record, _: with_node_names(record) if record.kind is Kind.NODE else record)
    persist(session, records, [fresh])
    return True
