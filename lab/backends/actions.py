"""The steps that bring a lab up: planned once, shown, asked about, and executed by a backend as they are."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from lab.model import Node


class Verb(Enum):
    """What an action does; the order is the order of execution."""

    RESTORE = "complete the interrupted restore"  # the lab, not single nodes
    REMOVE = "remove"
    REMAKE = "remake"  # removed and created again: what is on its disk is lost
    CREATE = "create"
    CHANGE = "change"  # in place: its disk is kept, and it goes on running
    RESTART = "restart"
    CONNECT = "connect"
    UNPAUSE = "unpause"
    POWER_ON = "power on"
    WAIT = "wait for"


@dataclass(frozen=True)
class Action:
    """One step of `lab up`, and why it is needed ("" where that is plain)."""

    verb: Verb
    nodes: tuple[str, ...]
    reason: str = ""

    @property
    def text(self) -> str:
        """The step in words."""
        step = f"{self.verb.value} {', '.join(self.nodes)}".rstrip()
        return f"{step}: {self.reason}" if self.reason else step


@dataclass(frozen=True)
class Stale:
    """One node that is not as a specification asks: what has to be done about it, and why."""

    node: str
    verb: Verb  # REMAKE, CHANGE, RESTART or UNPAUSE
    reason: str


def nodes_of(actions: Iterable[Action], *verbs: Verb) -> tuple[str, ...]:
    """The nodes that actions of these kinds name, in the order of the actions."""
    return tuple(name for action in actions if action.verb in verbs for name in action.nodes)


def differences(old: Node, new: Node) -> str:
    """What of a machine has changed, for people: `memory 256 → 512`; "" when nothing has.

    Whether a node is registered is not compared: the SMS knows that, the machine itself does not show it.
    """
    pairs = [(name, getattr(old, name), getattr(new, name)) for name in ("cpus", "memory", "disk", "gpus")]
    pairs += [(name, getattr(old, name).value, getattr(new, name).value) for name in ("role", "tag")]
    told = [f"{name} {before} → {after}" for name, before, after in pairs if before != after]
    if old.interfaces != new.interfaces:
        told.append(_cards(old, new))
    return ", ".join(told)


def _cards(old: Node, new: Node) -> str:
    before = {card.name: card for card in old.interfaces}
    after = {card.name: card for card in new.interfaces}
    changed = [name for name in {**before, **after} if before.get(name) != after.get(name)]
    return f"network {'card' if len(changed) == 1 else 'cards'} {', '.join(changed)}"
