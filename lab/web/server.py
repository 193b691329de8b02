"""The server of a learner's page: on loopback only, until it is ended."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import uvicorn
from starlette.applications import Starlette
from starlette.requests import HTTPConnection

from lab.errors import LabError
from lab.web.browser_parts import Parts
from lab.web.files import Files
from lab.web.gate import SIGN_IN, Gate
from lab.web.routes import Routes
from lab.web.seat import Lab, Seat
from lab.web.signin import Sessions
from lab.web.sockets import Sockets

LOOPBACK = "127.0.0.1"
LARGEST_FRAME = 64 << 10  # bytes; a page sends longer pastes in pieces
PING_SECONDS = 20.0  # a browser that answers no ping for as long has gone
CONNECTIONS = 128
LEAVE_SECONDS = 2  # that open sockets get at the end


class Page:
    """One learner's page: its address, and who may open it."""

    def __init__(self, lab: Lab, parts: Parts, port: int = 0) -> None:
        try:
            self._socket = socket.create_server((LOOPBACK, port))
        except OSError as problem:
            raise LabError(
                f"cannot listen on {LOOPBACK} port {port}",
                evidence=problem.strerror or str(problem),
                hint="leave out --port: any free one is taken",
            ) from problem
        self.port = int(self._socket.getsockname()[1])
        self.origin = f"http://{LOOPBACK}:{self.port}"
        self._cookie = f"rackling-{self.port}"  # browsers send cookies to every port of a host
        self._sessions = Sessions()
        self._lab = lab
        self._files = Files(parts)
        self._seat: Seat | None = None

    def address(self) -> str:
        """An address that signs one browser in."""
        return f"{self.origin}{SIGN_IN}{self._sessions.new_code()}"

    def server(self) -> uvicorn.Server:
        """The server; nothing is logged, so that no log holds an address that signs in."""
        config = uvicorn.Config(
            Gate(self._application(), self.origin, self._sessions, self._cookie),
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=False,
            proxy_headers=False,
            ws="websockets-sansio",
            ws_max_size=LARGEST_FRAME,
            ws_ping_interval=PING_SECONDS,
            ws_ping_timeout=PING_SECONDS,
            limit_concurrency=CONNECTIONS,
            timeout_graceful_shutdown=LEAVE_SECONDS,
            lifespan="on",
        )
        return uvicorn.Server(config)

    def serve(self, ready: Callable[[], None] = lambda: None) -> None:
        """Serves until SIGINT or SIGTERM, then ends every terminal; `ready`: browsers may come."""
        with self._socket:
            ready()
            self.server().run(sockets=[self._socket])

    def busy(self) -> str:
        """What is being done to the lab just now, or ""."""
        last = self._seat.tasks.last() if self._seat else {}
        return str(last["title"]) if last.get("state") == "running" else ""

    def close(self) -> None:
        """Frees the port of a page that is not served."""
        self._socket.close()

    def _application(self) -> Starlette:
        routes = Routes(self._seat_of, self._sessions, self._files, self._cookie)
        sockets = Sockets(self._seat_of)
        return Starlette(routes=[*sockets.all(), *routes.all()], lifespan=self._lifespan)

    @asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncIterator[None]:
        self._seat = Seat(self._lab)
        self._seat.begin()
        try:
            yield
        finally:
            await self._seat.end()

    def _seat_of(self, _: HTTPConnection) -> Seat:
        """Everybody who has signed in sits at the one seat of this page."""
        if self._seat is None:
            raise LabError("the page is not ready yet")
        return self._seat
