"""Disk layouts: parses a file of commands for `provision set --filesystem`."""

from __future__ import annotations

import re
from dataclasses import dataclass

from lab.guest.system import System
from lab.guest.warewulf.errors import WarewulfError

FOLDER = "/etc/warewulf/filesystem"
LEAST = {
    "select": 1, "mklabel": 1, "mktable": 1, "mkpart": 3, "name": 2, "set": 3, "rm": 1, "resizepart": 2,
    "align-check": 2, "disk_set": 2, "disk_toggle": 1, "toggle": 2, "rescue": 2, "unit": 1,
    "mkfs": 2, "fstab": 6,
    "raid0": 2, "raid1": 2, "raid4": 2, "raid5": 2, "raid6": 2, "raid10": 2,
}  # fmt: skip
"""The commands, parted's and Warewulf's, with their minimum number of arguments."""


class LayoutError(WarewulfError):
    """The file of commands is missing or cannot be stored."""


@dataclass(frozen=True)
class Layout:
    """The commands to store, and a warning for each unknown command."""

    commands: tuple[str, ...]
    warnings: tuple[str, ...]


def load(system: System, name: str) -> Layout:
    """Finds NAME.cmds, then NAME, under /etc/warewulf/filesystem, then NAME as a path."""
    for path in (f"{FOLDER}/{name}.cmds", f"{FOLDER}/{name}", name):
        if system.is_file(path):
            return parse(system.text(path))
    raise LayoutError(f"Could not find filesystem command file: {name}\nhint: ls {FOLDER}")


def parse(text: str) -> Layout:
    """Parses commands; commas in the options of fstab become colons, since commas separate commands."""
    commands: list[str] = []
    warnings: list[str] = []
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        words = re.split(r"\s+", line)
        verb, arguments = words[0], words[1:]
        if verb not in LEAST:
            warnings.append(f"Unknown command: {line}")
            continue
        if len(arguments) < LEAST[verb]:
            raise LayoutError(f"Line {number}: {verb} needs at least {LEAST[verb]} arguments: {line}")
        if verb == "fstab":
            words[4] = words[4].replace(",", ":")
        if any("," in word for word in words):
            raise LayoutError(f"Line {number}: commas are allowed only in the options of fstab: {line}")
        commands.append(" ".join(words))
    return Layout(tuple(commands), tuple(warnings))
