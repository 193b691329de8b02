"""Settings of the writer: file modes, durability, how long to wait for another siphon."""

from __future__ import annotations

import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


class Modes:
    """The widest modes of new files and directories."""

    __slots__ = ("file", "folder", "script")

    def __init__(self, file: int = 0o644, script: int = 0o755, folder: int = 0o755) -> None:
        self.file = file
        self.script = script
        self.folder = folder


PUBLIC = Modes()
PRIVATE = Modes(0o640, 0o750, 0o750)


class PublishOptions:
    """How to write."""

    __slots__ = ("modes", "patience", "sleep", "sync")

    def __init__(
        self,
        *,
        modes: Modes = PUBLIC,
        sync: bool = False,
        patience: float = 10.0,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.modes = modes
        # Whether to wait for the disk, so that a power failure, too, leaves the old files or the new ones.
        self.sync = sync
        # Seconds to wait for another siphon that writes the same directory.
        self.patience = patience
        self.sleep = sleep
