"""What the planner asks the outside to do. Each action may be repeated without harm."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Union

from lab.rollout.planning.memory import Memory


@dataclass(frozen=True)
class Look:
    """Probe a node: boot id, image, health."""

    node: str


@dataclass(frozen=True)
class Request:
    """Have Slurm drain a node, reboot it when its jobs have ended, and return it."""

    node: str


@dataclass(frozen=True)
class Withdraw:
    """Cancel our request for a reboot that has not begun. The node stays drained, by whomever."""

    node: str


@dataclass(frozen=True)
class Release:
    """Lift our own drain, that of a request which was withdrawn or has failed; `reason` is how it shows."""

    node: str
    reason: str


@dataclass(frozen=True)
class Resume:
    """Return a proven node to service."""

    node: str


@dataclass(frozen=True)
class Drain:
    """Drain a node: one that did not pass, or one that somebody else had drained."""

    node: str
    reason: str


@dataclass(frozen=True)
class KillJobs:
    """Cancel the jobs on a node; only if the policy asks for it."""

    node: str


@dataclass(frozen=True)
class BeforeWave:
    """Run the operator's command before a wave begins."""

    wave: int
    nodes: tuple[str, ...]


Action = Union[Look, Request, Withdraw, Release, Resume, Drain, KillJobs, BeforeWave]


@dataclass(frozen=True)
class Decision:
    """A step's result. The memory must be saved before the actions are taken."""

    memory: Memory
    actions: tuple[Action, ...] = ()
