"""Clocks are set together, only when they are far behind, and a machine that cannot be entered is told."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import pytest

from lab.backends.libvirt import clocks
from lab.run import Done

LOCK = threading.Lock()


@pytest.fixture
def entered(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []

    def run(argv: Sequence[str], *, timeout: float, check: bool) -> Done:
        node, command = argv[3], argv[-1]
        with LOCK:
            found.append((node, command.split("=")[0]))
        shut = node == "c2"
        return Done(tuple(argv), 69 if shut else 0, "", "error: c2 is not up" if shut else "", 0.0)

    monkeypatch.setattr(clocks, "run", run)
    return found


def test_a_short_while_needs_nothing(entered: list[tuple[str, str]]) -> None:
    clocks.set_forward("try", "sms", ["sms", "c1"], 59.0, lambda _line: None)
    assert entered == []


def test_all_are_set_then_the_controller_begins_anew(entered: list[tuple[str, str]]) -> None:
    said: list[str] = []
    clocks.set_forward("try", "sms", ["sms", "c1", "c2"], 3600.0, said.append)
    assert {pair for pair in entered if pair[1].startswith("date")} == {
        ("sms", "date --utc --set"),
        ("c1", "date --utc --set"),
    }
    assert entered[-1] == ("sms", clocks.AFTERWARDS)
    assert said[0] == "setting clocks forward by 3600 s"
    assert [line for line in said if line.startswith("c2: ") and "is not up" in line]
