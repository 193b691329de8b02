"""Reads Warewulf's configuration files: `key = a, b` sets, `key += c` appends."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from lab.guest.system import System

FOLDER = "/etc/warewulf"
_LINE = re.compile(r"^([A-Za-z0-9_][A-Za-z0-9_ -]*?)\s*(\+?=)\s*(.*)$")
_WORD = re.compile(r"""\s*("(?:[^"\\]|\\.)*"|'[^']*'|[^,]*?)\s*(?:,|$)""")


@dataclass(frozen=True)
class Config:
    """The values of one configuration, and a message for each line that could not be parsed."""

    values: Mapping[str, tuple[str, ...]]
    problems: tuple[str, ...] = ()

    def one(self, key: str, default: str = "") -> str:
        """The first value of a key."""
        return (self.values.get(key) or (default,))[0]

    def many(self, key: str) -> tuple[str, ...]:
        """All values of a key."""
        return self.values.get(key, ())

    def yes(self, key: str, *, default: bool) -> bool:
        """The value of a yes-or-no key."""
        return self.one(key, "yes" if default else "no").lower() in ("yes", "1", "true", "on")

    def over(self, base: Config) -> Config:
        """These values, completed by those of a more general configuration."""
        return Config({**base.values, **self.values}, base.problems + self.problems)


def read(system: System, name: str) -> Config:
    """The configuration of that name under /etc/warewulf; empty if the file is missing."""
    return parse(name, system.text(f"{FOLDER}/{name}", ""))


def parse(name: str, text: str, base: Config | None = None) -> Config:
    """Parses the text of a file; `+=` appends to the values that a more general file has set."""
    values = dict(base.values) if base else {}
    problems = list(base.problems) if base else []
    for number, line in _joined(text.splitlines()):
        match = _LINE.match(line)
        if match is None:
            problems.append(f"{name} line {number}: cannot parse: {line}")
            continue
        key, how, rest = match.groups()
        new = _words(rest)
        values[key] = values.get(key, ()) + new if how == "+=" else new
    return Config(values, tuple(problems))


def _joined(lines: Iterable[str]) -> list[tuple[int, str]]:
    """Logical lines with their numbers, without comments; a leading blank continues the line above."""
    found: list[tuple[int, str]] = []
    for number, raw in enumerate(lines, 1):
        line = re.sub(r"(^|\s)#.*$", "", raw).rstrip()
        if not line.strip():
            continue
        if line[0] in " \t" and found:
            start, before = found.pop()
            found.append((start, f"{before} {line.strip()}"))
        else:
            found.append((number, line.strip()))
    return found


def _words(text: str) -> tuple[str, ...]:
    words = [match.group(1) for match in _WORD.finditer(text)]
    plain = [word[1:-1] if word[:1] in ("'", '"') and word[-1:] == word[:1] else word for word in words]
    return tuple(word for word in plain if word)
