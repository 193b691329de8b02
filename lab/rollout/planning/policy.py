"""What the administrator wants: how many nodes at once, what must stay in service, in which order, when."""

from __future__ import annotations

import math
from dataclasses import dataclass

EACH = "*"
DAY = 24 * 60


@dataclass(frozen=True)
class Amount:
    """A number of nodes, or a percentage of a group of nodes."""

    number: float
    percent: bool = False

    def at_most(self, total: int) -> int:
        """As a limit of how many nodes may be away: rounded down, but at least one node."""
        return max(1, math.floor(total * self.number / 100)) if self.percent else int(self.number)

    def at_least(self, total: int) -> int:
        """As a number of nodes that must stay: rounded up."""
        return math.ceil(total * self.number / 100) if self.percent else int(self.number)

    def __str__(self) -> str:
        return f"{self.number:g}%" if self.percent else f"{self.number:g}"


@dataclass(frozen=True)
class Floor:
    """So many nodes of a group stay in service. The group is a partition or a switch; `*` is each of them."""

    kind: str
    name: str
    amount: Amount

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}={self.amount}"


@dataclass(frozen=True)
class Window:
    """A time of day in which reboots may be requested, in minutes of the local day; may pass midnight."""

    start: int
    end: int

    def contains(self, minute: int) -> bool:
        """Whether a minute of the day lies in it."""
        if self.start <= self.end:
            return self.start <= minute < self.end
        return minute >= self.start or minute < self.end

    def __str__(self) -> str:
        return "-".join(f"{m // 60:02}:{m % 60:02}" for m in (self.start, self.end))


@dataclass(frozen=True)
class Policy:
    """All rules of one rollout. Times are in seconds."""

    wanted: tuple[str, ...]
    max_unavailable: Amount = Amount(10, percent=True)
    floors: tuple[Floor, ...] = ()
    canary: int = 1
    wave_size: Amount | None = None
    order: str = "idle"
    deadline: float = 900
    max_failures: int = 1
    patience: float = 3600
    window: Window | None = None
    kill_jobs_after: float | None = None
    prove_first: bool = False
    reboot_current: bool = False
    before_wave: bool = False


@dataclass(frozen=True)
class Clock:
    """The time of a step: seconds since the epoch, and the minute of the local day."""

    now: float
    minute: int = 0
