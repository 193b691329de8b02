"""What is shown of a rollout: a table, JSON and a picture, whatever nodes and people have written."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from lab.rollout import picture, report
from lab.rollout.planning import starting
from lab.rollout.planning.memory import Memory, Mode, Outcome, Phase
from lab.rollout.planning.nodes import Node
from lab.rollout.planning.policy import Amount, Floor, Policy
from lab.rollout.settings import Settings

SETTINGS = Settings(Policy(("commit=4f1c2aa",), floors=(Floor("partition", "gpu", Amount(2)),)))
NOW = 1_800_000_000.0


def cluster(count: int) -> dict[str, Node]:
    names = [f"n{number}" for number in range(count)]
    return {name: Node(name, frozenset({"IDLE"}), partitions=("all",)) for name in names}


def rolled(count: int = 4) -> Memory:
    """The first node is done, the second failed with hostile words, the third waits for jobs."""
    view = cluster(count)
    memory = starting.begun("rollout:20260101-000000-0000", NOW, view, view, SETTINGS.policy)
    times: dict[str, Any] = {"asked_at": NOW + 10, "away_at": NOW + 20, "ended_at": NOW + 40}
    hostile = "its health check failed (1): \x1b[2J</svg><script>\u202e" + "x" * 5000
    records = dict(memory.records)
    records["n0"] = replace(records["n0"], phase=Phase.DONE, **times)
    records["n1"] = replace(records["n1"], phase=Phase.FAILED, note=hostile, **times)
    records["n2"] = replace(records["n2"], phase=Phase.REQUESTED, asked_at=NOW + 30)
    return replace(memory, records=records)


def test_foreign_words_steer_no_terminal_and_stay_in_their_line() -> None:
    lines = report.status_text(SETTINGS, rolled(), 0, NOW + 100).splitlines()
    assert all(line.isprintable() and len(line) < 200 for line in lines)
    (line,) = [line for line in lines if line.startswith("n1 ")]
    assert r"\x1b[2J" in line
    (waits,) = [line for line in lines if line.startswith("n2 ")]
    assert waits.split() == ["n2", "1", "requested", "1:10"]


@pytest.mark.parametrize(
    ("pid", "change", "word"),
    [
        (0, {}, "no process"),
        (7, {}, "running"),
        (7, {"mode": Mode.PAUSE}, "paused"),
        (7, {"mode": Mode.ABORT}, "aborting"),
        (7, {"stopping": True}, "stopping"),
        (0, {"outcome": Outcome.STOPPED}, "stopped"),
    ],
)
def test_the_whole_has_one_word(pid: int, change: dict[str, object], word: str) -> None:
    assert report.standing(replace(rolled(), **change), pid) == word  # type: ignore[arg-type]


def test_status_as_json_is_complete() -> None:
    data = json.loads(report.as_json(report.status_data(SETTINGS, rolled(), 7)))
    assert data["counts"]["failed"] == 1
    assert data["nodes"][0] == {
        "node": "n0",
        "wave": 0,
        "phase": "done",
        "note": "",
        "asked_at": NOW + 10,
        "away_at": NOW + 20,
        "ended_at": NOW + 40,
    }


@pytest.mark.parametrize("count", [4, 500])
def test_the_picture_has_a_row_for_each_node_and_loads_nothing(count: int) -> None:
    text = picture.draw(rolled(count), NOW + 100)
    root = ET.fromstring(text)  # noqa: S314 - our own
    width, height = float(root.attrib["width"]), float(root.attrib["height"])
    bars = [element.attrib for element in root.iter() if element.tag.endswith("rect")][1:]
    assert all(float(bar["x"]) >= 0 and float(bar["x"]) + float(bar["width"]) <= width for bar in bars)
    assert all(float(bar["y"]) + float(bar["height"]) <= height for bar in bars)
    assert height > count * 5
    assert "href" not in text


def test_plan_warns_of_floors_that_forbid_all_and_of_groups_without_one() -> None:
    gpu = {name: Node(name, frozenset({"IDLE"}), partitions=("gpu",)) for name in ("g1", "g2")}
    small = {"d1": Node("d1", frozenset({"IDLE"}), partitions=("debug",))}
    view = {**cluster(8), **gpu, **small}
    found = report.warnings(SETTINGS, list(view), view)
    assert found == [
        "all nodes of partition:debug (1) may be away at once: it has no floor",
        "partition:gpu has 2 nodes and a floor of 2: none of them will be rebooted",
    ]
    assert report.warnings(SETTINGS, ["n0"], view) == []
