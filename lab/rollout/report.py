"""What is shown: plans and states, as text for people and as JSON. Foreign text is made printable."""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from lab.rollout.errors import RolloutError, printable
from lab.rollout.planning import capacity
from lab.rollout.planning.memory import FINAL, Memory, Mode, Phase
from lab.rollout.planning.nodes import Node
from lab.rollout.settings import Settings

SCHEMA = 1
SHOWN = 12


def error_text(error: RolloutError) -> str:
    """The message, the evidence and the next command."""
    lines = [f"error: {error.message}", *(f"  {line}" for line in error.evidence.splitlines())]
    if error.hint:
        lines.append(f"hint: {error.hint}")
    return "\n".join(lines)


def error_json(error: RolloutError) -> str:
    """One line of JSON about a failure."""
    return json.dumps(
        {
            "schema": SCHEMA,
            "status": error.kind.name,
            "exit": error.kind.status,
            "error": error.message,
            "evidence": error.evidence,
            "hint": error.hint,
        }
    )


def event(name: str, text: str, now: float) -> str:
    """One line about what has just happened."""
    return f"{time.strftime('%H:%M:%S', time.localtime(now))}  {f'{name}: ' if name else ''}{text}"


def event_json(name: str, text: str, now: float) -> str:
    """The same as a line of JSON."""
    return json.dumps({"schema": SCHEMA, "time": round(now, 3), "node": name or None, "event": text})


def warnings(settings: Settings, names: Collection[str], view: Mapping[str, Node]) -> list[str]:
    """What the administrator may not have meant."""
    found = []
    needs = capacity.needs(settings.policy.floors, view.values())
    ours = capacity.sizes(view[name] for name in names)
    most = settings.policy.max_unavailable.at_most(len(names))
    for group, size in sorted(capacity.sizes(view.values()).items()):
        word = ":".join(group)
        need = needs.get(group)
        if need and need.least >= size and group in ours:
            found.append(
                f"{word} has {size} nodes and a floor of {need.least}: none of them will be rebooted"
            )
        elif need is None and group[0] == "partition" and most >= size and group in ours:
            found.append(f"all nodes of {word} ({size}) may be away at once: it has no floor")
    return found


def plan_data(settings: Settings, memory: Memory, view: Mapping[str, Node]) -> dict[str, Any]:
    """A plan as JSON values."""
    policy = settings.policy
    waves: dict[int, list[str]] = {}
    for name, record in memory.records.items():
        waves.setdefault(record.wave, []).append(name)
    in_service = capacity.sizes(node for node in view.values() if node.available)
    return {
        "schema": SCHEMA,
        "wanted": policy.wanted,
        "nodes": len(memory.records),
        "at_once": policy.max_unavailable.at_most(len(memory.records)),
        "waves": [{"wave": wave, "nodes": names} for wave, names in sorted(waves.items())],
        "floors": [
            {
                "group": need.name,
                "size": need.size,
                "floor": need.least,
                "in_service": in_service.get(group, 0),
            }
            for group, need in sorted(capacity.needs(policy.floors, view.values()).items())
        ],
        "left_alone": {name: view[name].describe() for name in memory.records if not view[name].available},
        "busy": [name for name in memory.records if view[name].busy],
        "warnings": warnings(settings, memory.records, view),
    }


def plan_text(settings: Settings, data: Mapping[str, Any]) -> str:
    """A plan for people."""
    policy = settings.policy
    lines = [
        f"image     {', '.join(map(printable, policy.wanted))}",
        f"nodes     {data['nodes']}, of which {len(data['busy'])} run jobs; these are waited for",
        f"at once   {data['at_once']} ({policy.max_unavailable})",
        f"limits    {policy.deadline:g} s for each reboot; stops after {policy.max_failures} failed",
    ]
    if policy.window:
        lines.append(f"window    {policy.window}")
    for wave in data["waves"]:
        label = "canary" if wave["wave"] == 0 else f"wave {wave['wave']}"
        lines.append(f"{label:<9} {_listed(wave['nodes'])}")
    for floor in data["floors"]:
        counts = f"{floor['floor']} of {floor['size']} stay; {floor['in_service']} in service now"
        lines.append(f"floor     {printable(floor['group'])}: {counts}")
    lines += [
        f"left      {name} is {printable(state)}: left alone until somebody returns it"
        for name, state in list(data["left_alone"].items())[:SHOWN]
    ]
    lines += [f"warning   {printable(text, 200)}" for text in data["warnings"]]
    return "\n".join(lines)


def _listed(names: Sequence[str]) -> str:
    rest = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"{' '.join(names[:SHOWN])}{rest}"


def standing(memory: Memory, pid: int) -> str:
    """In which state the rollout as a whole is, in one or two words."""
    if memory.outcome is not None:
        return memory.outcome.value
    if not pid:
        return "no process"
    if memory.mode is Mode.ABORT:
        return "aborting"
    if memory.stopping:
        return "stopping"
    return "paused" if memory.mode is Mode.PAUSE else "running"


def status_data(settings: Settings, memory: Memory, pid: int) -> dict[str, Any]:
    """The state of a rollout as JSON values. Times are seconds since the epoch, or null."""
    return {
        "schema": SCHEMA,
        "rollout": memory.token,
        "wanted": settings.policy.wanted,
        "state": standing(memory, pid),
        "process": pid or None,
        "started_at": memory.started_at,
        "seen_at": memory.seen_at,
        "counts": {phase.value: memory.count(phase) for phase in Phase},
        "nodes": [
            {
                "node": name,
                "wave": record.wave,
                "phase": record.phase.value,
                "note": record.note,
                "asked_at": record.asked_at or None,
                "away_at": record.away_at or None,
                "ended_at": record.ended_at or None,
            }
            for name, record in memory.records.items()
        ],
    }


def status_text(settings: Settings, memory: Memory, pid: int, now: float) -> str:
    """The state of a rollout as a table."""
    done = memory.count(*FINAL)
    counts = ", ".join(f"{memory.count(phase)} {phase.value}" for phase in Phase if memory.count(phase))
    state = standing(memory, pid)
    head = [
        f"{memory.token} to {', '.join(map(printable, settings.policy.wanted))}",
        f"{state}: {done} of {len(memory.records)} nodes have ended ({counts})",
    ]
    if state == "no process":
        head.append("nobody continues it; rollout resume does")
    width = max([4, *map(len, memory.records)])
    rows = [f"{'NODE'.ljust(width)}  WAVE    PHASE      FOR     NOTE"]
    for name, record in memory.records.items():
        wave = "canary" if record.wave == 0 else str(record.wave)
        end = record.ended_at or now
        time_ = _span(end - record.asked_at) if record.asked_at else "-"
        row = f"{name.ljust(width)}  {wave:<6}  {record.phase.value:<9}  {time_:<6}  {printable(record.note)}"
        rows.append(row.rstrip())
    return "\n".join([*head, "", *rows])


def _span(seconds: float) -> str:
    seconds = max(0, int(seconds))
    if seconds < 3600:
        return f"{seconds // 60}:{seconds % 60:02}"
    return f"{seconds // 3600}h{seconds % 3600 // 60:02}"


def as_json(data: Mapping[str, Any]) -> str:
    """A result as one line of JSON."""
    return json.dumps(data)
