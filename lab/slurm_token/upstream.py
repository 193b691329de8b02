"""Asks a Hub or a Kubernetes API: one request, no redirect, no proxy, an answer of bounded size and time."""

from __future__ import annotations

import http.client
import json
import ssl
import time
from collections.abc import Callable, Mapping
from typing import Any, Optional
from urllib.parse import urlsplit

from lab.slurm_token.errors import Refused, TokenError

SECONDS = 5.0
MOST = 1 << 16
Ask = Callable[..., "tuple[int, Any]"]


class Service:
    """An API at a fixed address; paths are ours, nothing of a caller's is in them."""

    def __init__(self, url: str, what: str, ca: Optional[str] = None, *, plain: bool = False) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.username:
            raise TokenError(f"this is no address of {what}: {url}", hint="https://HOST[:PORT]/PATH")
        if parts.scheme == "http" and not plain:
            raise TokenError(f"{what} would be asked without TLS: {url}", hint="https://…, or --plain-http")
        self._what, self._host, self._port = what, parts.hostname, parts.port
        self._path = parts.path.rstrip("/")
        self._tls = ssl.create_default_context(cafile=ca) if parts.scheme == "https" else None

    def ask(self, method: str, path: str, headers: Mapping[str, str], body: bytes = b"") -> tuple[int, Any]:
        """Status and JSON of the answer (None where it is none). Raises `Refused` when there is no answer."""
        if self._tls is None:
            connection = http.client.HTTPConnection(self._host, self._port, timeout=SECONDS)
        else:
            connection = http.client.HTTPSConnection(
                self._host, self._port, timeout=SECONDS, context=self._tls
            )
        try:
            connection.request(method, self._path + path, body=body or None, headers=dict(headers))
            reply = connection.getresponse()
            return reply.status, _json(_read(reply))
        except (OSError, http.client.HTTPException):
            raise Refused(503, "no-answer", f"{self._what} does not answer; ask again later") from None
        finally:
            connection.close()


def _read(reply: http.client.HTTPResponse) -> bytes:
    end, data = time.monotonic() + SECONDS, b""
    while len(data) <= MOST and time.monotonic() < end:
        piece = reply.read1(MOST)
        if not piece:
            return data
        data += piece
    raise OSError("too long")


def _json(data: bytes) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None
