"""Measures how slow this host is just now, so that time limits can follow.

A limit that only knows its backend is wrong on a processor ten times slower than a laptop's, and on a laptop
that does something else besides. So limits are written for a quiet host, and this module says how much slower
the present one is: from how long shells and looks took that did succeed, and from a trivial process of its
own, which also measures while a node is silent. What failed measures nothing: a dead node is not a slow host.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress

from lab.errors import LabError
from lab.polling import Clock, Limit, monotonic
from lab.process import run

MOST = 20.0  # a host that seems slower than that is broken; limits must end some day
GROWTH = 0.5  # the part of the way to a slower measurement that one measurement goes
SHRINKAGE = 0.1  # the same to a quicker one: a busy host often has a quick moment
NEAR_ONE = 1.1  # below, the host counts as quiet
STALE = 2.0  # seconds after which a measurement is repeated when somebody asks
TRIVIAL = 0.003  # seconds a trivial process takes on a quiet laptop, started from this program
TRIALS = 3  # the quickest of so many counts: one hiccup is not a slow host
SHELL = 0.5  # seconds to open a shell in a container on a quiet laptop, with much to spare
LOOK = 1.0  # seconds that one look at the SMS takes there, with as much to spare


def time_trivial_process() -> float:
    """Seconds that the quickest of three runs of a trivial process took."""
    seconds = [MOST * TRIVIAL]
    for _ in range(TRIALS):
        with suppress(LabError):  # a host without `true` is not a slow one
            seconds.append(run(["true"], timeout=MOST).seconds)
    return min(seconds)


def measured_limit(seconds: float) -> Limit:
    """A time limit for a single host process, where no HostSpeed is at hand; it measures while it runs."""
    return HostSpeed().limit(seconds)


class HostSpeed:
    """How many times slower than usual this host is: 1 for a quiet one, at most `most`.

    `backend_scale` is the backend's own factor: how many times longer than in a container things take in its
    nodes on a quiet host. With `most=1` the host counts as quiet, whatever is measured. May be shared by
    threads.
    """

    def __init__(
        self,
        backend_scale: float = 1.0,
        *,
        most: float = MOST,
        measure: Callable[[], float] = time_trivial_process,
        clock: Clock = monotonic,
    ) -> None:
        self.backend_scale = backend_scale
        self._most = most
        self._measure = measure
        self._clock = clock
        self._slowness = 1.0
        self._measured = clock()  # the first measurement is due later: quick commands do not pay for it
        self._lock = threading.Lock()

    @property
    def slowness(self) -> float:
        """How many times slower than usual; measures again when the last measurement is old."""
        if self._is_due():
            self._add(self._measure() / TRIVIAL)
        return self._slowness

    @property
    def timeout_scale(self) -> float:
        """The factor for a time limit that is read only once: the backend's and the host's together."""
        return self.backend_scale * self.slowness

    def limit(self, seconds: float, *, clock: Clock | None = None, began: float | None = None) -> Limit:
        """A time limit of so many seconds in a container of a quiet host; it follows further measurements."""
        own = self._clock if clock is None else clock
        return Limit(seconds * self.backend_scale, lambda: self.slowness, own, began)

    def note(self, seconds: float, usual: float) -> None:
        """Takes what something took that succeeded, and what it takes in a container of a quiet host."""
        with self._lock:
            self._measured = self._clock()
        self._add(seconds / (usual * self.backend_scale))

    def _is_due(self) -> bool:
        """Whether the caller must measure; of several threads only one is told so."""
        with self._lock:
            now = self._clock()
            due = self._most > 1.0 and now - self._measured >= STALE
            if due:
                self._measured = now
            return due

    def _add(self, found: float) -> None:
        """Grows quickly, since limits run out meanwhile, and shrinks slowly."""
        with self._lock:
            found = min(max(found, 1.0), self._most)
            part = GROWTH if found > self._slowness else SHRINKAGE
            moved = self._slowness + part * (found - self._slowness)
            self._slowness = 1.0 if found < self._slowness and moved < NEAR_ONE else moved
