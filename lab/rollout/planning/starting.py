"""The memory with which a rollout begins, or begins again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from lab.rollout.planning import waves
from lab.rollout.planning.memory import Memory, Mode, Phase
from lab.rollout.planning.nodes import Node
from lab.rollout.planning.policy import Policy


def begun(token: str, now: float, names: Iterable[str], view: Mapping[str, Node], policy: Policy) -> Memory:
    """A new rollout of these nodes. `token` marks it in Slurm's reasons; `now` is seconds since the epoch."""
    order = waves.ordered(names, view, policy.order)
    return Memory(token, now, waves.records(order, policy), now)


def retried(memory: Memory) -> Memory:
    """Gives nodes that failed or were left alone another turn; those that are done stay so."""
    again = (Phase.FAILED, Phase.LEFT)
    records = {
        name: replace(
            record,
            phase=Phase.WAITING,
            note="",
            boot_id="",
            checked_at=0,
            silent=0,
            attempts=0,
            touched=False,
            ended_at=0,
        )
        if record.phase in again
        else record
        for name, record in memory.records.items()
    }
    return replace(memory, records=records, mode=Mode.RUN, stopping=False, blocked_since=0, outcome=None)
