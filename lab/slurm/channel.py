"""One request to one controller: connect, send a frame, read a frame, all before a deadline.

`_socket` instead of `socket`: the same calls without 10 ms of imports for what we do not use.
"""

from __future__ import annotations

import _socket
import _thread
import time

from lab.slurm import failure, wire
from lab.slurm.failure import SiphonError
from lab.slurm.record import dataclass
from lab.slurm.servers import Server

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Address = tuple[int, int, int, str, tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes]]

STEP = 1 << 20
HTTP_LIMIT = 1024


@dataclass(frozen=True)
class Answer:
    """What came back: a frame's payload, nothing, or something else's opening bytes."""

    payload: bytes | None = None
    http: bytes = b""
    refused_by_reset: bool = False


@dataclass(frozen=True)
class Deadline:
    """A moment, and the clock that knows it."""

    at: float
    now: Callable[[], float] = time.monotonic

    def left(self) -> float:
        """Seconds until then, never negative."""
        return max(self.at - self.now(), 0.0)

    def share(self, parts: int) -> Deadline:
        """The end of the first of so many equal parts of what is left."""
        return Deadline(self.now() + self.left() / parts, self.now)


def ask(server: Server, request: bytes, deadline: Deadline) -> Answer:
    """One exchange. A controller that closes without a word gives an empty answer."""
    connection = _connect(server, deadline)
    try:
        return _exchange(connection, server, request, deadline)
    except _socket.timeout:
        raise _no_answer(server, deadline, "it accepted the connection and stayed silent") from None
    finally:
        connection.close()


def _exchange(connection: _socket.socket, server: Server, request: bytes, deadline: Deadline) -> Answer:
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
        # 20.11 and 22.05 reset where others close: both say no.
        return Answer(refused_by_reset=True)
    if not head:
        return Answer()
    if head == b"HTTP":
        return Answer(http=head + _some(connection, deadline))
    if len(head) < wire.HEAD:
        raise _cut(server, len(head), wire.HEAD)
    if _foreign(head):
        raise _not_slurm(server, head + _some(connection, deadline))
    return Answer(payload=_payload(connection, server, wire.frame_length(head), deadline))


def _foreign(head: bytes) -> bool:
    """Whether these four bytes cannot open a frame: too long, readable text, or TLS."""
    tls = head[0] in (0x15, 0x16) and head[1] == 3 and head[2] <= 4
    text = all(0x20 <= byte < 0x7F for byte in head)  # as a length more than half a gigabyte
    return tls or text or int.from_bytes(head, "big") > wire.FRAME_LIMIT


def _payload(connection: _socket.socket, server: Server, length: int, deadline: Deadline) -> bytes:
    # The length is the peer's word: memory is taken as bytes arrive.
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


def _some(connection: _socket.socket, deadline: Deadline) -> bytes:
    """What else a stranger says at once: evidence, not worth waiting for."""
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


def _limit(connection: _socket.socket, deadline: Deadline) -> None:
    left = deadline.left()
    if not left:
        raise _socket.timeout
    connection.settimeout(left)


def _connect(server: Server, deadline: Deadline) -> _socket.socket:
    reasons: list[str] = []
    addresses = _resolve(server, deadline)
    for position, (family, kind, protocol, _, address) in enumerate(addresses):
        left = deadline.share(len(addresses) - position).left()
        try:
            connection = _socket.socket(family, kind | _socket.SOCK_CLOEXEC, protocol)
        except OSError as error:  # no IPv6 in this kernel
            reasons.append(error.strerror or str(error))
            continue
        try:
            connection.settimeout(max(left, 0.001))
            connection.connect(address)
            return connection
        except _socket.timeout:
            connection.close()
            reasons.append("no answer to the connection")
        except OSError as error:
            connection.close()
            reasons.append(error.strerror or str(error))
    if not deadline.left():
        raise _no_answer(server, deadline, "; ".join(dict.fromkeys(reasons)))
    raise SiphonError(
        failure.CONNECT,
        f"cannot connect to {server}",
        evidence="; ".join(dict.fromkeys(reasons)),
        hint="is slurmctld running there? scontrol ping, where Slurm's commands work",
    )


def _resolve(server: Server, deadline: Deadline) -> list[Address]:
    """The addresses of a name. A resolver cannot be interrupted, so it works in a thread of its own."""
    try:
        return _look_up(server, _socket.AI_NUMERICHOST)
    except OSError:
        pass
    done = _thread.allocate_lock()
    done.acquire()
    found: list[list[Address]] = []
    failed: list[OSError] = []

    def work() -> None:
        try:
            found.append(_look_up(server, 0))
        except OSError as error:
            failed.append(error)
        except UnicodeError as error:
            failed.append(OSError(0, str(error)))
        finally:
            done.release()

    _thread.start_new_thread(work, ())
    if not done.acquire(timeout=deadline.left()):
        raise _no_answer(server, deadline, "the resolver has not answered")
    if failed:
        raise SiphonError(
            failure.CONNECT,
            f"cannot find {server.host}",
            evidence=failed[0].strerror or str(failed[0]),
            hint=f"getent hosts {server.host}",
        )
    return found[0]


def _look_up(server: Server, flags: int) -> list[Address]:
    # As text it would go through the codec for international names, and its import costs 7 ms.
    host = server.host.encode("ascii" if server.host.isascii() else "idna")
    found = _socket.getaddrinfo(host, server.port, _socket.AF_UNSPEC, _socket.SOCK_STREAM, 0, flags)
    return list(found)


def _no_answer(server: Server, deadline: Deadline, evidence: str) -> SiphonError:
    del deadline
    return SiphonError(
        failure.TIMEOUT,
        f"no answer from {server} in time",
        evidence=evidence,
        hint="--timeout SECONDS waits longer; is slurmctld stopped, or a standby still starting?",
    )


def _cut(server: Server, got: int, wanted: int) -> SiphonError:
    return SiphonError(
        failure.MALFORMED,
        f"{server} broke off in the middle of its reply",
        evidence=f"{got} of {wanted} bytes came",
        hint="was slurmctld restarted? Try again",
    )


def _not_slurm(server: Server, opening: bytes) -> SiphonError:
    if opening[0] in (0x15, 0x16) and opening[1] == 3:
        what, hint = "it speaks TLS", "siphon speaks Slurm's protocol in clear; is this the right port?"
    else:
        what, hint = f"it says: {failure.printable(opening, 60)}", "slurmctld's port is 6817 by default"
    return SiphonError(failure.NOT_SLURM, f"{server} is no Slurm controller", evidence=what, hint=hint)
