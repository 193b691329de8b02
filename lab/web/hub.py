"""Passes events on to every page that is open, and keeps the last one of each kind for those to come."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

from lab.web.threads import soon

WAITING = 200  # events that a page may be behind; then it is sent away, and comes back to the present state
PAGES = 32


class Hub:
    """The pages of one seat; made and used in the event loop, but for `keep_soon`."""

    def __init__(self) -> None:
        self._pages: set[asyncio.Queue[dict[str, Any] | None]] = set()
        self._kept: dict[str, dict[str, Any]] = {}
        self._anybody = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    def enter(self) -> asyncio.Queue[dict[str, Any] | None] | None:
        """A queue of events for one more page; None when there are too many. In it, None means: go."""
        if len(self._pages) >= PAGES:
            return None
        queue: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue(WAITING + 2)
        for event in self._kept.values():
            queue.put_nowait(event)
        self._pages.add(queue)
        self._anybody.set()
        return queue

    def leave(self, queue: asyncio.Queue[dict[str, Any] | None]) -> None:
        """Forgets a page."""
        self._pages.discard(queue)
        if not self._pages:
            self._anybody.clear()

    async def somebody(self) -> None:
        """Waits until a page is open."""
        await self._anybody.wait()

    def keep(self, name: str, event: dict[str, Any]) -> None:
        """Passes an event on if it differs from the last one of that name, and keeps it."""
        if self._kept.get(name) == event:
            return
        self._kept[name] = event
        for queue in tuple(self._pages):
            if queue.qsize() >= WAITING:
                queue.put_nowait(None)
                self.leave(queue)
            else:
                queue.put_nowait(event)

    def keep_soon(self, name: str, event: dict[str, Any]) -> None:
        """The same from any thread."""
        soon(self._loop, partial(self.keep, name, event))
