"""A command that is ended from outside tidies up first."""

from __future__ import annotations

import contextlib
import signal
import sys
from collections.abc import Iterator
from types import FrameType

from lab.foreground import hearing


@contextlib.contextmanager
def ended_by_exit() -> Iterator[None]:
    """SIGTERM and SIGHUP end us as `exit` does, so that what was begun is tidied up."""

    def leave(number: int, frame: FrameType | None) -> None:
        del frame
        sys.exit(128 + number)

    with hearing((signal.SIGTERM, signal.SIGHUP), leave):
        yield
