"""Reads Warewulf's configuration files as Config.pm does; all programs of the guest use `read`."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

from lab.guest.system import System
from lab.guest.warewulf import quoting

FOLDER = "/etc/warewulf"

# The patterns of Warewulf::Config::parse (common/lib/Warewulf/Config.pm): a comment; what sets a key, where
# blanks before the key mean nothing; and what continues the line above, a leading blank and no `=`.
_COMMENT = re.compile(r"(?:^\s*|\s+)#.*")
_SETTING = re.compile(r"^\s*([^+=]*[^+=\s])\s*(\+?=)\s*(.*)$")
_CONTINUED = re.compile(r"^\s+(\S.*)$")


@dataclass(frozen=True)
class Config:
    """The values of one configuration, and a message for each line that reads differently."""

    values: Mapping[str, tuple[str, ...]]
    problems: tuple[str, ...] = ()

    def one(self, key: str, default: str = "") -> str:
        """The first value of a key; the default if there is none or it is empty."""
        return (self.values.get(key) or ("",))[0] or default

    def many(self, key: str) -> tuple[str, ...]:
        """All values of a key that are not empty."""
        return tuple(value for value in self.values.get(key, ()) if value)

    def yes(self, key: str, *, default: bool) -> bool:
        """The value of a yes-or-no key."""
        return self.one(key, "yes" if default else "no").lower() in ("yes", "1", "true", "on")


def find(system: System, name: str) -> str | None:
    """The path of the configuration of that name: an absolute path, or below ~/.warewulf or /etc/warewulf."""
    # Warewulf::Config::load: an absolute path as it is; else the user's folder comes before the system's.
    home = os.path.join(os.path.expanduser("~"), ".warewulf")
    places = [name] if name.startswith("/") else [f"{home}/{name}", f"{FOLDER}/{name}"]
    return next((place for place in places if system.is_file(place)), None)


def read(system: System, *names: str) -> Config:
    """The configurations of those names, each over those before it; a file that is missing says nothing."""
    found = Config({})
    for name in names:
        path = find(system, name)
        if path is not None:
            found = parse(name, system.text(path), found)
    return found


def parse(name: str, text: str, base: Config | None = None) -> Config:
    """Parses the text of a file; `+=` appends to the values that a more general file has set."""
    values = dict(base.values) if base else {}
    problems = list(base.problems) if base else []
    last: str | None = None
    goes_on = False
    for number, raw in enumerate(text.split("\n"), 1):
        line, folded = _unfolded(_COMMENT.sub("", raw, count=1))
        before, goes_on = goes_on, folded
        if not line.strip():
            continue
        setting = (last, "+=", line.strip()) if before and last is not None else _setting(line, last)
        if setting is None:
            problems.append(f"{name} line {number}: cannot parse: {line.strip()}")
            continue
        key, how, rest = setting
        new = quoting.split(rest) if rest or folded else ("",)
        problems += [f"{name} line {number}: {one}" for one in _doubts(rest, new)]
        values[key] = values.get(key, ()) + (new or ()) if how == "+=" else new or ()
        last = key
    return Config(values, tuple(problems))


def _unfolded(line: str) -> tuple[str, bool]:
    """A line without the backslash at its end, and whether there was one.

    Config.pm documents that such a line goes on in the next one. Its code loses the values of the line
    instead, because Text::ParseWords finds nothing that the backslash protects.
    """
    ending = len(line) - len(line.rstrip("\\"))
    return (line[:-1].rstrip(), True) if ending % 2 else (line, False)


def _setting(line: str, last: str | None) -> tuple[str, str, str] | None:
    """Key, operator and text of a line. Keys are the same in any case, as in Warewulf::Object::set."""
    match = _SETTING.match(line)
    if match is not None:
        return match.group(1).lower(), match.group(2), match.group(3)
    match = _CONTINUED.match(line)
    return (last, "+=", match.group(1)) if match is not None and last is not None else None


def _doubts(text: str, words: tuple[str, ...] | None) -> list[str]:
    """What a reader of the line would misunderstand."""
    if words is None:
        return [f"a quote is not closed, so the line has no value: {text}"]
    if words[-1:] and words[-1].endswith("\r"):
        return [f"the value ends in a carriage return: {text.rstrip()}"]
    return []
