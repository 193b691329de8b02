"""Selects the objects that a command names by bracket lists, wildcards or regular expressions."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from lab.guest.warewulf.errors import WarewulfError
from lab.guest.warewulf.model import NETDEV_FIELDS, UNDEF, Record, cleared
from lab.guest.warewulf.store import INDEXED, lookup

_BRACKET = re.compile(r"^(.*)\[([0-9,-]+)\]([^\[\]]*)$")
LARGEST_RANGE = 65536


class TargetError(WarewulfError):
    """A word of the command line selects no objects; the text tells users why."""


def expand(words: Iterable[str]) -> list[str]:
    """Expands the last [1-3,7] of each word; numbers are padded to the width of the range's end."""
    names: list[str] = []
    for word in words:
        match = _BRACKET.match(word)
        if match is None:
            names.append(word)
            continue
        head, numbers, tail = match.groups()
        found = [number for part in numbers.split(",") for number in _numbers(part, word)]
        names.extend(f"{head}{number}{tail}" for number in found)
    return names


def _numbers(part: str, word: str) -> list[str]:
    ends = part.split("-")
    if len(ends) == 1 and ends[0]:
        return [ends[0]]
    if len(ends) != 2 or not all(ends):
        raise TargetError(f"Not a range of numbers: {word}")
    first, last, width = int(ends[0]), int(ends[1]), len(ends[1])
    if first > last:
        first, last = last, first
    if last - first >= LARGEST_RANGE:
        raise TargetError(f"More than {LARGEST_RANGE} names: {word}")
    return [f"{number:0{width}d}" for number in range(first, last + 1)]


def _is_regex(word: str) -> bool:
    return len(word) > 1 and word[0] == word[-1] == "/"


def pattern(word: str) -> re.Pattern[str]:
    """The regular expression for a word of the command line."""
    if _is_regex(word):
        try:
            return re.compile(f"^({word[1:-1]})$")
        except re.error as error:
            raise TargetError(f"Not a regular expression: {word}: {error}") from error
    if cleared(word):
        return re.compile(f"^{UNDEF}$")
    # Warewulf passes words to SQL LIKE, where `_` is a wildcard, too; here it stands for itself.
    return re.compile("^" + re.escape(word).replace(r"\*", ".*").replace(r"\?", ".") + "$", re.DOTALL)


def select(records: Sequence[Record], words: Sequence[str], field: str = "name") -> list[Record]:
    """The records that match any of the words, in their order; all records if there are no words.

    The field is any key of the records or of their devices, in any case, with or without a leading `_`.
    """
    _check_field(records, field)
    if not words:
        return list(records)
    patterns = [pattern(name) for word in words for name in ([word] if _is_regex(word) else expand([word]))]
    return [one for one in records if any(p.match(value) for value in _values(one, field) for p in patterns)]


def _check_field(records: Sequence[Record], field: str) -> None:
    """Raises TargetError for a field that none of the records can be looked up by: most likely a slip."""
    if not records or any(_index(record, field) or _values(record, field) for record in records):
        return
    known = dict.fromkeys(name.lstrip("_") for record in records for name in INDEXED[record.kind])
    raise TargetError(f"Cannot look up by '{field}' (known: {', '.join(known)}, and the keys of the objects)")


def _index(record: Record, field: str) -> str:
    """The index for a field, as DataStore/SQL/MySQL.pm (get_objects_build_query_impl) finds it; or empty."""
    name = field.lower()
    return next((one for one in INDEXED[record.kind] if one.lstrip("_") == name.lstrip("_")), "")


def _values(record: Record, field: str) -> tuple[str, ...]:
    index = _index(record, field)
    if index:
        return lookup(record, index)
    key = field.upper()
    found = record.many(key)
    if not found and key.lower() in NETDEV_FIELDS:
        found = tuple(value for device in record.netdevs for value in device.values(key.lower()))
    return found
