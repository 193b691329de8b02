"""Settings of the writer: file modes, durability, how long to wait for another siphon."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable


class Modes(NamedTuple):
    """The widest modes of new files and directories."""

    file: int = 0o644
    script: int = 0o755
    folder: int = 0o755


PRIVATE = Modes(0o640, 0o750, 0o750)


class PublishOptions(NamedTuple):
    """How to write."""

    modes: Modes = Modes()
    sync: bool = False
    """Wait for the disk, so that a power failure, too, leaves the old files or the new ones."""
    patience: float = 10.0
    """Seconds to wait for another siphon that writes the same directory."""
    sleep: Callable[[float], None] = time.sleep
