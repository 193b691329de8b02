"""Finds the line of each key in a TOML text, which tomllib does not report."""

from __future__ import annotations

import re

KeyPath = tuple[str, ...]

_PART = r"""(?:[A-Za-z0-9_-]+|"[^"\n]*"|'[^'\n]*')"""
_KEY = rf"{_PART}(?:\s*\.\s*{_PART})*"
_HEADER = re.compile(rf"\s*\[\[?\s*({_KEY})\s*\]\]?\s*(?:#.*)?$")
_ASSIGNMENT = re.compile(rf"\s*({_KEY})\s*=(.*)$")
_TOKENS = re.compile(
    r'"""|' + r"'''|" + r'"(?:[^"\\\n]|\\.)*"|' + r"'[^'\n]*'|" + r"#.*|[\[\]{},]|[^\s\[\]{},#\"']+",
)


def key_lines(text: str) -> dict[KeyPath, int]:
    """Maps each key path of a well-formed TOML text to its line, counted from 1.

    The members of a list are keys, too: "1" is the first.
    """
    found: dict[KeyPath, int] = {}
    table: KeyPath = ()
    path: KeyPath = ()
    open_value = _OpenValue()
    for number, line in enumerate(text.split("\n"), start=1):  # TOML knows no other line ends
        if open_value:
            rest = line
        elif header := _HEADER.match(line):
            table = _split(header.group(1))
            _note(found, table, number)
            continue
        elif assignment := _ASSIGNMENT.match(line):
            path = table + _split(assignment.group(1))
            _note(found, path, number)
            open_value = _OpenValue()
            rest = assignment.group(2)
        else:
            continue
        for index in open_value.feed(rest):
            found.setdefault((*path, str(index)), number)
    return found


def _note(found: dict[KeyPath, int], path: KeyPath, number: int) -> None:
    """Notes the line of a key, and of the tables around it that begin with it."""
    for length in range(1, len(path) + 1):
        found.setdefault(path[:length], number)


def _split(dotted: str) -> KeyPath:
    return tuple(part.strip("\"'") for part in re.findall(_PART, dotted))


class _OpenValue:
    """Tracks whether a value continues in the next line: open brackets, or a multi-line string."""

    def __init__(self) -> None:
        self._brackets = ""
        self._quote = ""
        self._members = 0
        self._begun = False  # whether the present member of a list has begun

    def __bool__(self) -> bool:
        return bool(self._brackets or self._quote)

    def feed(self, line: str) -> list[int]:
        """Reads on; returns which members of a list begin in this line, counted from 1."""
        before, position = self._members, 0
        while position < len(line):
            if self._quote:
                end = line.find(self._quote, position)
                if end < 0:
                    break
                self._quote, position = "", end + 3
                continue
            token = _TOKENS.search(line, position)
            if token is None:
                break
            position = token.end()
            self._take(token.group())
        return list(range(before + 1, self._members + 1))

    def _take(self, mark: str) -> None:
        if mark in ("]", "}"):
            self._brackets = self._brackets[:-1]
        elif mark == ",":
            self._begun = self._begun and self._brackets != "["
        elif not mark.startswith("#"):
            if self._brackets == "[" and not self._begun:
                self._members += 1
                self._begun = True
            if mark in ('"""', "'''"):
                self._quote = mark
            elif mark in ("[", "{"):
                self._brackets += mark
