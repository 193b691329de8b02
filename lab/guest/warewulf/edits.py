"""Changes to objects: shown to the user first, then applied to fresh copies in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lab.guest.warewulf.model import Record
from lab.guest.warewulf.session import Session


@dataclass(frozen=True)
class Edit:
    """One change: the line that announces it, and what it does to the n-th object chosen."""

    line: str
    apply: Callable[[Record, int], Record]


def setting(line: str, key: str, value: str | tuple[str, ...]) -> Edit:
    """An edit that sets a key, or clears it when the value is empty."""
    return Edit(line, lambda record, _: record.put(key, value))


def persist(session: Session, records: Sequence[Record], edits: Sequence[Edit]) -> None:
    """Applies edits to what the store holds now, not to what was shown while the user thought."""
    store = session.store
    with store.transaction():
        for number, old in enumerate(records):
            record = store.get(old.kind, old.id)
            if record is None:
                session.warning(f"{old.kind.value} {old.name} was deleted meanwhile")
                continue
            for edit in edits:
                record = edit.apply(record, number)
            store.put(record)
    session.changed()
