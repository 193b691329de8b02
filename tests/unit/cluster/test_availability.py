"""Which nodes were in service when a snapshot was taken, and what puts them back there."""

from __future__ import annotations

import pytest

from lab.cluster.availability import NO_REASON, NodeAvailability, availability_of, orders, read, write
from lab.facts.slurm import NodeInfo


def info(state: str = "IDLE", flags: str = "", reason: str = "") -> NodeInfo:
    return NodeInfo("c1", state, frozenset(flags.split()), reason, 0, 0, 0, 2, 900, "")


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (info(), NodeAvailability("")),
        (info("ALLOCATED"), NodeAvailability("")),
        (
            info("DOWN", "", "Node unexpectedly rebooted"),
            NodeAvailability("down", "Node unexpectedly rebooted"),
        ),
        (info("DOWN", "NOT_RESPONDING", "sold"), NodeAvailability("down", "sold")),
        (info("IDLE", "DRAIN", "broken fan"), NodeAvailability("drain", "broken fan")),
        (info("DOWN", "DRAIN", "broken fan"), NodeAvailability("drain", "broken fan")),
        (info("DOWN", "NOT_RESPONDING", "Not responding"), None),
        (info("IDLE", "NOT_RESPONDING"), None),
        (info("DOWN", "REBOOT_ISSUED", "Reboot ASAP : reboot issued"), None),
        (info("IDLE", "DRAIN REBOOT_REQUESTED", "Reboot ASAP"), None),
        (info("UNKNOWN"), None),
    ],
)
def test_what_is_passing_is_not_noted(found: NodeInfo, expected: NodeAvailability | None) -> None:
    assert availability_of(found) == expected


def test_a_note_is_read_back_for_its_own_snapshot_only() -> None:
    nodes = {"c1": info("DOWN", "", "it's \u201cdown\u201d"), "c2": info(), "c3": info("UNKNOWN")}
    text = write("kept", nodes)
    assert read(text, "kept") == {
        "c1": NodeAvailability("down", "it's \u201cdown\u201d"),
        "c2": NodeAvailability(""),
    }
    assert read(text, "other") == {}


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "7", '{"snapshot": "kept"}', '{"snapshot": "kept", "nodes": {"c1": 7}}']
)
def test_a_spoilt_note_is_no_note(text: str) -> None:
    assert read(text, "kept") == {}


@pytest.mark.parametrize(
    ("wanted", "found", "told"),
    [
        (NodeAvailability(""), info(), ()),
        (NodeAvailability(""), info("IDLE", "NOT_RESPONDING"), ()),
        (NodeAvailability(""), info("DOWN", "", "x"), ("state=resume",)),
        (NodeAvailability("down", "it's so"), info(), ("state=down reason='it'\"'\"'s so'",)),
        (NodeAvailability("down", ""), info(), (f"state=down reason='{NO_REASON}'",)),
        (NodeAvailability("down", "x"), info("DOWN", "", "x"), ()),
        (NodeAvailability("down", "x"), info("DOWN", "", "y"), ("state=resume", "state=down reason=x")),
        (NodeAvailability("drain", "x"), info("IDLE", "DRAIN", "x"), ()),
        (NodeAvailability("drain", "x"), info("DOWN", "", "x"), ("state=resume", "state=drain reason=x")),
    ],
)
def test_only_what_differs_is_ordered(
    wanted: NodeAvailability, found: NodeInfo, told: tuple[str, ...]
) -> None:
    assert orders(wanted, found) == told
