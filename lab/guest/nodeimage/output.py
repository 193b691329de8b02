"""What nodeimage prints: progress on standard error, results on standard output."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from lab.guest.nodeimage.errors import NodeImageError


@dataclass(frozen=True)
class Result:
    """What a verb did: for programs, and in lines for people."""

    data: Mapping[str, object]
    lines: Sequence[str] = field(default=())


class Output:
    """Prints for people or, with `as_json`, one JSON object for programs."""

    def __init__(self, *, as_json: bool = False, quiet: bool = False) -> None:
        self._json = as_json
        self._quiet = quiet

    def say(self, text: str) -> None:
        """A line of progress, unless --quiet."""
        if not self._quiet:
            sys.stderr.write(f"{text}\n")
            sys.stderr.flush()

    @contextmanager
    def step(self, text: str) -> Iterator[None]:
        """Tells that a step begins, and how long it took."""
        begun = time.monotonic()
        self.say(f"{text} ...")
        yield
        self.say(f"{text}: {time.monotonic() - begun:.1f} s")

    def result(self, result: Result) -> None:
        """The result of a verb."""
        if self._json:
            self._line(json.dumps({"status": 0, **result.data}, sort_keys=True))
        elif not self._quiet:
            for line in result.lines:
                self._line(line)

    def error(self, error: NodeImageError) -> None:
        """A failure, with --json on standard output, too."""
        sys.stderr.write(f"{error.text()}\n")
        if self._json:
            told = {"message": str(error), "evidence": error.evidence.splitlines(), "hint": error.hint}
            self._line(json.dumps({"status": error.kind.status, "error": told}, sort_keys=True))

    def _line(self, text: str) -> None:
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()


def size_text(size: int) -> str:
    """Bytes as people read them."""
    return f"{size / (1 << 20):.1f} MiB"
