"""Finds the line of each key in a TOML text, which tomllib does not report."""

from __future__ import annotations

import re

KeyPath = tuple[str, ...]

_PART = r"""(?:[A-Za-z0-9_-]+|"[^"\n]*"|'[^'\n]*')"""
_KEY = rf"{_PART}(?:\s*\.\s*{_PART})*"
_HEADER = re.compile(rf"\s*\[\[?\s*({_KEY})\s*\]\]?\s*(?:#.*)?$")
_ASSIGNMENT = re.compile(rf"\s*({_KEY})\s*=(.*)$")
_TOKENS = re.compile(
    r'"""|' + r"'''|" + r'"(?:[^"\\\n]|\\.)*"|' + r"'[^'\n]*'|" + r"#.*|[\[\]{}]",
)


def key_lines(text: str) -> dict[KeyPath, int]:
    """Maps each key path of a well-formed TOML text to its line, counted from 1."""
    found: dict[KeyPath, int] = {}
    table: KeyPath = ()
    open_value = _OpenValue()
    for number, line in enumerate(text.split("\n"), start=1):  # TOML knows no other line ends
        if open_value:
            open_value.feed(line)
        elif header := _HEADER.match(line):
            table = _split(header.group(1))
            _note(found, table, number)
        elif assignment := _ASSIGNMENT.match(line):
            path = table + _split(assignment.group(1))
            _note(found, path, number)
            open_value.feed(assignment.group(2))
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
        self._depth = 0
        self._quote = ""

    def __bool__(self) -> bool:
        return self._depth > 0 or bool(self._quote)

    def feed(self, line: str) -> None:
        position = 0
        while position < len(line):
            if self._quote:
                end = line.find(self._quote, position)
                if end < 0:
                    return
                self._quote, position = "", end + 3
                continue
            token = _TOKENS.search(line, position)
            if token is None:
                return
            position = token.end()
            self._take(token.group())

    def _take(self, token: str) -> None:
        if token in ('"""', "'''"):
            self._quote = token
        elif token in ("[", "{"):
            self._depth += 1
        elif token in ("]", "}"):
            self._depth -= 1
