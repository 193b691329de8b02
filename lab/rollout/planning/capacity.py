"""How many nodes may be away: floors of partitions and switches, counted on what is in service now."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from lab.rollout.planning.nodes import Node
from lab.rollout.planning.policy import EACH, Floor

Group = tuple[str, str]


@dataclass(frozen=True)
class Need:
    """A group, the number of its nodes, and how many of them must stay in service."""

    group: Group
    size: int
    least: int

    @property
    def name(self) -> str:
        """The group as it is written in a floor."""
        return ":".join(self.group)


def groups_of(node: Node) -> Iterator[Group]:
    """The groups that a node is in."""
    yield from (("partition", name) for name in node.partitions)
    yield from (("switch", name) for name in node.switches)


def sizes(nodes: Iterable[Node]) -> dict[Group, int]:
    """The number of nodes in each group."""
    found: dict[Group, int] = {}
    for node in nodes:
        for group in groups_of(node):
            found[group] = found.get(group, 0) + 1
    return found


def needs(floors: Collection[Floor], nodes: Collection[Node]) -> dict[Group, Need]:
    """What the floors demand of each group; the highest of several floors counts."""
    found: dict[Group, Need] = {}
    for group, size in sizes(nodes).items():
        kind, name = group
        least = max(
            (f.amount.at_least(size) for f in floors if f.kind == kind and f.name in (EACH, name)), default=0
        )
        if least:
            found[group] = Need(group, size, least)
    return found


class Room:
    """What may still be taken out of service in this step."""

    def __init__(self, floors: Collection[Floor], view: Mapping[str, Node], ours: Collection[str]) -> None:
        self._needs = needs(floors, view.values())
        self._left = dict.fromkeys(self._needs, 0)
        for node in view.values():
            if node.available and node.name not in ours:
                for group in self._floored(node):
                    self._left[group] += 1

    def _floored(self, node: Node) -> Iterator[Group]:
        return (group for group in groups_of(node) if group in self._needs)

    def lacks(self, node: Node) -> str:
        """The group that would fall below its floor without this node; empty if there is none."""
        if not node.available:
            return ""
        for group in self._floored(node):
            if self._left[group] <= self._needs[group].least:
                return self._needs[group].name
        return ""

    def take(self, node: Node) -> None:
        """Counts a node as away."""
        if node.available:
            for group in self._floored(node):
                self._left[group] -= 1
