"""wwserver: serves nodes over HTTP on a Unix socket behind nginx, which passes the client's address.

It runs as an ordinary user that may read the datastore. It trusts the addresses and ports that it reads
from the socket, so only nginx may write to the socket.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Sequence
from types import FrameType
from urllib.parse import parse_qsl, urlsplit

from lab.guest.system import System
from lab.guest.warewulf.errors import WarewulfError
from lab.guest.warewulf.handlers import Request, Response, handle_request
from lab.guest.warewulf.store import Store

SOCKET = "/run/warewulf/wwserver.sock"
FIRST_PASSED_SOCKET = 3
"""The first file descriptor of sockets that systemd passes, see sd_listen_fds(3)."""
LONGEST_HEAD = 16384
CLIENT_SECONDS = 10.0
"""How long a client may take to send its request, and again to read the response."""
AT_ONCE = 64
REASONS = {200: "OK", 302: "Found", 400: "Bad Request", 403: "Forbidden", 404: "Not Found",
           405: "Method Not Allowed", 500: "Internal Server Error"}  # fmt: skip


class BadRequestError(Exception):
    """A request that cannot be parsed; holds the status of the response."""

    def __init__(self, status: int) -> None:
        super().__init__(REASONS[status])
        self.status = status


def main(arguments: Sequence[str], system: System) -> int:
    """Serves until it receives SIGTERM."""
    if arguments:
        sys.stderr.write("usage: wwserver\n")
        return 2
    signal.signal(signal.SIGTERM, _stop)
    try:
        listener = passed_socket() or bound_socket(system)
    except OSError as error:
        sys.stderr.write(f"ERROR:  Cannot listen on {SOCKET}: {error.strerror}\n")
        return 1
    serve(system, listener)
    return 0


def _stop(number: int, _frame: FrameType | None) -> None:
    # At once, even if a thread still waits for an interpreter: nodes repeat their requests.
    os._exit(0)


def passed_socket() -> socket.socket | None:
    """The socket that systemd passed, or None."""
    if os.environ.get("LISTEN_PID") != str(os.getpid()) or not os.environ.get("LISTEN_FDS", "").isdigit():
        return None
    return socket.socket(fileno=FIRST_PASSED_SOCKET)


def bound_socket(system: System) -> socket.socket:
    """A new listening socket that only owner and group may write to."""
    system.make_dir(os.path.dirname(SOCKET))
    path = system.path(SOCKET)
    system.remove(SOCKET)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o117)
    try:
        listener.bind(path)
    finally:
        os.umask(before)
    system.give_to_group(SOCKET, "www-data")
    listener.listen(128)
    return listener


def serve(system: System, listener: socket.socket) -> None:
    """Handles each connection in a thread; limits the number of threads."""
    places = threading.BoundedSemaphore(AT_ONCE)

    def one(connection: socket.socket) -> None:
        try:
            with connection:
                handle_connection(system, connection)
        finally:
            places.release()

    while True:
        places.acquire()
        try:
            connection, _ = listener.accept()
        except OSError as error:
            places.release()
            if listener.fileno() < 0:
                return  # tests close the listener to end the server
            sys.stderr.write(f"accept: {error}\n")
            time.sleep(0.1)
            continue
        threading.Thread(target=one, args=(connection,), daemon=True).start()


def handle_connection(system: System, connection: socket.socket) -> None:
    """Reads one request, sends the response, and logs one line."""
    connection.settimeout(CLIENT_SECONDS)
    begun = time.perf_counter()
    request, body_wanted = None, True
    try:
        method, request = read_request(connection)
        body_wanted = method != "HEAD"
        reply = _answered(system, request)
    except BadRequestError as error:
        reply = Response(error.status)
    except OSError:
        return  # the client closed the connection or was too slow
    asked = f"{request.address}:{request.port} {request.path} {dict(request.query)}" if request else "?"
    sys.stderr.write(f"{asked} {reply.status} {(time.perf_counter() - begun) * 1000:.0f} ms\n")
    try:
        connection.sendall(rendered(reply, body=body_wanted))
    except OSError:
        return


def _answered(system: System, request: Request) -> Response:
    try:
        store = Store(system)
        try:
            return handle_request(system, store, request)
        finally:
            store.close()
    except (WarewulfError, OSError, ValueError) as error:
        sys.stderr.write(f"ERROR:  {request.path}: {error}\n")
        return Response(500)


def read_request(connection: socket.socket) -> tuple[str, Request]:
    """Reads method and request from a connection; ignores a body."""
    head = b""
    while b"\r\n\r\n" not in head:
        chunk = connection.recv(4096)
        if not chunk or len(head) > LONGEST_HEAD:
            raise BadRequestError(400)
        head += chunk
    return parse_request(head.split(b"\r\n\r\n", 1)[0])


def parse_request(head: bytes) -> tuple[str, Request]:
    """Parses method and request from the bytes of a head; raises BadRequestError."""
    lines = head.decode("latin-1").split("\r\n")
    words = lines[0].split(" ")
    if len(words) != 3 or not words[2].startswith("HTTP/1."):
        raise BadRequestError(400)
    if words[0] not in ("GET", "HEAD"):
        raise BadRequestError(405)
    headers = {}
    for line in lines[1:]:
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    try:
        target = urlsplit(words[1])
        query = dict(parse_qsl(target.query, max_num_fields=16))
        port = int(headers.get("x-real-port", "0"))
    except ValueError as error:
        raise BadRequestError(400) from error
    return words[0], Request(target.path, query, headers.get("x-real-ip", ""), port)


def rendered(reply: Response, *, body: bool = True) -> bytes:
    """The bytes of a response."""
    head = [
        f"HTTP/1.1 {reply.status} {REASONS[reply.status]}",
        "Content-Type: application/octet-stream",
        f"Content-Length: {len(reply.body)}",
        "Cache-Control: no-store",
        "Connection: close",
    ]
    if reply.location:
        head.append(f"Location: {reply.location}")
    if reply.file:
        head.append(f"X-Accel-Redirect: {reply.file}")
    return "\r\n".join((*head, "", "")).encode("latin-1", "replace") + (reply.body if body else b"")
