"""What has to be done so that a lab becomes what it should be: an ordered list, shown and then executed."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from lab.backends.actions import Action, Stale, Verb, nodes_of
from lab.errors import UsageError, did_you_mean
from lab.model import PAUSED, UNPLUGGED, ClusterSpec, LabRecord, NodeStatus, Power, Role

LOSING = (Verb.REMOVE, Verb.REMAKE)
"""Verbs that destroy what is on a node's disk."""
DESCRIPTION = "description of the cluster"
ANOTHER_LAB = "lab down, then lab up; or take another name: lab up -l NAME"
"""What to type where a lab that exists cannot become what is wanted."""


def plan_up(
    spec: ClusterSpec,
    record: LabRecord | None,
    statuses: Iterable[NodeStatus],
    names: Collection[str],
    stale: Iterable[Stale] = (),
) -> tuple[Action, ...]:
    """The actions that bring a lab up, in order; only a wait when it already is as it should be.

    `stale` is what the backend says of this specification. A lab in the middle of a restore completes that
    first, and only that: nobody knows before what its nodes will be like.
    """
    if record is not None and record.spec is not None:
        _refuse_other_networks(spec, record.spec)
        _refuse_other_trust(spec, record.spec)
        _refuse_other_software(spec, record.spec)
    if record is not None and record.pending:
        steps = _complete_restore(spec, record, names)
    else:
        steps = _steps(spec, record, {status.name: status for status in statuses}, names, tuple(stale))
    wait = [(name, Verb.WAIT, "") for name in _in_order(spec, names)]
    return _grouped(spec, [*steps, *wait])


def freshly_powered(actions: Iterable[Action]) -> frozenset[str]:
    """The nodes that the actions put under power."""
    return frozenset(nodes_of(actions, Verb.CREATE, Verb.REMAKE, Verb.RESTART, Verb.POWER_ON))


def work(actions: Iterable[Action]) -> tuple[Action, ...]:
    """The actions that change something."""
    return tuple(action for action in actions if action.verb is not Verb.WAIT)


def losing(actions: Iterable[Action]) -> tuple[Action, ...]:
    """The actions that destroy what is on a node's disk."""
    return tuple(action for action in actions if action.verb in LOSING)


def select(spec: ClusterSpec, names: Iterable[str]) -> tuple[str, ...]:
    """The named nodes in the lab's order, the SMS included since nothing boots without it; all if none."""
    wanted = list(names)
    if not wanted:
        return tuple(node.name for node in spec.nodes)
    check_names(spec, wanted)
    return tuple(n.name for n in spec.nodes if n.name in wanted or n.role is Role.SMS)


def check_names(spec: ClusterSpec, names: Iterable[str]) -> None:
    """Raises UsageError for names that are no nodes of the lab."""
    known = [node.name for node in spec.nodes]
    unknown = [name for name in names if name not in known]
    if unknown:
        noun = "node" if len(unknown) == 1 else "nodes"
        near = did_you_mean(unknown[0], known) if len(unknown) == 1 else ""
        raise UsageError(
            f"lab {spec.lab} has no {noun} {', '.join(unknown)}{near}",
            evidence=f"there are: {', '.join(known)}",
        )


_Step = tuple[str, Verb, str]
"""A node, what is done to it, and why."""


def _steps(
    spec: ClusterSpec,
    record: LabRecord | None,
    found: dict[str, NodeStatus],
    names: Collection[str],
    stale: tuple[Stale, ...],
) -> Iterator[_Step]:
    wanted = [node.name for node in spec.nodes]
    absent = NodeStatus("", Power.ABSENT)
    for name in sorted(set(record.nodes if record else ()) - set(wanted)):
        yield name, Verb.REMOVE, "no longer part of the lab"
    remade = {one.node for one in stale if one.verb is Verb.REMAKE}
    for name in wanted:
        status = found.get(name, absent)
        if status.power is Power.ABSENT:
            yield name, Verb.CREATE, status.detail
            continue
        yield from ((name, one.verb, one.reason) for one in _of_node(name, stale, remade))
        if name not in remade:
            yield from _idle(status, stale, asked=name in names)
    told = {one.node for one in stale if one.verb in (Verb.REMAKE, Verb.CHANGE)}
    if spec.sms.name not in told and _is_redescribed(spec, record, found):
        yield spec.sms.name, Verb.CHANGE, DESCRIPTION


def _of_node(name: str, stale: Iterable[Stale], remade: Collection[str]) -> Iterator[Stale]:
    """What the backend says of a node; nothing else has to be done to one that is remade."""
    for one in stale:
        if one.node == name and (name not in remade or one.verb is Verb.REMAKE):
            yield one


def _idle(status: NodeStatus, stale: Iterable[Stale], *, asked: bool) -> Iterator[_Step]:
    """What a node needs that is as described, and does not work."""
    settled = {one.node for one in stale if one.verb in (Verb.RESTART, Verb.UNPAUSE)}
    if status.name in settled:
        return
    if status.stage == UNPLUGGED:
        yield status.name, Verb.CONNECT, status.detail
    elif status.stage == PAUSED:
        yield status.name, Verb.UNPAUSE, "paused"
    elif status.power is Power.OFF and asked:
        yield status.name, Verb.POWER_ON, ""


def _is_redescribed(spec: ClusterSpec, record: LabRecord | None, found: dict[str, NodeStatus]) -> bool:
    """Whether an existing SMS must learn that the cluster has changed: its description names all nodes."""
    if record is None or record.spec == spec:
        return False
    return spec.sms.name in found and found[spec.sms.name].power is not Power.ABSENT


def _complete_restore(spec: ClusterSpec, record: LabRecord, names: Collection[str]) -> Iterator[_Step]:
    if record.spec != spec:
        raise UsageError(
            f"lab {spec.lab} cannot be changed now: a restore of {record.pending} was interrupted",
            hint=f"lab restore -l {spec.lab} {record.pending}, then repeat the command",
        )
    yield "", Verb.RESTORE, record.pending
    for name in names:
        yield name, Verb.POWER_ON, "where the restored state has it off"


def _grouped(spec: ClusterSpec, steps: Iterable[_Step]) -> tuple[Action, ...]:
    """One action for all nodes to which the same is done for the same reason."""
    groups: dict[tuple[Verb, str], list[str]] = {}
    for name, verb, reason in steps:
        groups.setdefault((verb, reason), []).append(name)
    order = list(Verb)
    return tuple(
        Action(verb, _in_order(spec, nodes) or tuple(filter(None, nodes)), reason)
        for (verb, reason), nodes in sorted(groups.items(), key=lambda group: order.index(group[0][0]))
    )


def _in_order(spec: ClusterSpec, names: Collection[str]) -> tuple[str, ...]:
    return tuple(node.name for node in spec.nodes if node.name in names)


def _refuse_other_trust(spec: ClusterSpec, old: ClusterSpec) -> None:
    """All files of a lab belong to the ids that its nodes have."""
    if spec.trust is not old.trust:
        raise UsageError(
            f"the trust of lab {spec.lab} cannot change while it exists",
            evidence=f"{old.trust.value} would become {spec.trust.value}",
            hint=ANOTHER_LAB,
        )


def _refuse_other_software(spec: ClusterSpec, old: ClusterSpec) -> None:
    """An SMS is never remade, and this software comes with its image."""
    if spec.jupyter is not old.jupyter:
        raise UsageError(
            f"the lab {spec.lab} {'gets no Jupyter' if spec.jupyter else 'keeps Jupyter'} while it exists",
            evidence=f"jupyter = {str(old.jupyter).lower()} would become {str(spec.jupyter).lower()}",
            hint=ANOTHER_LAB,
        )


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
        hint=ANOTHER_LAB,
    )
