"""Waiting: as long as needed, never past the deadline, always at least one look."""

from __future__ import annotations

from lab.polling import wait_for


class Time:
    """A clock that only sleeping, and looking, moves."""

    def __init__(self, look: float = 0.0) -> None:
        self.now = 100.0
        self.naps: list[float] = []
        self.look = look
        self.looks = 0

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.naps.append(seconds)
        self.now += seconds

    def count(self) -> int:
        self.looks += 1
        self.now += self.look
        return self.looks


def test_ends_as_soon_as_the_value_is_liked() -> None:
    time = Time()
    seen: list[int] = []
    value = wait_for(time.count, 200.0, time.clock, time.sleep, seen.append, done=lambda n: n == 3, every=0.5)
    assert (value, seen, time.naps) == (3, [1, 2, 3], [0.5, 0.5])


def test_ends_at_the_deadline_with_the_last_value() -> None:
    time = Time()
    value = wait_for(time.count, 101.2, time.clock, time.sleep, done=lambda _n: False, every=0.5)
    assert time.now == 101.2
    assert value == time.looks == 4


def test_looks_once_even_when_time_is_up() -> None:
    time = Time()
    assert wait_for(time.count, 0.0, time.clock, time.sleep, done=lambda _n: False) == 1
    assert time.naps == []


def test_the_time_a_look_takes_is_not_slept_again() -> None:
    time = Time(look=0.3)
    wait_for(time.count, 200.0, time.clock, time.sleep, done=lambda n: n == 2, every=0.5)
    assert [round(nap, 6) for nap in time.naps] == [0.2]
    slow = Time(look=0.9)
    wait_for(slow.count, 200.0, slow.clock, slow.sleep, done=lambda n: n == 2, every=0.5)
    assert slow.naps == [0.0]


def test_looks_become_rarer_when_the_first_pause_is_short() -> None:
    time = Time()
    wait_for(time.count, 120.0, time.clock, time.sleep, done=lambda n: n == 6, every=5.0, first=1.0)
    assert time.naps == [1.0, 2.0, 4.0, 5.0, 5.0]
