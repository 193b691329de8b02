"""The gate before every page, file and socket: who asks, from where, and how much.

A page of another site can make a browser send requests here, with the cookie, or by a name of its own that
leads to 127.0.0.1. So the host, the origin and, for changes, a word that only our page knows must be right.
"""

from __future__ import annotations

import hmac
from collections.abc import MutableMapping
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from typing import Any

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lab.web.files import signed_out
from lab.web.signin import Session, Sessions

LONGEST_PATH = 256  # bytes, the query included
LARGEST_BODY = 4096  # bytes; the largest request of our page has some hundred
SIGN_IN = "/in/"
OPEN = ("/signed-out.css",)  # what the page for a stranger needs
CSRF_HEADER = "x-rackling-csrf"
SAFE = ("GET", "HEAD")
OURSELVES = ("same-origin", "none")  # values of Sec-Fetch-Site; "none": typed, or a bookmark
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; connect-src 'self'; "
    "img-src 'self'; font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""xterm.js makes style elements with the sizes of its letters; scripts are files of this server only."""
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}


@dataclass(frozen=True)
class Refusal:
    """Why a request goes no further; `status` is of HTTP."""

    status: int
    reason: str


class Gate:
    """Lets requests through to an application; `origin` is the only address that the server answers to."""

    def __init__(self, app: ASGIApp, origin: str, sessions: Sessions, cookie: str) -> None:
        self._app = app
        self._origin = origin
        self._host = origin.removeprefix("http://")
        self._sessions = sessions
        self._cookie = cookie

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Judges a request by its head, then counts its body."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        scope.setdefault("state", {})["session"] = session = self._session(headers)
        refusal = self._refusal(scope, headers, session)
        if scope["type"] == "websocket":
            await (self._close(receive, send) if refusal else self._app(scope, receive, send))
        elif refusal:
            await _answer(_guarded(send), refusal)
        else:
            await self._app(scope, _bounded(receive), _guarded(send))

    def _refusal(self, scope: Scope, headers: Headers, session: Session | None) -> Refusal | None:
        return self._misdirected(scope, headers) or self._unknown(scope, headers, session)

    def _misdirected(self, scope: Scope, headers: Headers) -> Refusal | None:
        """Refuses what is not for this server, or too large."""
        if headers.get("host") != self._host:
            return Refusal(421, f"this server is {self._origin}")
        if len(scope.get("raw_path") or b"") + len(scope["query_string"]) > LONGEST_PATH:
            return Refusal(414, "the address is too long")
        if _length(headers) > LARGEST_BODY:
            return Refusal(413, "the request is too large")
        return None

    def _unknown(self, scope: Scope, headers: Headers, session: Session | None) -> Refusal | None:
        """Refuses what another page sent, and what no session stands behind."""
        changes = scope["type"] == "websocket" or scope["method"] not in SAFE
        if headers.get("origin", "" if changes else self._origin) != self._origin:
            return Refusal(403, "the request comes from another page")
        path = scope["path"]
        if path.startswith(SIGN_IN) or path in OPEN:
            return None
        if headers.get("sec-fetch-site", "none") not in OURSELVES:
            return Refusal(403, "the request comes from another page")
        if session is None:
            return Refusal(401, "this browser is not signed in")
        if scope["type"] == "http" and changes and not _same(headers.get(CSRF_HEADER, ""), session.csrf):
            return Refusal(403, "the request is not of this page")
        return None

    def _session(self, headers: Headers) -> Session | None:
        try:
            found = SimpleCookie(headers.get("cookie", "")[:LARGEST_BODY]).get(self._cookie)
        except CookieError:
            return None
        return self._sessions.find(found.value) if found else None

    @staticmethod
    async def _close(receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.close", "code": 4403})  # before it was accepted: HTTP 403


def _length(headers: Headers) -> int:
    text = headers.get("content-length", "0")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else LARGEST_BODY + 1


def _same(given: str, wanted: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "replace"), wanted.encode())


def _bounded(receive: Receive) -> Receive:
    """A body that ends with an error when it is larger than its head may say."""
    left = LARGEST_BODY

    async def take() -> Message:
        nonlocal left
        message = await receive()
        left -= len(message.get("body", b""))
        return message if left >= 0 else {"type": "http.disconnect"}

    return take


def _guarded(send: Send) -> Send:
    async def pass_on(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            known = {name.lower() for name, _ in message["headers"]}
            more = [(k.encode(), v.encode()) for k, v in HEADERS.items() if k.encode() not in known]
            message = {**message, "headers": [*message["headers"], *more]}
        await send(message)

    return pass_on


async def _answer(send: Send, refusal: Refusal) -> None:
    body = f"{refusal.reason}\n".encode()
    kind = b"text/plain; charset=utf-8"
    if refusal.status == 401:
        body, kind = signed_out(), b"text/html; charset=utf-8"
    head = [(b"content-type", kind), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": refusal.status, "headers": head})
    await send({"type": "http.response.body", "body": body})
