"""Time limits, and waiting for a condition until one runs out; holds the harness's only sleep."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
Clock = Callable[[], float]
Sleep = Callable[[float], None]
POLL = 0.2
TINY = 1e-6  # seconds: less is the rounding of a sum, which a sleep of that length would not change
TOLD_FROM = 1.5  # how many times slower than usual a host must be before an error mentions it

pause: Sleep = time.sleep
monotonic: Clock = time.monotonic


class Limit:
    """A time limit in seconds of a quiet host; on a slow host each second counts for less.

    `slowness` says how many times slower than usual the host is; it is asked again at every `left()`. The
    limit adds up what has passed instead of moving a deadline: when a host becomes quick again, the rest of
    the limit shrinks, but time that was already allowed is not taken back. Belongs to one thread.
    """

    def __init__(
        self,
        seconds: float,
        slowness: Callable[[], float] = lambda: 1.0,
        clock: Clock = monotonic,
        began: float | None = None,
    ) -> None:
        self._seconds = seconds
        self._slowness = slowness
        self._clock = clock
        self._began = self._last = clock() if began is None else began
        self._used = 0.0

    def left(self) -> float:
        """Seconds of this host until the limit runs out, as far as is known now; 0 or less afterwards."""
        slowness = max(1.0, self._slowness())
        now = self._clock()
        self._used += (now - self._last) / slowness
        self._last = now
        left = (self._seconds - self._used) * slowness
        return left if left > TINY else min(left, 0.0)

    @property
    def waited(self) -> float:
        """Seconds that an expired limit allowed in all: its own number where the host was not slow."""
        return self._seconds if self._found_slowness() < TOLD_FROM else round(self._last - self._began)

    @property
    def reason(self) -> str:
        """A line for an error: how slow the host was found; "" where it was not."""
        slowness = self._found_slowness()
        if slowness < TOLD_FROM:
            return ""
        waited = self._last - self._began
        return f"this host answers {slowness:.0f} times slower than usual; waited {waited:.0f} s"

    def _found_slowness(self) -> float:
        return (self._last - self._began) / self._used if self._used > 0 else 1.0


def wait_for(
    probe: Callable[[], T],
    deadline: float | Limit,
    clock: Clock = monotonic,
    sleep: Sleep = pause,
    say: Callable[[T], None] | None = None,
    *,
    done: Callable[[T], bool] = bool,
    every: float = POLL,
    first: float | None = None,
) -> T:
    """Calls `probe` until `done` accepts its value or time runs out; returns the last value.

    `deadline` is a time of `clock`, or a Limit. The probe is always called at least once. `say` gets each
    value. The caller decides what it means that time ran out. With `first` the first pause is that short, and
    each pause is twice the one before, up to `every`.
    """
    wait = every if first is None else first
    while True:
        begun = clock()
        value = probe()
        if say is not None:
            say(value)
        left = deadline.left() if isinstance(deadline, Limit) else deadline - clock()
        if done(value) or left <= 0:
            return value
        sleep(max(0.0, min(wait - (clock() - begun), left)))
        wait = min(every, 2 * wait)


def with_reason(evidence: str, limit: Limit) -> str:
    """The evidence of an expired limit, with a line about the host's slowness where it was slow."""
    return "\n".join(filter(None, (evidence, limit.reason)))
