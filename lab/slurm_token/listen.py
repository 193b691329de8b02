"""Sockets of the service: opened safely, served by a bounded number of threads, closed at SIGTERM."""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
import ssl
import stat
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Optional

from lab.slurm_token.errors import TokenError
from lab.slurm_token.rate import Slots
from lab.slurm_token.service import source_of

THREADS = 32
OF_ONE_SOURCE = 4
BACKLOG = 64
HANDSHAKE_SECONDS = 5.0


def unix_socket(path: Path, mode: int) -> socket.socket:
    """Listens at a path, not in a folder that others may write to: they could put their own socket there."""
    folder = path.parent
    try:
        if folder.stat().st_mode & stat.S_IWOTH:
            raise TokenError(f"others may write to {folder}", hint=f"chmod o-w {folder}")
        if path.exists():
            _remove_stale(path)
        made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        before = os.umask(0o777 & ~mode)
        try:
            made.bind(str(path))
        finally:
            os.umask(before)
        made.listen(BACKLOG)
    except OSError as problem:
        raise TokenError(f"cannot listen at {path}: {problem.strerror or problem}") from None
    return made


def _remove_stale(path: Path) -> None:
    if not stat.S_ISSOCK(path.lstat().st_mode):
        raise TokenError(f"{path} exists and is no socket", hint=f"ls -l {path}")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as one:
        one.settimeout(2)
        try:
            one.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
    raise TokenError(f"another service answers at {path}", hint="end it first")


def tcp_socket(host: str, port: int) -> socket.socket:
    """Listens at an address."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((host, port))
        made.listen(BACKLOG)
    except OSError as problem:
        made.close()
        raise TokenError(f"cannot listen at {host}:{port}: {problem.strerror or problem}") from None
    return made


class Door:
    """Hands each connection to a thread; too many of one source, or in all, are closed unanswered."""

    def __init__(
        self,
        sockets: list[socket.socket],
        handle: Callable[[socket.socket], None],
        tls: Optional[ssl.SSLContext] = None,
    ) -> None:
        self._sockets, self._handle, self._tls = sockets, handle, tls
        self._free = threading.BoundedSemaphore(THREADS)
        self._slots = Slots(OF_ONE_SOURCE)
        self._wake, self._woken = socket.socketpair()

    def stop(self) -> None:
        """Ends `run`; may be called by a signal's handler."""
        with contextlib.suppress(OSError):
            self._wake.send(b"x")

    def run(self) -> None:
        """Serves until `stop`."""
        with selectors.DefaultSelector() as selector, self._wake, self._woken:
            for one in (*self._sockets, self._woken):
                one.setblocking(False)  # noqa: FBT003 - it takes no keyword
                selector.register(one, selectors.EVENT_READ)
            while True:
                for key, _ in selector.select():
                    if key.fileobj is self._woken:
                        return
                    self._accept(key.fileobj)  # type: ignore[arg-type]  # sockets are all there is

    def _accept(self, listening: socket.socket) -> None:
        try:
            connection, _ = listening.accept()
            source = source_of(connection)
        except OSError:
            return  # it has gone, or this process has too many open files: the next one may do
        if not self._slots.enter(source):
            connection.close()
            return
        if not self._free.acquire(blocking=False):
            self._slots.leave(source)
            connection.close()
            return
        try:
            threading.Thread(target=self._serve, args=(connection, source), daemon=True).start()
        except RuntimeError:  # the system gives no thread
            self._leave(connection, source)

    def _serve(self, connection: socket.socket, source: str) -> None:
        try:
            connection.settimeout(HANDSHAKE_SECONDS)
            if self._tls is not None and connection.family != socket.AF_UNIX:
                connection = self._tls.wrap_socket(connection, server_side=True)
            self._handle(connection)
        except OSError:
            return  # no TLS, or the caller has gone
        finally:
            self._leave(connection, source)

    def _leave(self, connection: socket.socket, source: str) -> None:
        connection.close()
        self._slots.leave(source)
        self._free.release()
