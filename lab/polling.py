"""Waiting for a condition until a deadline; holds the harness's only sleep."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
Clock = Callable[[], float]
Sleep = Callable[[float], None]
POLL = 0.2

pause: Sleep = time.sleep
monotonic: Clock = time.monotonic


def wait_for(
    probe: Callable[[], T],
    deadline: float,
    clock: Clock = monotonic,
    sleep: Sleep = pause,
    say: Callable[[T], None] | None = None,
    *,
    done: Callable[[T], bool] = bool,
    every: float = POLL,
    first: float | None = None,
) -> T:
    """Calls `probe` until `done` likes its value or the clock passes `deadline`; returns the last value.

    The probe is always called at least once, `say` gets each value, and the caller judges what
    it means that time ran out. With `first` the pause begins so short, and doubles until it is `every`.
    """
    wait = every if first is None else first
    while True:
        begun = clock()
        value = probe()
        if say is not None:
            say(value)
        now = clock()
        if done(value) or now >= deadline:
            return value
        sleep(max(0.0, min(wait - (now - begun), deadline - now)))
        wait = min(every, 2 * wait)
