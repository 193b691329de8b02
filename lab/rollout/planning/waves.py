"""The order of the nodes and their division into waves. Wave 0 is the canary."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from lab.rollout.planning.memory import Record
from lab.rollout.planning.nodes import Node
from lab.rollout.planning.policy import Policy

ORDERS = ("idle", "name", "given")


def by_name(name: str) -> tuple[tuple[str, int], ...]:
    """A key that sorts n2 before n10."""
    return tuple((text, int(number or -1)) for text, number in re.findall(r"(\D*)(\d*)", name))


def ordered(names: Iterable[str], view: Mapping[str, Node], order: str) -> list[str]:
    """The names in the policy's order; nodes that somebody took out of service come last."""
    listed = list(names) if order == "given" else sorted(names, key=by_name)

    def rank(name: str) -> int:
        node = view[name]
        if not node.available:
            return 2
        return int(node.busy) if order == "idle" else 0

    return sorted(listed, key=rank)


def divided(names: Sequence[str], policy: Policy) -> dict[str, int]:
    """The wave of each node: the canaries, then waves of the policy's size (or all others in one)."""
    waves = dict.fromkeys(names[: policy.canary], 0)
    rest = names[policy.canary :]
    size = policy.wave_size.at_most(len(names)) if policy.wave_size else max(1, len(rest))
    waves.update((name, 1 + place // size) for place, name in enumerate(rest))
    return waves


def records(names: Sequence[str], policy: Policy) -> dict[str, Record]:
    """A record for each node, in order."""
    return {name: Record(wave) for name, wave in divided(names, policy).items()}
