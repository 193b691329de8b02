"""What the page asks for and has done, as JSON; the gate has let these requests through."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from lab.errors import Exit, LabError, UsageError
from lab.nodes.accounts import USERS, default_user
from lab.web import learning
from lab.web.files import Files, signed_out
from lab.web.seat import Seat
from lab.web.signin import Sessions
from lab.web.tasks import as_data
from lab.web.terminals import Place
from lab.web.threads import in_thread

Endpoint = Callable[[Request], Awaitable[Response]]
STATUS = {Exit.USAGE: 400, Exit.LOCKED: 409}
WORD = 60  # characters of a name in a request


def safely(endpoint: Endpoint) -> Endpoint:
    """Turns what a user is to read into an answer."""

    async def answer(request: Request) -> Response:
        try:
            return await endpoint(request)
        except LabError as problem:
            return JSONResponse({"error": as_data(problem)}, STATUS.get(problem.code, 503))
        except ClientDisconnect:
            return JSONResponse({"error": as_data(UsageError("the request is too large"))}, 413)

    return answer


class Routes:
    """The endpoints of one server; `seat_of` says whose page a request is of."""

    def __init__(
        self, seat_of: Callable[[Request], Seat], sessions: Sessions, files: Files, cookie: str
    ) -> None:
        self._seat_of = seat_of
        self._sessions = sessions
        self._files = files
        self._cookie = cookie

    def all(self) -> list[Route]:
        """Every endpoint; all other paths are files."""
        table: dict[tuple[str, str], Endpoint] = {
            ("GET", "/in/{code}"): self.sign_in,
            ("GET", "/api/seat"): self.seat,
            ("GET", "/api/course"): self.course,
            ("POST", "/api/terminals"): self.open_terminal,
            ("DELETE", "/api/terminals/{terminal}"): self.close_terminal,
            ("POST", "/api/hint"): self.hint,
            ("POST", "/api/question"): self.question,
            ("POST", "/api/do"): self.do,
        }
        found = [Route(path, safely(end), methods=[method]) for (method, path), end in table.items()]
        return [*found, Route("/{name:path}", self.file, methods=["GET"])]

    async def file(self, request: Request) -> Response:
        """A file of the page."""
        return self._files.answer(request.url.path)

    async def sign_in(self, request: Request) -> Response:
        """Signs a browser in by an address that works once."""
        cookie = self._sessions.open(request.path_params["code"])
        if cookie is None:
            return Response(signed_out(), 403, media_type="text/html")
        answer = RedirectResponse("/", 303)
        answer.set_cookie(self._cookie, cookie, httponly=True, samesite="strict", path="/")
        return answer

    async def seat(self, request: Request) -> Response:
        """What a page must know when it is loaded."""
        seat = self._seat_of(request)
        spec = await in_thread(seat.lab.spec)
        nodes = [{"name": node.name, "user": default_user(node.role)} for node in spec.nodes]
        terminals = [terminal.as_data() for terminal in seat.terminals.all()]
        csrf = request.state.session.csrf
        return JSONResponse(
            {"lab": spec.lab, "csrf": csrf, "users": USERS, "nodes": nodes, "terminals": terminals}
        )

    async def course(self, request: Request) -> Response:
        """The exercises, and the text of the one the learner works on."""
        return JSONResponse(await in_thread(partial(learning.view, self._seat_of(request).lab)))

    async def open_terminal(self, request: Request) -> Response:
        """Opens a terminal."""
        body = await _words(request, "node", "kind", "user")
        terminal = await self._seat_of(request).terminals.open(Place(**body))
        return JSONResponse(terminal.as_data(), 201)

    async def close_terminal(self, request: Request) -> Response:
        """Ends a terminal, and what runs in it."""
        await self._seat_of(request).terminals.close(request.path_params["terminal"])
        return Response(status_code=204)

    async def hint(self, request: Request) -> Response:
        """One more hint; answers with the course as it is then."""
        lab = self._seat_of(request).lab
        step = (await _words(request, "step"))["step"]
        await in_thread(partial(learning.hint, lab, step))
        return JSONResponse(await in_thread(partial(learning.view, lab)))

    async def question(self, request: Request) -> Response:
        """What a person must agree to before something is done."""
        body = await _words(request, "action", "name")
        lab = self._seat_of(request).lab
        asked = await in_thread(partial(learning.question, lab, body["action"], body["name"]))
        return JSONResponse({"question": asked})

    async def do(self, request: Request) -> Response:
        """Begins something; how it goes is told by events."""
        seat = self._seat_of(request)
        body = await _words(request, "action", "name")
        found = learning.ACTIONS.get(body["action"])
        if found is None:
            raise UsageError("there is no such action")
        title, making = found
        work = await in_thread(partial(making, seat.lab, body["name"]))
        seat.tasks.start(body["action"], title.format(body["name"]), work)
        return JSONResponse({}, 202)


async def _words(request: Request, *names: str) -> dict[str, str]:
    """Reads an object of short texts; raises a UsageError for anything else."""
    try:
        body: Any = json.loads(await request.body())
        found = {name: body[name] for name in names}
    except (ValueError, KeyError, TypeError, RecursionError):
        raise UsageError("the request cannot be read") from None
    if not all(isinstance(word, str) and len(word) <= WORD for word in found.values()):
        raise UsageError("the request cannot be read")
    return found
