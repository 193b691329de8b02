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
    """The values of one configuration, and the lines that made no sense."""

    values: Mapping[str, tuple[str, ...]]
    problems: tuple[str, ...] = ()

    def one(self, key: str, default: str = "") -> str:
        """The first value of a key."""
        return (self.values.get(key) or (default,))[0]

    def many(self, key: str) -> tuple[str, ...]:
        """All values of a key."""
        return self.values.get(key, ())

    def yes(self, key: str, *, default: bool) -> bool:
        """A key that says yes or no."""
        return self.one(key, "yes" if default else "no").lower() in ("yes", "1", "true", "on")

    def over(self, base: Config) -> Config:
        """These values on top of more general ones."""
        return Config({**base.values, **self.values}, base.problems + self.problems)


def read(system: System, name: str) -> Config:
    """The configuration of that name under /etc/warewulf; an absent file is an empty one."""
    return parse(name, system.text(f"{FOLDER}/{name}", ""))


def parse(name: str, text: str, base: Config | None = None) -> Config:
    """Reads the text of a file; `+=` adds to what a more general file has set."""
    values = dict(base.values) if base else {}
    problems = list(base.problems) if base else []
    for number, line in _joined(text.splitlines()):
        match = _LINE.match(line)
        if match is None:
            problems.append(f"{name} line {number}: not understood: {line}")
            continue
        key, how, rest = match.groups()
        new = _words(rest)
        values[key] = values.get(key, ()) + new if how == "+=" else new
    return Config(values, tuple(problems))


def _joined(lines: Iterable[str]) -> list[tuple[int, str]]:
    """Logical lines with their numbers: comments gone, continuations (leading blank) joined."""
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
