"""Where a terminal's output comes from: a program behind a terminal of its own, or a node's console."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from typing import Protocol

from lab.errors import LabError
from lab.foreground import Guard
from lab.nodes.child import PtyChild
from lab.printable import ConsoleText
from lab.web.threads import soon

TYPED = 256 << 10  # bytes that may wait until a program reads them; more is a paste into something stuck
Feed = Callable[[bytes], None]
Ended = Callable[[str], None]


class Source(Protocol):
    """Something that is shown in a terminal; its methods belong to the event loop, unless they say else."""

    def start(self, feed: Feed, ended: Ended) -> None:
        """Begins to pass on what comes, and the reason when no more will."""

    def write(self, data: bytes) -> None:
        """Types."""

    def resize(self, rows: int, columns: int) -> None:
        """Tells the program the size of the window."""

    def pause(self, *, paused: bool) -> None:
        """Stops or goes on reading: whoever looks has not yet seen what came before."""

    def detach(self) -> None:
        """Leaves the event loop; nothing is passed on any more."""

    def close(self) -> None:
        """Ends it, in a node, too; may take seconds, so it is called in a thread after `detach`."""


class ProgramSource:
    """A client of the engine behind a terminal; opened in a thread, since starting a program takes a moment.

    What ends us, SIGKILL included, has `hang_up` end the program in the node (`Guard`). With `harmless`,
    output comes without what steers a terminal, and nothing can be typed.
    """

    def __init__(self, argv: Sequence[str], hang_up: Sequence[str], *, harmless: bool = False) -> None:
        self._child = PtyChild(argv)
        self._guard = Guard(hang_up)
        self._harmless = ConsoleText() if harmless else None
        self._waiting = bytearray()
        self._reading = False
        self._over = False

    def start(self, feed: Feed, ended: Ended) -> None:
        """Reads from now on, in this event loop."""
        self._loop = asyncio.get_running_loop()
        self._feed, self._ended = feed, ended
        self.pause(paused=False)

    def write(self, data: bytes) -> None:
        """Types, as fast as the program reads."""
        if self._over or self._harmless or len(self._waiting) + len(data) > TYPED:
            return
        self._waiting += data
        self._type()

    def resize(self, rows: int, columns: int) -> None:
        """Tells the engine's client, which tells the program in the node."""
        if not self._over:
            with suppress(OSError):
                self._child.resize(rows, columns)

    def pause(self, *, paused: bool) -> None:
        """Stops or goes on reading; the program waits meanwhile, as at a slow terminal."""
        if self._over or paused is not self._reading:
            return
        self._reading = not paused
        if paused:
            self._loop.remove_reader(self._child.fileno())
        else:
            self._loop.add_reader(self._child.fileno(), self._read)

    def detach(self) -> None:
        """Leaves the event loop; what is written from now on is lost."""
        if not self._over:
            self._over = True
            self._loop.remove_reader(self._child.fileno())
            self._loop.remove_writer(self._child.fileno())

    def close(self) -> None:
        """Hangs up: first the program in the node, then its client here."""
        self._guard.hang_up()
        self._child.end()

    def _read(self) -> None:
        data = b""
        with suppress(OSError):
            data = self._child.read()
        if not data:
            self.detach()
            self._ended("it has ended")
            return
        self._feed(data if self._harmless is None else self._harmless.feed(data).encode())

    def _type(self) -> None:
        try:
            del self._waiting[: self._child.write(bytes(self._waiting))]
        except OSError:  # it has ended; reading tells so
            self._waiting.clear()
        if self._waiting:
            self._loop.add_writer(self._child.fileno(), self._type)
        else:
            self._loop.remove_writer(self._child.fileno())


class ConsoleSource:
    """A node's console, to be read along; a thread waits for what the node writes."""

    def __init__(self, read: Callable[[], Iterator[bytes]]) -> None:
        self._chunks = read
        self._over = False

    def start(self, feed: Feed, ended: Ended) -> None:
        """Reads from now on; the thread ends with the console, or at what comes after `close`."""
        loop = asyncio.get_running_loop()

        def tell(what: Callable[[], None]) -> None:
            soon(loop, lambda: None if self._over else what())

        def run() -> None:
            harmless = ConsoleText()
            reason = "the console has ended"
            try:
                for chunk in self._chunks():
                    if self._over:
                        return
                    tell(partial(feed, harmless.feed(chunk).encode()))
            except LabError as problem:
                reason = problem.message
            tell(partial(ended, reason))

        threading.Thread(target=run, name="console", daemon=True).start()

    def write(self, data: bytes) -> None:
        """Nothing: consoles are read only here."""

    def resize(self, rows: int, columns: int) -> None:
        """Nothing: what a node wrote has no size."""

    def pause(self, *, paused: bool) -> None:
        """Nothing: consoles write little."""

    def detach(self) -> None:
        """Passes nothing on any more."""
        self._over = True

    def close(self) -> None:
        """Nothing is left to be ended."""
        self._over = True
