"""The planner's one function: what is known in, what is to be done out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from lab.rollout.planning import waves
from lab.rollout.planning.actions import BeforeWave, Decision, Look, Request
from lab.rollout.planning.capacity import Room
from lab.rollout.planning.draft import Draft
from lab.rollout.planning.follow import follow
from lab.rollout.planning.memory import Memory, Mode, Outcome, Phase
from lab.rollout.planning.nodes import Node, Probe
from lab.rollout.planning.policy import Clock, Policy

GAP = 300.0
"""Seconds between two looks that no step takes: the clock was set."""
FRESH = 60.0
"""Seconds that a boot id read before the reboot is good for."""
SETTLED = 60.0
"""Seconds for which all nodes that are left must be out of service before a rollout ends without them.
After a restart of slurmctld, every node is for a while."""
LOOK_AGAIN = 10.0
"""Seconds between two probes of a node that does not answer."""


def step(
    memory: Memory,
    view: Mapping[str, Node] | None,
    probes: Mapping[str, Probe],
    clock: Clock,
    policy: Policy,
) -> Decision:
    """Decides what to do next.

    `view` holds every node of the cluster; None while Slurm does not answer, and then nothing is decided.
    `probes` holds what nodes said since the last step.
    """
    if memory.outcome is not None:
        return Decision(memory)
    if view is None:
        return Decision(replace(memory, blind=True))
    draft = Draft(_forgiven(memory, clock.now), view, probes, clock, policy)
    for name in draft.records:
        follow(draft, name)
    draft.memory = replace(draft.memory, seen_at=clock.now, blind=False, stopping=_stopping(draft))
    blocked = _begin(draft, draft.take_looks())
    draft.memory = replace(draft.memory, blocked_since=_blocked_since(draft, blocked=blocked))
    draft.memory = replace(draft.memory, outcome=_outcome(draft))
    return Decision(replace(draft.memory, records=draft.records), tuple(draft.actions))


def _forgiven(memory: Memory, now: float) -> Memory:
    """Moves the start of every limit by the time in which nobody looked, or by which the clock was set."""
    gap = now - memory.seen_at
    if 0 <= gap <= GAP and not memory.blind:
        return memory
    records = {
        name: replace(record, since=record.since + gap) if record.since else record
        for name, record in memory.records.items()
    }
    blocked = memory.blocked_since + gap if memory.blocked_since else 0
    return replace(memory, records=records, blocked_since=blocked)


def _stopping(draft: Draft) -> bool:
    failures = sum(record.phase is Phase.FAILED for record in draft.records.values())
    return draft.memory.stopping or failures >= draft.policy.max_failures


def _begin(draft: Draft, looks: int) -> bool:
    """Requests what may be requested. Returns whether nodes wait for room or for others, and nothing else."""
    if draft.halting or draft.memory.mode is not Mode.RUN or not draft.open:
        return False
    candidates = _candidates(draft)
    if not candidates:
        return not draft.active()
    chosen = _wave(draft, candidates)
    if not chosen or _hook_is_due(draft, chosen):
        return False
    room = draft.policy.max_unavailable.at_most(len(draft.records)) - _away(draft)
    if room > 0:
        _look(draft, chosen, candidates, looks)
    began = _request(draft, chosen, room)
    return not began and not draft.active()


def _candidates(draft: Draft) -> list[str]:
    """The nodes whose turn may come now, in the policy's order."""
    names = [
        name
        for name, record in draft.records.items()
        if record.phase is Phase.WAITING and _free(draft, draft.view.get(name))
    ]
    return waves.ordered(names, draft.view, draft.policy.order)


def _free(draft: Draft, node: Node | None) -> bool:
    return draft.usable(node) and not draft.leftover(node)


def _wave(draft: Draft, candidates: list[str]) -> list[str]:
    """The candidates of the first wave that has not ended."""
    _appoint_canary(draft, candidates)
    unfinished = [draft.records[name].wave for name in (*candidates, *draft.active())]
    return [name for name in candidates if draft.records[name].wave == min(unfinished)]


def _appoint_canary(draft: Draft, candidates: list[str]) -> None:
    """If no canary has passed and none is left to do so, the next node becomes one."""
    if not draft.policy.canary:
        return
    first = [record for record in draft.records.values() if record.wave == 0]
    passed = any(record.phase is Phase.DONE for record in first)
    coming = any(draft.records[name].wave == 0 for name in (*candidates, *draft.active()))
    if not passed and not coming:
        draft.change(candidates[0], wave=0)


def _hook_is_due(draft: Draft, chosen: list[str]) -> bool:
    wave = draft.records[chosen[0]].wave
    if not draft.policy.before_wave or draft.memory.opened >= wave:
        return False
    draft.act(BeforeWave(wave, tuple(chosen)))
    return True


def _away(draft: Draft) -> int:
    """Nodes that are out of service by our doing: on their way, or failed and not back."""
    failed = sum(
        record.phase is Phase.FAILED
        and record.touched
        and not (name in draft.view and draft.view[name].available)
        for name, record in draft.records.items()
    )
    return failed + len(draft.active())


def _look(draft: Draft, chosen: list[str], candidates: list[str], most: int) -> None:
    """Probes nodes whose turn has come, and in advance those of which nothing is known yet."""
    new = [name for name in candidates if not draft.records[name].checked_at and name not in chosen]
    stale = [name for name in chosen if not _fresh(draft, name)]
    for name in [*stale, *new][:most]:
        record = draft.records[name]
        if not record.silent or draft.now - record.checked_at >= LOOK_AGAIN:
            draft.act(Look(name))


def _fresh(draft: Draft, name: str) -> bool:
    record = draft.records[name]
    return bool(record.boot_id) and draft.now - record.checked_at <= FRESH


def _request(draft: Draft, chosen: list[str], room: int) -> bool:
    """Requests reboots of as many nodes as there is room for. Returns whether anything is on its way."""
    floors = Room(draft.policy.floors, draft.view, draft.active())
    began = False
    for name in chosen:
        node = draft.view[name]
        group = floors.lacks(node)
        if room <= 0 or group:
            note = f"waits: {group} is at its floor" if group else "waits for its turn"
            draft.change(name, note=note)
            continue
        began = True
        if _fresh(draft, name):
            floors.take(node)
            room -= 1
            draft.change(
                name,
                phase=Phase.REQUESTED,
                note="",
                since=draft.now,
                asked_at=draft.now,
                attempts=draft.records[name].attempts + 1,
                confirmed=False,
                standing=True,
                killed=False,
                held=False,
            )
            draft.act(Request(name))
    return began


def _blocked_since(draft: Draft, *, blocked: bool) -> float:
    return (draft.memory.blocked_since or draft.now) if blocked else 0


def _outcome(draft: Draft) -> Outcome | None:
    """How it has ended. A step that still acts never ends it: its actions may get lost with the program."""
    if draft.actions or draft.active() or any(_outstanding(draft, name) for name in draft.records):
        return None
    if draft.halting:
        return Outcome.ABORTED if draft.memory.mode is Mode.ABORT else Outcome.STOPPED
    waiting = any(record.phase is Phase.WAITING for record in draft.records.values())
    if waiting:
        candidates = _candidates(draft)
        blocked = draft.memory.blocked_since
        limit = draft.policy.patience if candidates else SETTLED
        if not blocked or draft.now - blocked <= limit:
            return None
        return Outcome.BLOCKED if candidates else Outcome.INCOMPLETE
    good = sum(record.phase in (Phase.DONE, Phase.CURRENT) for record in draft.records.values())
    return Outcome.COMPLETE if good == len(draft.records) else Outcome.INCOMPLETE


def _outstanding(draft: Draft, name: str) -> bool:
    """Whether a node still needs us: a request or a drain of ours, somebody's drain, or one that failed."""
    record, node = draft.records[name], draft.view.get(name)
    if node is not None and node.unknown and (record.drain or record.phase is Phase.FAILED):
        return True  # it may be in service, and should not
    if draft.leftover(node) and not record.touched:
        return True
    if node is None or record.phase not in (Phase.WAITING, Phase.LEFT):
        return False
    return (node.reboot_pending or node.reboot_issued) and (record.standing or draft.ours(node))
