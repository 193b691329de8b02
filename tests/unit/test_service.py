"""Which nodes were in service when a snapshot was taken, and what puts them back there."""

from __future__ import annotations

import pytest

from lab.cluster.service import NO_REASON, Post, orders, post, read, write
from lab.facts.slurm import NodeInfo


def info(state: str = "IDLE", flags: str = "", reason: str = "") -> NodeInfo:
    return NodeInfo("c1", state, frozenset(flags.split()), reason, 0, 0, 0, 2, 900, "")


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (info(), Post("")),
        (info("ALLOCATED"), Post("")),
        (info("DOWN", "", "Node unexpectedly rebooted"), Post("down", "Node unexpectedly rebooted")),
        (info("DOWN", "NOT_RESPONDING", "sold"), Post("down", "sold")),
        (info("IDLE", "DRAIN", "broken fan"), Post("drain", "broken fan")),
        (info("DOWN", "DRAIN", "broken fan"), Post("drain", "broken fan")),
        (info("DOWN", "NOT_RESPONDING", "Not responding"), None),
        (info("IDLE", "NOT_RESPONDING"), None),
        (info("DOWN", "REBOOT_ISSUED", "Reboot ASAP : reboot issued"), None),
        (info("IDLE", "DRAIN REBOOT_REQUESTED", "Reboot ASAP"), None),
        (info("UNKNOWN"), None),
    ],
)
def test_what_is_passing_is_not_noted(found: NodeInfo, expected: Post | None) -> None:
    assert post(found) == expected


def test_a_note_is_read_back_for_its_own_snapshot_only() -> None:
    nodes = {"c1": info("DOWN", "", "it's \u201cdown\u201d"), "c2": info(), "c3": info("UNKNOWN")}
    text = write("kept", nodes)
    assert read(text, "kept") == {"c1": Post("down", "it's \u201cdown\u201d"), "c2": Post("")}
    assert read(text, "other") == {}


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "7", '{"snapshot": "kept"}', '{"snapshot": "kept", "nodes": {"c1": 7}}']
)
def test_a_spoilt_note_is_no_note(text: str) -> None:
    assert read(text, "kept") == {}


@pytest.mark.parametrize(
    ("wanted", "found", "told"),
    [
        (Post(""), info(), ()),
        (Post(""), info("IDLE", "NOT_RESPONDING"), ()),
        (Post(""), info("DOWN", "", "x"), ("state=resume",)),
        (Post("down", "it's so"), info(), ("state=down reason='it'\"'\"'s so'",)),
        (Post("down", ""), info(), (f"state=down reason='{NO_REASON}'",)),
        (Post("down", "x"), info("DOWN", "", "x"), ()),
        (Post("down", "x"), info("DOWN", "", "y"), ("state=resume", "state=down reason=x")),
        (Post("drain", "x"), info("IDLE", "DRAIN", "x"), ()),
        (Post("drain", "x"), info("DOWN", "", "x"), ("state=resume", "state=drain reason=x")),
    ],
)
def test_only_what_differs_is_ordered(wanted: Post, found: NodeInfo, told: tuple[str, ...]) -> None:
    assert orders(wanted, found) == told
