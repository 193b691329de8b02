"""What a rollout remembers between two steps, and across its own death: one record for each node."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum


class Phase(str, Enum):
    """How far a node is. The last four are final."""

    WAITING = "waiting"
    REQUESTED = "requested"
    BOOTING = "booting"
    DONE = "done"
    CURRENT = "current"
    FAILED = "failed"
    LEFT = "left"


ACTIVE = frozenset({Phase.REQUESTED, Phase.BOOTING})
FINAL = frozenset({Phase.DONE, Phase.CURRENT, Phase.FAILED, Phase.LEFT})


class Mode(str, Enum):
    """What the operator wants."""

    RUN = "run"
    PAUSE = "pause"
    ABORT = "abort"


class Outcome(str, Enum):
    """How a rollout has ended."""

    COMPLETE = "complete"
    INCOMPLETE = "incomplete"
    STOPPED = "stopped"
    ABORTED = "aborted"
    BLOCKED = "blocked"


@dataclass(frozen=True)
class Record:
    """What is remembered of a node. Times are seconds since the epoch; 0 is never."""

    wave: int
    phase: Phase = Phase.WAITING
    note: str = ""
    boot_id: str = ""
    """Its boot id before the reboot."""
    checked_at: float = 0
    """When the boot id was read."""
    silent: int = 0
    """How many probes in a row failed before the reboot."""
    since: float = 0
    """Start of the time that counts towards a limit; moves on while nobody looks."""
    attempts: int = 0
    confirmed: bool = False
    """Slurm has shown our request."""
    standing: bool = False
    """Slurm may have a request of ours, or carries it out."""
    touched: bool = False
    """A reboot has begun, so the node must be proven before anybody relies on it."""
    held: bool = False
    """It did not pass, and was seen out of service since."""
    killed: bool = False
    """Its jobs were cancelled, as the policy asks."""
    drain: str = ""
    """The reason of somebody's drain that Slurm forgets at the end of a reboot, and that we put back."""
    looked_at: float = 0
    """When it was last probed on its way."""
    asked_at: float = 0
    away_at: float = 0
    ended_at: float = 0


@dataclass(frozen=True)
class Memory:
    """All that a rollout knows. `token` marks reasons in Slurm as ours."""

    token: str
    started_at: float
    records: Mapping[str, Record]
    seen_at: float
    """When Slurm was last seen."""
    mode: Mode = Mode.RUN
    stopping: bool = False
    opened: int = -1
    """The last wave whose hook has succeeded."""
    blocked_since: float = 0
    blind: bool = False
    """Nobody has looked since `seen_at`: Slurm was away, or the program."""
    outcome: Outcome | None = None

    def count(self, *phases: Phase) -> int:
        """How many nodes are in these phases."""
        return sum(record.phase in phases for record in self.records.values())
