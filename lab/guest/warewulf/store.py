"""The datastore: objects in an SQLite file that everyone may read, contents in a second, private one."""

from __future__ import annotations

import json
import os
import re
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from typing import Any

from lab.guest.system import System
from lab.guest.warewulf.errors import WarewulfError
from lab.guest.warewulf.model import LIST_FIELDS, UNDEF, Kind, NetDev, Record, Value, order

FOLDER = "/var/lib/warewulf"
OBJECTS = f"{FOLDER}/warewulf.db"
CONTENTS = f"{FOLDER}/content.db"
"""Holds files such as shadow and munge.key: mode 0640, group `warewulf`, which wwserver belongs to."""
GROUP = "warewulf"
NUMBER = re.compile(r"^[0-9]{1,18}$")
"""The number of an object as text; SQLite holds no more digits."""
WAIT = 30.0
"""How many seconds a program waits until another one has finished writing."""

# Rollback journal, not WAL: readers without write permission could not create the -shm file.
SCHEMA = """
CREATE TABLE IF NOT EXISTS datastore (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    type TEXT NOT NULL, timestamp INTEGER NOT NULL, serialized TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS lookup (
    object_id INTEGER NOT NULL REFERENCES datastore(id), field TEXT NOT NULL, value TEXT NOT NULL,
    UNIQUE (object_id, field, value));
CREATE INDEX IF NOT EXISTS lookup_value ON lookup (field, value);
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL);
INSERT OR IGNORE INTO meta VALUES ('dbvers', '1');
"""
CONTENT_SCHEMA = "CREATE TABLE IF NOT EXISTS binstore (object_id INTEGER PRIMARY KEY, content BLOB NOT NULL);"


class StoreError(WarewulfError):
    """The datastore refused a request; the text tells users why."""


def create(system: System) -> bool:
    """Creates the datastore if it is missing and sets its permissions; returns whether it was created."""
    made = not system.exists(OBJECTS)
    system.make_dir(FOLDER)
    for path, schema, mode in ((OBJECTS, SCHEMA, 0o644), (CONTENTS, CONTENT_SCHEMA, 0o640)):
        real = system.path(path)
        # Create it before SQLite does, so that secrets are never in a file that others can read.
        os.close(os.open(real, os.O_RDWR | os.O_CREAT, mode & 0o600))
        os.chmod(real, mode)
        connection = sqlite3.connect(real, timeout=WAIT, isolation_level=None)
        connection.execute("PRAGMA journal_mode = DELETE")
        connection.executescript(schema)
        connection.close()
    system.give_to_group(CONTENTS, GROUP)
    return made


class Store:
    """One open datastore."""

    def __init__(self, system: System) -> None:
        self._system = system
        self._contents_open = False
        if not system.exists(OBJECTS):
            raise StoreError("Failed initialization of the data store!\nhint: sudo wwinit database")
        self._connection = self._connect()

    def _connect(self) -> sqlite3.Connection:
        mode = "rw" if self._system.is_root else "ro"
        uri = f"file:{_quoted(self._system.path(OBJECTS))}?mode={mode}"
        try:
            # check_same_thread stays on: each thread of wwserver opens its own connection.
            connection = sqlite3.connect(uri, uri=True, timeout=WAIT, isolation_level=None)
            connection.execute("SELECT value FROM meta WHERE name = 'dbvers'").fetchone()
        except sqlite3.Error as error:
            raise StoreError(f"Failed initialization of the data store!\n  {OBJECTS}: {error}") from error
        return connection

    def close(self) -> None:
        """Closes the files."""
        self._connection.close()

    # Reading

    def records(self, kind: Kind) -> list[Record]:
        """All objects of a kind, in the order of listings."""
        rows = self._query(
            "SELECT id, type, timestamp, serialized FROM datastore WHERE type = ?", (kind.value,)
        )
        return sorted((_record(*row) for row in rows), key=order)

    def get(self, kind: Kind, number: int) -> Record | None:
        """The object with that number and kind."""
        rows = self._query(
            "SELECT id, type, timestamp, serialized FROM datastore WHERE id = ? AND type = ?",
            (number, kind.value),
        )
        return _record(*rows[0]) if rows else None

    def referred(self, kind: Kind, number: str) -> Record | None:
        """The object that a key such as VNFSID refers to; None if its value is no number of one."""
        return self.get(kind, int(number)) if NUMBER.match(number) else None

    def find(self, kind: Kind, field: str, value: str) -> list[Record]:
        """Objects of a kind that have the value in an indexed field."""
        rows = self._query(
            "SELECT d.id, d.type, d.timestamp, d.serialized FROM lookup l JOIN datastore d"
            " ON d.id = l.object_id WHERE l.field = ? AND l.value = ? AND d.type = ?",
            (field, value, kind.value),
        )
        return sorted((_record(*row) for row in rows), key=order)

    def named(self, kind: Kind, name: str) -> Record | None:
        """The object with that name."""
        return next(iter(self.find(kind, "name", name)), None)

    def content(self, number: int) -> bytes:
        """The content of a file object; empty if none is stored."""
        self._open_contents()
        rows = self._query("SELECT content FROM contents.binstore WHERE object_id = ?", (number,))
        content = rows[0][0] if rows else b""
        return content if isinstance(content, bytes) else str(content).encode()

    # Writing

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commits all changes made inside, or none after an error; waits for other writers first."""
        if not self._system.is_root:
            raise StoreError("Only root can change the Warewulf data store\nhint: use sudo")
        self._open_contents()
        self._execute("BEGIN IMMEDIATE")
        try:
            yield
            self._execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.rollback()
            raise

    def add(self, record: Record) -> Record:
        """Stores a new object and returns it with its number."""
        cursor = self._execute(
            "INSERT INTO datastore (type, timestamp, serialized) VALUES (?, ?, ?)",
            (record.kind.value, self._now(), _serialized(record)),
        )
        return self._indexed(replace(record, id=cursor.lastrowid or 0))

    def put(self, record: Record) -> Record:
        """Stores a changed object. Its timestamp changes only if its bytes differ, as with MariaDB."""
        self._execute(
            "UPDATE datastore SET timestamp = ?, serialized = ? WHERE id = ? AND serialized <> ?",
            (self._now(), _serialized(record), record.id, _serialized(record)),
        )
        return self._indexed(record)

    def set_content(self, number: int, content: bytes) -> None:
        """Stores the content of a file object."""
        self._execute("INSERT OR REPLACE INTO contents.binstore VALUES (?, ?)", (number, content))

    def delete(self, record: Record) -> None:
        """Removes an object and its content."""
        self._execute("DELETE FROM lookup WHERE object_id = ?", (record.id,))
        self._execute("DELETE FROM contents.binstore WHERE object_id = ?", (record.id,))
        self._execute("DELETE FROM datastore WHERE id = ?", (record.id,))

    def delete_referenced(self, records: Sequence[Record], key: str) -> None:
        """Removes objects, and the references to them that nodes hold under a key, in one transaction."""
        numbers = {str(record.id) for record in records}
        with self.transaction():
            for record in records:
                self.delete(record)
            for node in self.records(Kind.NODE):
                if node.one(key) in numbers:
                    self.put(node.put(key, ""))

    def _indexed(self, record: Record) -> Record:
        self._execute("DELETE FROM lookup WHERE object_id = ?", (record.id,))
        fields = INDEXED[record.kind]
        rows = [(record.id, field, value) for field in fields for value in lookup(record, field)]
        self._connection.executemany("INSERT OR IGNORE INTO lookup VALUES (?, ?, ?)", rows)
        stored = self.get(record.kind, record.id)
        if stored is None:
            raise StoreError(f"{record.kind.value} {record.name} is no longer in the data store")
        return stored

    def _now(self) -> int:
        # Nodes ask for files newer than the newest one they have. If two changes within a second had
        # the same timestamp, the second one might never reach a node.
        newest = self._query("SELECT COALESCE(MAX(timestamp), 0) FROM datastore", ())[0][0]
        return max(int(self._system.clock()), int(str(newest)) + 1)

    def _open_contents(self) -> None:
        if self._contents_open:
            return
        mode = "rw" if self._system.is_root else "ro"
        uri = f"file:{_quoted(self._system.path(CONTENTS))}?mode={mode}"
        try:
            self._connection.execute("ATTACH DATABASE ? AS contents", (uri,))
            self._connection.execute("SELECT count(*) FROM contents.sqlite_master").fetchone()
        except sqlite3.Error as error:
            raise StoreError(f"Only root can read the contents of files ({error})\nhint: use sudo") from error
        self._contents_open = True

    def _query(self, statement: str, values: tuple[object, ...]) -> list[tuple[object, ...]]:
        return self._execute(statement, values).fetchall()

    def _execute(self, statement: str, values: tuple[object, ...] = ()) -> sqlite3.Cursor:
        try:
            return self._connection.execute(statement, values)
        except sqlite3.Error as error:
            raise StoreError(_explained(error)) from error


INDEXED = {
    Kind.NODE: ("name", "_id", "_hwaddr", "_ipaddr", "cluster", "groups", "master", "fileids"),
    Kind.FILE: ("name", "path", "format", "lang", "_id"),
    Kind.VNFS: ("name", "_id"),
    Kind.BOOTSTRAP: ("name", "_id"),
}
"""Fields that can be looked up, by kind."""


def lookup(record: Record, field: str) -> tuple[str, ...]:
    """The values of an indexed field; a field without a value has the value UNDEF."""
    if field == "_id":
        return (str(record.id),)
    if field == "_hwaddr":
        return record.hwaddrs or (UNDEF,)
    if field == "_ipaddr":
        return record.ipaddrs or (UNDEF,)
    return record.many(field.upper()) or (UNDEF,)


def _explained(error: sqlite3.Error) -> str:
    text = str(error)
    if "locked" in text:
        return f"Another program has locked the data store for more than {WAIT:.0f} s ({text})"
    return f"The data store failed: {text}"


def _quoted(path: str) -> str:
    return path.replace("%", "%25").replace("?", "%3f").replace("#", "%23")


def _serialized(record: Record) -> str:
    devices = {
        device.name: {key: value for key, value in asdict(device).items() if value and key != "name"}
        for device in record.netdevs
    }
    return json.dumps({"values": dict(record.values), "netdevs": devices}, sort_keys=True)


def _netdev(name: str, data: dict[str, Any]) -> NetDev:
    values: dict[str, Any] = {k: tuple(v) if k in LIST_FIELDS else v for k, v in data.items()}
    return replace(NetDev(name), **values)


def _record(number: object, kind: object, timestamp: object, serialized: object) -> Record:
    data = json.loads(str(serialized))
    values: dict[str, Value] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in data["values"].items()
    }
    devices = [_netdev(name, one) for name, one in data["netdevs"].items()]
    return Record(
        kind=Kind(kind),
        values=values,
        netdevs=tuple(sorted(devices, key=lambda device: device.name)),
        id=int(str(number)),
        timestamp=int(str(timestamp)),
    )
