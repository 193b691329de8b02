"""Starts that libvirt refuses, for a moment or for good."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

from lab.backends.libvirt.engine import STARTS, insist

INTERRUPTED = "failed to load cgroup BPF prog: Resource temporarily unavailable"  # as libvirt 7 and 9 say it


class RefusalError(Exception):
    """Stands for libvirt's own."""


@pytest.fixture(autouse=True)
def _binding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "libvirt", SimpleNamespace(libvirtError=RefusalError))


class Machine:
    """A machine whose start is refused some times."""

    def __init__(self, why: str, times: int) -> None:
        self.why, self.times, self.asked = why, times, 0

    def start(self) -> None:
        self.asked += 1
        if self.asked <= self.times:
            raise RefusalError(self.why)


@pytest.mark.parametrize("times", [0, 1, STARTS - 1])
def test_a_start_that_a_signal_interrupted_is_asked_for_again(times: int) -> None:
    machine = Machine(INTERRUPTED, times)
    insist(machine.start)
    assert machine.asked == times + 1


@pytest.mark.parametrize(
    ("why", "asked"),
    [
        (INTERRUPTED, STARTS),
        ("failed to load cgroup BPF prog: Operation not permitted", 1),
        ("Cannot allocate memory", 1),
        ("cannot fork child process: Resource temporarily unavailable", 1),
    ],
)
def test_what_does_not_pass_is_refused(why: str, asked: int) -> None:
    machine = Machine(why, 1000)
    with pytest.raises(RefusalError, match=why):
        insist(machine.start)
    assert machine.asked == asked
