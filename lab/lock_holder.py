"""Who holds a lock, and whether that process still runs: exact on one host, unknown from another one."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from lab.account import account_name
from lab.printable import escaped

PROC = Path("/proc")
START, STATE = 19, 0  # fields of /proc/PID/stat after the program's name (proc(5): 22 and 3)
UNREADABLE = -1
SHOWN = 200  # characters of a command and its place


class Life(Enum):
    """Whether a process still runs."""

    RUNS = "runs"
    ENDED = "ended"
    UNSEEN = "cannot be seen from here"


@dataclass(frozen=True)
class Place:
    """Where processes have numbers of their own: a boot of a host, and a PID namespace on it."""

    host: str
    machine: str  # "" if the host has no machine ID
    boot: str
    pids: str


@dataclass(frozen=True)
class Holder:
    """The process that holds a lock, its account and command, and since when (seconds since 1970)."""

    place: Place
    account: str
    pid: int
    started: int  # clock ticks after the host's boot; a number that is used again has another start
    command: str
    since: float

    def to_json(self) -> str:
        """The holder as text; `holder_from_json` reads it."""
        return json.dumps(asdict(self), sort_keys=True)

    def told(self, here: Place, now: float) -> str:
        """Says in a line who holds the lock, for what and for how long."""
        where = "" if self.place.host == here.host else f" on {self.place.host}"
        line = f"{self.command} (process {self.pid} of {self.account}{where})"
        return f"{escaped(line)[:SHOWN]} has held the lock for {max(0.0, now - self.since):.0f} s"


def holder_from_json(text: str) -> Holder | None:
    """Reads a holder; None if the text is not one, as from another version of this program."""
    try:
        found: Mapping[str, Any] = json.loads(text)
        place = Place(*(str(found["place"][key]) for key in ("host", "machine", "boot", "pids")))
        numbers = int(found["pid"]), int(found["started"])
        return Holder(place, str(found["account"]), *numbers, str(found["command"]), float(found["since"]))
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return None


def this_place() -> Place:
    """Describes where this process runs."""
    pids = ""
    with suppress(OSError):
        pids = str(PROC.joinpath("self/ns/pid").readlink())
    boot = _line(PROC / "sys/kernel/random/boot_id")
    return Place(socket.gethostname(), _line(Path("/etc/machine-id")), boot, pids)


def this_process(command: str, now: float) -> Holder:
    """Describes this process as a holder."""
    return Holder(this_place(), account_name(), os.getpid(), start_of(os.getpid()) or 0, command, now)


def life(holder: Holder, here: Place, start: Callable[[int], int | None] | None = None) -> Life:
    """Says whether a holder still runs, as far as can be seen from a place.

    A host that has booted since has ended all its former processes. That is known only by a machine ID and
    a name that are the same: copies of a virtual machine share the first.
    """
    there = holder.place
    if there.boot != here.boot:
        same = there.machine and (there.machine, there.host) == (here.machine, here.host)
        return Life.ENDED if same else Life.UNSEEN
    if there.pids != here.pids:
        return Life.UNSEEN
    found = (start or start_of)(holder.pid)
    if found == UNREADABLE:
        return Life.UNSEEN
    return Life.RUNS if found == holder.started else Life.ENDED


def start_of(pid: int) -> int | None:
    """When a process began (clock ticks after the boot); None if there is none, UNREADABLE if hidden."""
    try:
        fields = (PROC / str(pid) / "stat").read_text(errors="replace").rpartition(")")[2].split()
        return None if fields[STATE] in {"Z", "X"} else int(fields[START])
    except (OSError, IndexError, ValueError):
        pass
    try:
        os.kill(pid, 0)  # /proc may be mounted with hidepid
    except ProcessLookupError:
        return None
    except (PermissionError, OverflowError):
        pass
    return UNREADABLE


def _line(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""
