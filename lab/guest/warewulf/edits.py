"""Changes to objects: shown to the user first, then applied to current copies in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lab.guest.warewulf.model import Record
from lab.guest.warewulf.session import Session


@dataclass(frozen=True)
class Edit:
    """One change: the line that announces it, and its effect on the n-th selected object."""

    line: str
    apply: Callable[[Record, int], Record]


def setting(line: str, key: str, value: str | tuple[str, ...]) -> Edit:
    """An edit that sets a key, or clears it if the value is empty."""
    return Edit(line, lambda record, _: record.put(key, value))


def applied(record: Record, edits: Sequence[Edit], number: int) -> Record:
    """The object as it will be after the edits; `number` is its place among the selected ones."""
    for edit in edits:
        record = edit.apply(record, number)
    return record


def persist(session: Session, records: Sequence[Record], edits: Sequence[Edit]) -> None:
    """Applies edits to the objects as the store holds them now: another program may have changed them."""
    store = session.store
    with store.transaction():
        for number, old in enumerate(records):
            record = store.get(old.kind, old.id)
            if record is None:
                session.warning(f"{old.kind.value} {old.name} was deleted in the meantime")
                continue
            store.put(applied(record, edits, number))
    session.changed()


def agreed_and_kept(session: Session, nodes: Sequence[Record], edits: Sequence[Edit]) -> bool:
    """Shows the changes to nodes and asks, as `ipmi set` and `provision set` do; then applies them."""
    lines = [line for edit in edits for line in edit.line.splitlines()]
    question = f"Are you sure you want to make the following changes to {len(nodes)} node(s):"
    if not session.sure(question, lines, "Yes/No> "):
        return False
    persist(session, nodes, edits)
    return True
