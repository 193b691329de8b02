"""The two sockets of a page: a terminal's bytes, and events about the lab."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from lab.errors import LabError
from lab.web.seat import Seat
from lab.web.terminals import Terminal, Viewer

GONE, BEHIND, MANY, STRANGE = 4404, 4408, 4429, 4400
"""Why we close a socket; the page knows these numbers."""


class Sockets:
    """The sockets of one server; `seat_of` says whose page one is of."""

    def __init__(self, seat_of: Callable[[WebSocket], Seat]) -> None:
        self._seat_of = seat_of

    def all(self) -> list[WebSocketRoute]:
        """Every socket."""
        return [
            WebSocketRoute("/events", self.events),
            WebSocketRoute("/terminals/{terminal}", self.terminal),
        ]

    async def events(self, socket: WebSocket) -> None:
        """Tells a page of the lab's state and of what is being done, as it changes."""
        hub = self._seat_of(socket).hub
        await socket.accept()
        queue = hub.enter()
        if queue is None:
            await socket.close(MANY)
            return

        async def send() -> None:
            while (event := await queue.get()) is not None:
                await socket.send_text(json.dumps(event))
            await socket.close(BEHIND)

        async def receive() -> None:
            await socket.receive_text()
            await socket.close(STRANGE)  # a page has nothing to say here

        try:
            await _first_ends(send(), receive())
        finally:
            hub.leave(queue)

    async def terminal(self, socket: WebSocket) -> None:
        """Shows a terminal: what it showed before, then what comes; and types into it."""
        terminal = self._seat_of(socket).terminals.find(socket.path_params["terminal"])
        await socket.accept()
        if terminal is None:
            await socket.close(GONE)
            return
        try:
            viewer = terminal.enter()
        except LabError:
            await socket.close(MANY)
            return
        try:
            await _first_ends(_show(socket, viewer), _type(socket, terminal, viewer))
        finally:
            terminal.leave(viewer)


async def _show(socket: WebSocket, viewer: Viewer) -> None:
    while (piece := await viewer.take()) is not None:
        await (socket.send_bytes(piece) if isinstance(piece, bytes) else socket.send_text(piece))
    await socket.close(BEHIND)


async def _type(socket: WebSocket, terminal: Terminal, viewer: Viewer) -> None:
    while True:
        message = await socket.receive()
        if message["type"] == "websocket.disconnect":
            return
        if message.get("bytes") is not None:
            terminal.write(message["bytes"])
        elif not _obeyed(message.get("text") or "", terminal, viewer):
            await socket.close(STRANGE)
            return


def _obeyed(text: str, terminal: Terminal, viewer: Viewer) -> bool:
    """Does what a page says of its terminal: `{"seen": bytes}` or `{"size": [rows, columns]}`."""
    try:
        said: Any = json.loads(text)
        if "seen" in said:
            terminal.seen(viewer, _count(said["seen"]))
        else:
            rows, columns = said["size"]
            terminal.resize(_count(rows), _count(columns))
    except (ValueError, KeyError, TypeError, RecursionError):
        return False
    return True


def _count(value: object) -> int:
    if type(value) is not int or not 0 <= value < 1 << 31:
        raise ValueError("this is no count")
    return value


async def _first_ends(*both: Coroutine[Any, Any, None]) -> None:
    """Runs two conversations until one of them ends, as a lost connection ends it, and cancels the other."""
    tasks = [asyncio.ensure_future(one) for one in both]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        with suppress(WebSocketDisconnect, RuntimeError):  # RuntimeError: starlette, of a closed socket
            if not task.cancelled():
                task.result()
