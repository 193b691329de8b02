"""The terminals of one seat: each outlives the connections of the browsers that show it."""

from __future__ import annotations

import asyncio
import secrets
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from lab.errors import LabError, UsageError
from lab.printable import as_json
from lab.web.replay import Replay
from lab.web.sources import Source
from lab.web.threads import in_thread

MOST = 24  # terminals of a seat
VIEWERS = 8  # browsers at one terminal
UNSEEN = 512 << 10  # bytes that a browser may be behind before the program has to wait
LOST = 4 << 20  # bytes behind which a browser is sent away; it comes back to a replay
ROWS, COLUMNS = (2, 500), (2, 1000)


@dataclass(frozen=True)
class Place:
    """What a terminal shows: of which node, what (shell, console or journal), as whom."""

    node: str
    kind: str
    user: str

    @property
    def title(self) -> str:
        """A name for a tab."""
        return f"{self.user}@{self.node}" if self.kind == "shell" else f"{self.kind} of {self.node}"


class Viewer:
    """One browser that shows a terminal: what it must still be sent, and how much of it it has not seen."""

    def __init__(self) -> None:
        self._pieces: deque[bytes | str] = deque()
        self._news = asyncio.Event()
        self.unseen = 0
        self.lost = False

    def put(self, piece: bytes | str) -> None:
        """Adds output, or a message about the terminal."""
        self._pieces.append(piece)
        self.unseen += len(piece) if isinstance(piece, bytes) else 0
        self.lost = self.lost or self.unseen > LOST
        self._news.set()

    async def take(self) -> bytes | str | None:
        """Returns the next piece, neighbours joined; None when the browser is too far behind."""
        while not self._pieces and not self.lost:
            self._news.clear()
            await self._news.wait()
        if self.lost:
            return None
        first = self._pieces.popleft()
        if isinstance(first, str):
            return first
        joined = bytearray(first)
        while self._pieces and isinstance(self._pieces[0], bytes) and len(joined) < UNSEEN:
            joined += self._pieces.popleft()  # type: ignore[arg-type]
        return bytes(joined)


class Terminal:
    """One terminal: its source, what it last showed, and who looks."""

    def __init__(self, place: Place, source: Source) -> None:
        self.id = secrets.token_hex(8)
        self.place = place
        self.ended = ""  # why nothing more comes
        self._source = source
        self._replay = Replay()
        self._viewers: set[Viewer] = set()
        source.start(self._feed, self._end)

    def enter(self) -> Viewer:
        """Adds a browser, which first gets all that is kept; UsageError when there are too many."""
        if len(self._viewers) >= VIEWERS:
            raise UsageError("this terminal is open in too many windows")
        viewer = Viewer()
        kept = self._replay.content()
        viewer.put(as_json({"replay": len(kept)}))
        if kept:
            viewer.put(kept)
        if self.ended:
            viewer.put(_told(self.ended))
        self._viewers.add(viewer)
        return viewer

    def leave(self, viewer: Viewer) -> None:
        """Removes a browser; the program goes on."""
        self._viewers.discard(viewer)
        self._balance()

    def seen(self, viewer: Viewer, count: int) -> None:
        """A browser has shown so many bytes."""
        viewer.unseen = max(0, viewer.unseen - count)
        self._balance()

    def write(self, data: bytes) -> None:
        """Types."""
        self._source.write(data)

    def resize(self, rows: int, columns: int) -> None:
        """The last window that changed its size counts."""
        if ROWS[0] <= rows <= ROWS[1] and COLUMNS[0] <= columns <= COLUMNS[1]:
            self._source.resize(rows, columns)

    def as_data(self) -> dict[str, str]:
        """Writes it for the page."""
        place = self.place
        fields = {"id": self.id, "node": place.node, "kind": place.kind, "user": place.user}
        return {**fields, "title": place.title, "ended": self.ended}

    async def close(self) -> None:
        """Ends it, in the node, too."""
        self._source.detach()
        if not self.ended:
            self._end("it was closed")
        await in_thread(self._source.close, "close a terminal")

    def _feed(self, data: bytes) -> None:
        self._replay.add(data)
        for viewer in tuple(self._viewers):
            viewer.put(data)
        self._balance()

    def _end(self, reason: str) -> None:
        self.ended = reason
        for viewer in self._viewers:
            viewer.put(_told(reason))

    def _balance(self) -> None:
        self._source.pause(paused=any(v.unseen > UNSEEN and not v.lost for v in self._viewers))


def _told(reason: str) -> str:
    return as_json({"ended": reason})


class Terminals:
    """All terminals of a seat; `open_source` starts what one shows, in a thread, and may raise a LabError."""

    def __init__(self, open_source: Callable[[Place], Source]) -> None:
        self._open_source = open_source
        self._found: dict[str, Terminal] = {}
        self._opening = 0

    def all(self) -> Iterable[Terminal]:
        """Oldest first."""
        return tuple(self._found.values())

    def find(self, name: str) -> Terminal | None:
        """The terminal of that id."""
        return self._found.get(name)

    async def open(self, place: Place) -> Terminal:
        """Opens another terminal."""
        if len(self._found) + self._opening >= MOST:
            raise LabError(f"{MOST} terminals are open", hint="close one that you do not need")
        self._opening += 1
        try:
            terminal = Terminal(place, await in_thread(lambda: self._open_source(place), "open a terminal"))
        finally:
            self._opening -= 1
        self._found[terminal.id] = terminal
        return terminal

    async def close(self, name: str) -> None:
        """Ends a terminal; one that does not exist is fine."""
        if terminal := self._found.pop(name, None):
            await terminal.close()

    async def close_all(self) -> None:
        """Ends all of them at once."""
        found, self._found = self._found, {}
        await asyncio.gather(*(terminal.close() for terminal in found.values()))
