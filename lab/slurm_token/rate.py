"""How often a caller may ask: a bucket for each, which fills again with time."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable

MOST_CALLERS = 10_000


class Limit:
    """Lets each caller ask `burst` times at once and then once every `seconds`; for several threads."""

    def __init__(self, burst: int, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._burst, self._seconds, self._clock = burst, seconds, clock
        self._full_at: OrderedDict[str, float] = OrderedDict()  # when the caller's bucket is full again
        self._lock = threading.Lock()

    def take(self, caller: str) -> float:
        """Counts one request: 0, or the seconds until the caller may ask again, and it does not count."""
        with self._lock:
            now = self._clock()
            full_at = max(now, self._full_at.get(caller, now)) + self._seconds
            wait = full_at - now - self._burst * self._seconds
            if wait > 1e-6:
                return wait
            self._full_at[caller] = full_at
            self._full_at.move_to_end(caller)
            while (
                len(self._full_at) > MOST_CALLERS
            ):  # the one that asked longest ago is nearest to a full bucket
                self._full_at.popitem(last=False)
            return 0.0


class Slots:
    """How many requests one caller may have under way at the same time."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._held: dict[str, int] = {}
        self._lock = threading.Lock()

    def enter(self, caller: str) -> bool:
        """Takes a slot; False if the caller has all of its own."""
        with self._lock:
            if self._held.get(caller, 0) >= self._most:
                return False
            self._held[caller] = self._held.get(caller, 0) + 1
            return True

    def leave(self, caller: str) -> None:
        """Gives the slot back."""
        with self._lock:
            self._held[caller] -= 1
            if not self._held[caller]:
                del self._held[caller]
