"""Reads Warewulf's configuration files as Config.pm does; all programs of the guest use `read`."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Optional

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
    last: Optional[str] = None
    for number, raw in enumerate(text.split("\n"), 1):
        line = _COMMENT.sub("", raw, count=1)
        if not line.strip():
            continue
        setting = _setting(line, last)
        if setting is None:
            problems.append(f"{name} line {number}: cannot parse: {line.strip()}")
            continue
        key, how, rest = setting
        new = quoting.split(rest) if rest else ("",)
        problems += [f"{name} line {number}: {one}" for one in _doubts(rest, new)]
        values[key] = values.get(key, ()) + (new or ()) if how == "+=" else new or ()
        last = key
    return Config(values, tuple(problems))


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
    if words[-1:] and words[-1].endswith("\\"):
        return [f"a backslash does not continue a line, a blank before the next one does: {text}"]
    if words[-1:] and words[-1].endswith("\r"):
        return [f"the value ends in a carriage return: {text.rstrip()}"]
    return []
