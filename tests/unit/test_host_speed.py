"""Time limits that follow a host's speed: measured, bounded, quick to grow, slow to shrink."""

from __future__ import annotations

import threading

import pytest

from lab.host_speed import LOOK, MOST, SHELL, STALE, TRIVIAL, HostSpeed, time_trivial_process
from lab.polling import Limit, wait_for


class Host:
    """A host whose clock and speed the test sets."""

    def __init__(self, slowness: float = 1.0) -> None:
        self.now = 100.0
        self.slowness = slowness
        self.measured = 0

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def measure(self) -> float:
        self.measured += 1
        return TRIVIAL * self.slowness

    def speed(self, backend_scale: float = 1.0) -> HostSpeed:
        return HostSpeed(backend_scale, measure=self.measure, clock=self.clock)


def waited(host: Host, limit: Limit) -> float:
    """Seconds of the host until the limit has run out."""
    began = host.now
    wait_for(lambda: False, limit, host.clock, host.sleep, every=1.0)
    return host.now - began


@pytest.mark.parametrize("backend_scale", [1.0, 5.0])
def test_a_quick_host_changes_no_limit(backend_scale: float) -> None:
    host = Host(slowness=0.4)
    speed = host.speed(backend_scale)
    speed.note(SHELL / 3, SHELL)
    limit = speed.limit(180.0)
    assert waited(host, limit) == pytest.approx(180.0 * backend_scale)
    assert (limit.waited, limit.reason) == (180.0 * backend_scale, "")
    assert speed.timeout_scale == backend_scale
    assert host.measured > 10


def test_a_command_that_is_quick_pays_for_no_measurement() -> None:
    host = Host(slowness=10.0)
    speed = host.speed()
    host.now += STALE / 2
    assert (speed.slowness, host.measured) == (1.0, 0)


def test_on_a_slow_host_a_limit_grows_while_it_runs_and_says_so() -> None:
    host = Host(slowness=8.0)
    limit = host.speed().limit(180.0)
    seconds = waited(host, limit)
    assert 1300 < seconds <= 1440
    assert limit.waited == pytest.approx(seconds, abs=1)
    assert limit.reason == f"this host answers 8 times slower than usual; waited {seconds:.0f} s"


def test_a_host_that_becomes_quick_ends_a_wait_without_taking_back_what_it_had() -> None:
    host = Host(slowness=10.0)
    limit = host.speed().limit(60.0)
    for _ in range(30):
        host.now += 10.0
        limit.left()
    host.slowness = 1.0
    assert limit.left() > 25, "300 s on a host ten times slower are half of 60 s"
    assert waited(host, limit) < 200
    assert limit.left() <= 0


def test_it_grows_at_once_shrinks_slowly_and_comes_back_to_one() -> None:
    host = Host()
    speed = host.speed()
    grown = [speed.slowness]
    for _ in range(4):
        speed.note(10 * SHELL, SHELL)
        grown.append(speed.slowness)
    assert grown == sorted(grown)
    assert grown[1] > 5
    assert grown[-1] > 9
    speed.note(SHELL, SHELL)
    assert speed.slowness > 8
    for _ in range(60):
        speed.note(LOOK / 2, LOOK)
    assert speed.slowness == 1.0


def test_it_has_bounds() -> None:
    speed = Host().speed(5.0)
    for _ in range(50):
        speed.note(1e6, SHELL)
    assert speed.slowness == pytest.approx(MOST)
    assert speed.slowness <= MOST
    assert speed.timeout_scale <= 5.0 * MOST
    fixed = HostSpeed(5.0, most=1.0)
    fixed.note(1e6, SHELL)
    assert fixed.timeout_scale == 5.0


def test_what_is_usual_in_a_backends_nodes_is_not_slow() -> None:
    speed = Host().speed(5.0)
    speed.note(5 * SHELL, SHELL)
    assert speed.slowness == 1.0


def test_of_several_threads_one_measures() -> None:
    host = Host(slowness=3.0)
    speed = host.speed()
    host.now += STALE
    threads = [threading.Thread(target=lambda: speed.slowness) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert host.measured == 1


def test_a_trivial_process_is_timed() -> None:
    assert 0 < time_trivial_process() <= MOST * TRIVIAL
