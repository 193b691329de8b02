"""Which image is wanted, and whether the lines of a node's /etc/image-release name it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

SHORTEST_COMMIT = 7
_HEX = re.compile(r"[0-9a-f]+")


def fields(lines: Iterable[str]) -> dict[str, str]:
    """`KEY=VALUE` lines as a dictionary with lower-case keys; quotes around a value are removed."""
    found: dict[str, str] = {}
    for line in lines:
        key, equals, value = line.strip().partition("=")
        if equals and not key.startswith("#"):
            found.setdefault(key.strip().lower(), _unquoted(value.strip()))
    return found


def difference(wanted: Sequence[str], lines: Sequence[str]) -> str:
    """What an /etc/image-release lacks of the wanted items, as text; empty if it has all of them.

    An item `KEY=VALUE` needs a line with this key and value. A commit may be shortened to seven digits or
    more. An item without an equals sign must stand in the file as a word.
    """
    if not lines:
        return "there is no /etc/image-release"
    have = fields(lines)
    words = {word for line in lines for word in line.split()}
    return "; ".join(text for item in wanted if (text := _lacks(item, have, words)))


def _lacks(item: str, have: Mapping[str, str], words: set[str]) -> str:
    key, equals, value = item.partition("=")
    if not equals:
        return "" if item in words else f"does not have the word {item}"
    found = have.get(key.strip().lower())
    if found is None:
        return f"does not have {key}"
    if found == value or (key.strip().lower() == "commit" and _abbreviates(value, found)):
        return ""
    return f"{key} is {found or 'empty'}, not {value}"


def _abbreviates(short: str, commit: str) -> bool:
    short, commit = short.lower(), commit.lower()
    hexadecimal = bool(_HEX.fullmatch(short)) and bool(_HEX.fullmatch(commit))
    return hexadecimal and len(short) >= SHORTEST_COMMIT and commit.startswith(short)


def _unquoted(value: str) -> str:
    for quote in "\"'":
        if len(value) > 1 and value[0] == value[-1] == quote:
            return value[1:-1]
    return value
