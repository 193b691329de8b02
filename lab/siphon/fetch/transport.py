"""One exchange with one controller: connects, sends a frame, receives a frame, all before a deadline."""

from __future__ import annotations

import socket
import time

from lab.siphon import errors
from lab.siphon.errors import SiphonError
from lab.siphon.fetch.servers import Server
from lab.siphon.protocol import wire

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Address = tuple[int, int, int, str, tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes]]

STEP = 1 << 20
HTTP_LIMIT = 1024


class Answer:
    """What the server sent: a frame's payload, the beginning of an HTTP answer, or nothing."""

    __slots__ = ("http", "payload")

    def __init__(self, payload: bytes | None = None, http: bytes = b"") -> None:
        self.payload = payload
        self.http = http


class Deadline:
    """A time by which work must be done, and the clock that it refers to. Seconds."""

    __slots__ = ("at", "now")

    def __init__(self, at: float, now: Callable[[], float] = time.monotonic) -> None:
        self.at = at
        self.now = now

    def left(self) -> float:
        """Seconds until the deadline, never negative."""
        return max(self.at - self.now(), 0.0)

    def share(self, parts: int) -> Deadline:
        """The end of the first of `parts` equal parts of the remaining time."""
        return Deadline(self.now() + self.left() / parts, self.now)


def exchange(server: Server, request: bytes, deadline: Deadline) -> Answer:
    """Sends a request and receives the answer, which is empty if the controller closes without one.

    Raises `SiphonError` if the server cannot be reached, is late, breaks off or is not a Slurm controller.
    """
    connection = _connect(server, deadline)
    try:
        return _exchange(connection, server, request, deadline)
    except socket.timeout:
        raise _no_answer(server, "it accepted the connection and sent nothing more") from None
    finally:
        connection.close()


def _exchange(connection: socket.socket, server: Server, request: bytes, deadline: Deadline) -> Answer:
    head = b""
    try:
        _limit(connection, deadline)
        connection.sendall(request)
        while len(head) < wire.HEAD:
            _limit(connection, deadline)
            more = connection.recv(wire.HEAD - len(head))
            if not more:
                break
            head += more
    except (ConnectionResetError, BrokenPipeError):
        # 20.11 and 22.05 reset the connection where other releases close it: both are a refusal.
        return Answer()
    if not head:
        return Answer()
    if head == b"HTTP":
        return Answer(http=head + _more(connection, deadline))
    if len(head) < wire.HEAD:
        raise _cut(server, len(head), wire.HEAD)
    if _foreign(head):
        raise _not_slurm(server, head + _more(connection, deadline))
    return Answer(payload=_payload(connection, server, wire.frame_length(head), deadline))


def _foreign(head: bytes) -> bool:
    """Whether these four bytes cannot begin a frame: length too large, readable text, or TLS."""
    tls = head[0] in (0x15, 0x16) and head[1] == 3 and head[2] <= 4
    text = all(0x20 <= byte < 0x7F for byte in head)  # as a length this is more than half a gigabyte
    return tls or text or int.from_bytes(head, "big") > wire.FRAME_LIMIT


def _payload(connection: socket.socket, server: Server, length: int, deadline: Deadline) -> bytes:
    # The length is untrusted, so memory is allocated only as bytes arrive.
    pieces: list[bytes] = []
    missing = length
    try:
        while missing:
            _limit(connection, deadline)
            piece = connection.recv(min(missing, STEP))
            if not piece:
                raise _cut(server, length - missing, length)
            pieces.append(piece)
            missing -= len(piece)
    except ConnectionResetError:
        raise _cut(server, length - missing, length) from None
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _more(connection: socket.socket, deadline: Deadline) -> bytes:
    """What a server that is not a controller sends within 0.2 s, as evidence."""
    data = b""
    try:
        while len(data) < HTTP_LIMIT:
            connection.settimeout(max(min(deadline.left(), 0.2), 0.001))
            more = connection.recv(HTTP_LIMIT - len(data))
            if not more:
                break
            data += more
    except OSError:
        return data
    return data


def _limit(connection: socket.socket, deadline: Deadline) -> None:
    left = deadline.left()
    if not left:
        raise socket.timeout
    connection.settimeout(left)


def _connect(server: Server, deadline: Deadline) -> socket.socket:
    """Tries each address of the server in turn. Each gets an equal share of the remaining time."""
    reasons: list[str] = []
    addresses = _resolve(server, deadline)
    for position, (family, kind, protocol, _, address) in enumerate(addresses):
        left = deadline.share(len(addresses) - position).left()
        try:
            connection = socket.socket(family, kind, protocol)
        except OSError as error:  # for example a kernel without IPv6
            reasons.append(error.strerror or str(error))
            continue
        try:
            connection.settimeout(max(left, 0.001))
            connection.connect(address)
            return connection
        except socket.timeout:
            connection.close()
            reasons.append("no answer to the connection")
        except OSError as error:
            connection.close()
            reasons.append(error.strerror or str(error))
    if not deadline.left():
        raise _no_answer(server, "; ".join(dict.fromkeys(reasons)))
    raise SiphonError(
        errors.CONNECT,
        f"cannot connect to {server}",
        evidence="; ".join(dict.fromkeys(reasons)),
        hint="scontrol ping, on a machine where Slurm's commands work, shows whether slurmctld runs",
    )


def _resolve(server: Server, deadline: Deadline) -> list[Address]:
    """The addresses of a host name or numeric address."""
    try:
        return _look_up(server, socket.AI_NUMERICHOST)
    except OSError:
        return _resolve_name(server, deadline)


def _resolve_name(server: Server, deadline: Deadline) -> list[Address]:
    """Looks up a name in a daemon thread, because getaddrinfo(3) has no timeout and cannot be interrupted."""
    import threading

    found: list[Address] = []
    failed: list[str] = []

    def work() -> None:
        try:
            found.extend(_look_up(server, 0))
        except (OSError, UnicodeError) as error:
            failed.append(getattr(error, "strerror", None) or str(error))

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(deadline.left())
    if thread.is_alive():
        raise _no_answer(server, "the resolver did not answer")
    if failed:
        raise SiphonError(
            errors.CONNECT,
            f"cannot resolve the host name {server.host}",
            evidence=failed[0],
            hint=f"getent hosts {server.host}",
        )
    return found


def _look_up(server: Server, flags: int) -> list[Address]:
    # A str would go through the codec for international names; importing it takes 7 ms.
    host = server.host.encode("ascii" if server.host.isascii() else "idna")
    found = socket.getaddrinfo(host, server.port, socket.AF_UNSPEC, socket.SOCK_STREAM, 0, flags)
    return list(found)


def _no_answer(server: Server, evidence: str) -> SiphonError:
    return SiphonError(
        errors.TIMEOUT,
        f"no answer from {server} within the timeout",
        evidence=evidence,
        hint="--timeout SECONDS waits longer; check whether slurmctld is stopped or a backup still starting",
    )


def _cut(server: Server, got: int, wanted: int) -> SiphonError:
    return SiphonError(
        errors.MALFORMED,
        f"{server} broke off in the middle of its reply",
        evidence=f"{got} of {wanted} bytes arrived",
        hint="slurmctld may have been restarted: try again",
    )


def _not_slurm(server: Server, opening: bytes) -> SiphonError:
    if opening[0] in (0x15, 0x16) and opening[1] == 3:
        what, hint = "it uses TLS", "siphon uses Slurm's protocol without TLS; check the port"
    else:
        what, hint = f"it sent: {errors.printable(opening, 60)}", "slurmctld's port is 6817 by default"
    return SiphonError(errors.NOT_SLURM, f"{server} is not a Slurm controller", evidence=what, hint=hint)
