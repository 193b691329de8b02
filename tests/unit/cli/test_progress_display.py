"""Progress: live on a terminal, plain in a pipe, and nothing of a node's text steers either."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from lab.cli.progress_display import describe, showing
from lab.cluster.readiness import Expectation, ProbeResult, Reading

EARLY = Reading("c1", "booted", ProbeResult.NO, "stage vnfs")
DONE = Reading("c1", "idle in Slurm", ProbeResult.YES, "idle")
LEFT = Reading("c2", "idle in Slurm", ProbeResult.NO, "down: fan", Expectation.LEFT)


def ticking(step: float) -> Callable[[], float]:
    """A clock that goes on by `step` each time it is read."""
    now = [0.0]

    def clock() -> float:
        now[0] += step
        return now[0]

    return clock


def test_plain_tells_each_node_once(capsys: pytest.CaptureFixture[str]) -> None:
    with showing("auto", {}, ticking(0.5)) as progress:
        progress.say("create c1")
        for reading in (EARLY, DONE, DONE):
            progress.watch([reading, LEFT], 1.0)
    lines = [line.partition("] ")[2] for line in capsys.readouterr().err.splitlines()]
    assert lines == ["create c1", "c2: idle in Slurm: set by operator (down: fan)", "c1: idle in Slurm"]


def test_plain_says_what_it_waits_for_after_a_while(capsys: pytest.CaptureFixture[str]) -> None:
    with showing("plain", {}, ticking(6.0)) as progress:
        progress.watch([EARLY], 1.0)
        progress.watch([EARLY], 2.0)
    assert "waiting for c1: booted: not yet (stage vnfs)" in capsys.readouterr().err


def test_json_tells_changes_only(capsys: pytest.CaptureFixture[str]) -> None:
    with showing("json", {}, ticking(0.5)) as progress:
        for reading in (EARLY, EARLY, DONE):
            progress.watch([reading], 1.0)
    events = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [(event["event"], event["answer"]) for event in events] == [("reading", "no"), ("reading", "yes")]


def test_quiet_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with showing("quiet", {}) as progress:
        progress.say("x")
        progress.watch([EARLY], 1.0)
    assert capsys.readouterr() == ("", "")


def test_a_terminal_shows_steps_and_nodes(capsys: pytest.CaptureFixture[str]) -> None:
    evil = Reading("g1", "booted", ProbeResult.UNKNOWN, "\x1b]0;owned\x07[red]name[/red]")
    with showing("tty", {"NO_COLOR": "1"}, ticking(0.5)) as progress:
        progress.say("create [bold]c1")
        progress.watch([EARLY, evil], 1.0)
        progress.watch([DONE, LEFT], 2.0)
    text = capsys.readouterr().err
    assert "create [bold]c1" in text
    assert "idle in Slurm" in text
    assert "owned" not in text


def test_unknown_is_never_described_as_ready() -> None:
    words = describe(Reading("c1", "system runs", ProbeResult.UNKNOWN, "no shell"))
    assert words == "c1: system runs: unknown (no shell)"
