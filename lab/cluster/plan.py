"""What has to be done so that a lab becomes what it should be: an ordered list that can be shown first."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from enum import Enum

from lab.errors import UsageError
from lab.model import PAUSED, UNPLUGGED, ClusterSpec, LabRecord, Node, NodeStatus, Power, Role


class Verb(Enum):
    """What an action does."""

    CREATE = "create"
    REMAKE = "remake"
    CHANGE = "change"
    REMOVE = "remove"
    WIRE = "wire"
    RESUME = "let go on"
    POWER_ON = "power on"
    WAIT = "wait for"


_TOLD = {
    Verb.CREATE: "",
    Verb.REMAKE: "what they are made of has changed",
    Verb.CHANGE: "its disk is kept",
    Verb.REMOVE: "no longer part of the lab",
    Verb.WIRE: "they stand without network",
    Verb.RESUME: "their processors stand still",
    Verb.POWER_ON: "",
    Verb.WAIT: "",
}


@dataclass(frozen=True)
class Action:
    """One step of `lab up`."""

    verb: Verb
    nodes: tuple[str, ...]

    @property
    def text(self) -> str:
        """The step in words."""
        why = f" ({_TOLD[self.verb]})" if _TOLD[self.verb] else ""
        return f"{self.verb.value} {', '.join(self.nodes)}{why}"


def plan_up(
    spec: ClusterSpec,
    record: LabRecord | None,
    statuses: Iterable[NodeStatus],
    names: Collection[str],
) -> tuple[Action, ...]:
    """The actions that bring a lab up, in order; only a wait when it already is as it should be."""
    found = {status.name: status for status in statuses}
    old = record.spec if record is not None else None
    if old is not None:
        _refuse_other_networks(spec, old)
    missing = [n.name for n in spec.nodes if _power(found, n.name) is Power.ABSENT]
    kept = [node for node in spec.nodes if node.name not in missing]
    changed = [node for node in kept if _differs(node, spec, old)]
    gone = sorted(set(record.nodes if record else ()) - {node.name for node in spec.nodes})
    off = [n.name for n in kept if n.name in names and _power(found, n.name) is Power.OFF]
    loose = [n.name for n in kept if found[n.name].stage == UNPLUGGED]
    still = [n.name for n in kept if found[n.name].stage == PAUSED]
    steps = (
        (Verb.CREATE, missing),
        (Verb.REMAKE, [node.name for node in changed if node.role is not Role.SMS]),
        (Verb.CHANGE, [node.name for node in changed if node.role is Role.SMS]),
        (Verb.REMOVE, gone),
        (Verb.WIRE, loose),
        (Verb.RESUME, still),
        (Verb.POWER_ON, off),
        (Verb.WAIT, [node.name for node in spec.nodes if node.name in names]),
    )
    return tuple(Action(verb, tuple(nodes)) for verb, nodes in steps if nodes)


def freshly_powered(actions: Iterable[Action]) -> frozenset[str]:
    """The nodes that the actions put under power."""
    verbs = (Verb.CREATE, Verb.REMAKE, Verb.POWER_ON)
    return frozenset(name for action in actions if action.verb in verbs for name in action.nodes)


def select(spec: ClusterSpec, names: Iterable[str]) -> tuple[str, ...]:
    """The named nodes in the lab's order, the SMS included since nothing boots without it; all if none."""
    wanted = list(names)
    if not wanted:
        return tuple(node.name for node in spec.nodes)
    check_names(spec, wanted)
    return tuple(n.name for n in spec.nodes if n.name in wanted or n.role is Role.SMS)


def check_names(spec: ClusterSpec, names: Iterable[str]) -> None:
    """Refuses names that are no nodes of the lab."""
    known = [node.name for node in spec.nodes]
    unknown = [name for name in names if name not in known]
    if unknown:
        noun = "node" if len(unknown) == 1 else "nodes"
        raise UsageError(
            f"lab {spec.lab} has no {noun} {', '.join(unknown)}", evidence=f"there are: {', '.join(known)}"
        )


def _power(found: dict[str, NodeStatus], name: str) -> Power:
    return found[name].power if name in found else Power.ABSENT


def _differs(node: Node, spec: ClusterSpec, old: ClusterSpec | None) -> bool:
    if old is None:
        return False
    try:
        before = old.node(node.name)
    except KeyError:
        return False
    if node.role is Role.SMS:
        return node != before
    # whether it is registered is for the SMS to know, not for the machine
    return replace(node, registered=before.registered) != before or spec.root is not old.root


def _refuse_other_networks(spec: ClusterSpec, old: ClusterSpec) -> None:
    if spec.networks == old.networks:
        return
    lines = [
        f"{new.name}: {was.subnet} would become {new.subnet}"
        for new, was in zip(spec.networks, old.networks, strict=False)
        if new != was
    ]
    raise UsageError(
        f"the networks of lab {spec.lab} cannot change while it exists",
        evidence="\n".join(lines) or "another number of networks",
        hint="lab down, then lab up; or take another name: lab up -l NAME",
    )
