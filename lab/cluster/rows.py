"""Writes what was read of nodes as plain data, for `--json` and for the page."""

from __future__ import annotations

from lab.cluster.readiness import Expectation, ProbeResult, Reading
from lab.model import NodeStatus

_WORDS = {ProbeResult.YES: "ready", ProbeResult.NO: "not yet", ProbeResult.UNKNOWN: "unknown"}


def state(reading: Reading) -> str:
    """Returns the state of a node in words: ready, not yet, set by operator, or unknown."""
    return "set by operator" if reading.outlook is Expectation.LEFT else _WORDS[reading.answer]


def as_row(reading: Reading, status: NodeStatus | None = None) -> dict[str, object]:
    """Writes a reading as plain data, with what the engine says of the node if it was asked."""
    row: dict[str, object] = {
        "node": reading.node,
        "state": state(reading),
        "probe": reading.probe,
        "answer": reading.answer.value,
        "evidence": reading.evidence,
    }
    if status is not None:
        row |= {"power": status.power.value, "stage": status.stage, "since": status.since}
    else:
        row |= {"power": "absent", "stage": "", "since": None}
    return row
