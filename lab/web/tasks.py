"""What is being done to a seat's lab: one thing at a time, with its progress told to every page."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from lab.cluster.readiness import Reading
from lab.cluster.rows import state
from lab.errors import Exit, LabError
from lab.polling import Clock, monotonic
from lab.printable import LONG, printable_line, printable_lines

LINES = 40  # of progress that a page which is loaded anew still gets
PAUSE = 1.0  # seconds between the end of something and the same again: whoever holds a key down waits
Publish = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class Result:
    """How something ended: a sentence for people, and data for the page."""

    told: str
    data: dict[str, Any]


class Progress:
    """Receives the progress of what is being done, as the command line's reporters do."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._told: dict[str, str] = {}

    def say(self, line: str) -> None:
        """A step begins."""
        self._tell(printable_line(line, LONG))

    def watch(self, readings: Sequence[Reading], seconds: float) -> None:
        """Tells of each node whose state has changed."""
        del seconds
        for reading in readings:
            word = state(reading)
            if self._told.get(reading.node) != word:
                self._told[reading.node] = word
                self.say(f"{reading.node}: {reading.probe}: {word}")


Work = Callable[[Progress], Result]


class Tasks:
    """At most one thing at a time; `publish` gets an event for each change, from any thread."""

    def __init__(self, publish: Publish, clock: Clock = monotonic) -> None:
        self._publish = publish
        self._clock = clock
        self._lock = threading.Lock()
        self._running = False
        self._ended: dict[str, float] = {}
        self._last: dict[str, Any] = {"kind": "task", "state": "none"}

    def last(self) -> dict[str, Any]:
        """The event that describes what is being done, or was done last."""
        with self._lock:
            return dict(self._last)

    def start(self, name: str, title: str, work: Work) -> None:
        """Begins something; a LabError (status 4) while something else is going on, or has just ended."""
        with self._lock:
            if self._running or self._clock() < self._ended.get(name, float("-inf")) + PAUSE:
                raise LabError(
                    f"the lab is busy: {self._last['title']}",
                    hint="wait until it has ended",
                    code=Exit.LOCKED,
                )
            self._running = True
        event = {"kind": "task", "name": name, "title": title, "state": "running", "lines": []}
        self._tell(event)
        threading.Thread(target=self._run, args=(event, work), name=f"task {name}", daemon=True).start()

    def _run(self, event: dict[str, Any], work: Work) -> None:
        def tell(line: str) -> None:
            event["lines"] = [*event["lines"], line][-LINES:]
            self._tell(event)

        end: dict[str, Any] = {"state": "failed", "error": as_data(LabError("it ended unexpectedly"))}
        try:
            result = work(Progress(tell))
            end = {"state": "done", "told": result.told, **result.data}
        except LabError as problem:
            end = {"state": "failed", "error": as_data(problem)}
        finally:
            with self._lock:
                self._running = False
                self._ended[event["name"]] = self._clock()
            self._tell(event | end)

    def _tell(self, event: dict[str, Any]) -> None:
        with self._lock:
            self._last = dict(event)
        self._publish(dict(event))


def as_data(problem: LabError) -> dict[str, Any]:
    """Writes an error for the page: what may be shown of it."""
    return {
        "message": printable_line(problem.message, LONG),
        "evidence": printable_lines(problem.evidence) if problem.evidence else [],
        "hint": printable_line(problem.hint, LONG),
    }
