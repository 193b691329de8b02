"""The caller's side: asks for a token, writes it to a file, and renews that before it ends."""

from __future__ import annotations

import http.client
import json
import os
import socket
import ssl
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Optional
from urllib.parse import urlsplit

from lab.slurm_token.errors import NO_SERVICE, REFUSED, TokenError, printable
from lab.slurm_token.service import LOCAL

SECONDS = 10.0
MOST = 1 << 16
AGAIN = (1.0, 2.0, 5.0, 10.0)
"""Seconds until the next attempt after failures in a row."""


@dataclass(frozen=True)
class Got:
    """A token and when it ends; `repr` leaves out the token."""

    token: str = field(repr=False)
    user: str
    expires: float


@dataclass(frozen=True)
class Place:
    """Where the service is: `unix:PATH` or `https://HOST[:PORT]/v1/token/hub`; and a file with our token."""

    url: str
    bearer: Optional[Path] = None
    ca: Optional[Path] = None

    def ask(self) -> Got:
        """Asks once. Raises `TokenError`."""
        connection, path = self._connection()
        headers = {"Content-Length": "0"}
        if self.bearer is not None:
            headers["Authorization"] = f"Bearer {_read(self.bearer)}"
        try:
            connection.request("POST", path, headers=headers)
            reply = connection.getresponse()
            return _got(reply.status, reply.read(MOST))
        except (OSError, http.client.HTTPException) as problem:
            why = printable(str(problem)) or type(problem).__name__
            raise TokenError(f"slurm-token does not answer at {self.url}: {why}", status=NO_SERVICE) from None
        finally:
            connection.close()

    def _connection(self) -> tuple[http.client.HTTPConnection, str]:
        if self.url.startswith("unix:"):
            return _UnixConnection(self.url[len("unix:") :]), LOCAL
        parts = urlsplit(self.url)
        if parts.scheme == "https" and parts.hostname:
            tls = ssl.create_default_context(cafile=self.ca)
            made = http.client.HTTPSConnection(parts.hostname, parts.port, timeout=SECONDS, context=tls)
            return made, parts.path
        if parts.scheme == "http" and parts.hostname:
            return http.client.HTTPConnection(parts.hostname, parts.port, timeout=SECONDS), parts.path
        raise TokenError(
            f"this is no address of slurm-token: {printable(self.url)}", hint="unix:PATH or https://…"
        )


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=SECONDS)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(SECONDS)
        self.sock.connect(self._path)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        raise TokenError(f"{path} cannot be read: it is to hold the token that says who asks") from None


def _got(status: int, data: bytes) -> Got:
    try:
        found = json.loads(data)
        if status == 200:
            return Got(str(found["token"]), str(found["user"]), float(found["expires"]))
        sentence = printable(str(found["error"]))
    except (ValueError, KeyError, TypeError):
        raise TokenError("what answers there is not slurm-token", status=NO_SERVICE) from None
    raise TokenError(f"slurm-token refused: {sentence}", status=REFUSED)


def write(target: Path, token: str) -> None:
    """Replaces the file in one step; only its owner may read it. Raises `TokenError`."""
    try:
        fd, new = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)  # mode 600
        try:
            with os.fdopen(fd, "w", encoding="ascii") as file:
                file.write(token + "\n")
            Path(new).replace(target)
        except BaseException:
            Path(new).unlink()
            raise
    except OSError as problem:
        raise TokenError(f"the token cannot be written to {target}: {problem.strerror}") from None


def now() -> float:
    """Seconds since 1970, as in a token's `expires`."""
    return time.time()


def keep(place: Place, target: Path, stop: threading.Event, complain: Callable[[TokenError], None]) -> None:
    """Renews the file at half of each token's life until `stop`; a failure is told once and tried again."""
    failures, told = 0, ""
    while True:
        try:
            got = place.ask()
            write(target, got.token)
            failures, told = 0, ""
            pause = max(1.0, (got.expires - now()) / 2)
        except TokenError as problem:
            if problem.message != told:
                complain(problem)
            pause, told = AGAIN[min(failures, len(AGAIN) - 1)], problem.message
            failures += 1
        if stop.wait(pause):
            return
