"""The longer commands of `wwsh file`: export, edit and sync."""

from __future__ import annotations

import os
from collections.abc import Sequence

from lab.guest.warewulf import contents
from lab.guest.warewulf.lookup import select
from lab.guest.warewulf.model import Kind, Record
from lab.guest.warewulf.session import Session

EDITORS = ("/bin/vi", "/bin/nano")


def export(session: Session, words: Sequence[str], lookup: str, *, overwrite: bool) -> bool:
    """Writes stored files to a path or into a folder of the SMS."""
    if len(words) < 2:
        return session.error("USAGE: wwsh file export NAME ... PATH")
    target = words[-1]
    system, store = session.system, session.store
    records = select(store.records(Kind.FILE), words[:-1], lookup)
    if not records:
        session.notice("File(s) not found")
        return False
    if len(records) > 1 and not system.is_dir(target):
        return session.error(f"{target} is not a folder")
    done = True
    for record in records:
        name = record.name
        path = os.path.join(target, name) if system.is_dir(target) else target
        if system.exists(path) and not overwrite and not session.ask(f"Overwrite {path}?"):
            session.row(f'Not exporting "{name}"')
            done = False
            continue
        # A file without a mode becomes private: users could not read it in the store either.
        system.write(path, store.content(record.id), int(record.one("MODE", "0600"), 8) & 0o777)
    return done


def edit(session: Session, record: Record, program: str) -> bool:
    """Opens a copy of the content in an editor and stores the saved copy."""
    import tempfile

    before = session.store.content(record.id)
    installed = next((editor for editor in EDITORS if os.path.exists(editor)), EDITORS[0])
    program = program or os.environ.get("EDITOR") or installed
    with tempfile.TemporaryDirectory(prefix="wwsh.") as folder:  # mode 0700: the content may be secret
        path = os.path.join(folder, os.path.basename(record.name))
        with open(path, "wb") as file:
            file.write(before)
        status = session.system.interact([*program.split(), path])
        if status:
            return session.error(f"{program} ended with status {status}: nothing was stored")
        with open(path, "rb") as file:
            after = file.read()
    if after == before:
        session.row("File unchanged.  Not updating data store.")
        return True
    with session.store.transaction():
        contents.save(session.store, session.store.get(Kind.FILE, record.id) or record, after)
    session.changed()
    return True


def sync(session: Session, records: Sequence[Record], *, named: bool, attributes: bool) -> bool:
    """Reads the origins of files again. Without its origin a file keeps its content; Warewulf empties it.

    `attributes`: also the mode and the owner, if there is one origin (File.pm, sync).
    """
    done = True
    for record in records:
        if record.name == "dynamic_hosts":
            session.changed()
            continue
        origins = record.many("ORIGIN")
        if not origins:
            if named:
                session.notice(f"{record.name} :: No ORIGIN defined")
            continue
        done = _sync_one(session, record, origins, attributes=attributes) and done
    return done


def _sync_one(session: Session, record: Record, origins: tuple[str, ...], *, attributes: bool) -> bool:
    system = session.system
    values: dict[str, str] = {}
    if record.one("FILETYPE"):
        try:
            content, missing = contents.from_path(system, origins[0])[1], []
        except OSError as error:
            content, missing = b"", [f'"{origins[0]}" not found -- {error.strerror or error}']
    else:
        content, missing = contents.from_origins(system, origins)
    if missing:
        for problem in missing:
            session.warning(f"{problem}; {record.name} was not changed")
        return False
    if attributes and len(origins) == 1 and system.exists(origins[0]):
        found = contents.from_path(system, origins[0])[0]
        values = {key: found[key] for key in ("MODE", "UID", "GID")}
    changed = any(record.one(key) != value for key, value in values.items())
    if content == session.store.content(record.id) and not changed:
        return True
    with session.store.transaction():
        fresh = session.store.get(Kind.FILE, record.id) or record
        for key, value in values.items():
            fresh = fresh.put(key, value)
        contents.save(session.store, fresh, content)
    session.changed()
    return True
