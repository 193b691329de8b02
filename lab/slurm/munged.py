"""Talks to munged's socket: a credential made, a credential checked."""

from __future__ import annotations

import _socket

from lab.slurm import failure, munge
from lab.slurm.failure import SiphonError
from lab.slurm.wire import WireError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    Answer = TypeVar("Answer")

STEP = 65536


def encode(path: str, payload: bytes, timeout: float) -> bytes:
    """A fresh credential for the uid of this process."""
    return _ask(path, munge.encode_request(payload), munge.ENCODED, timeout, munge.encoded)


def decode(path: str, credential: bytes, timeout: float) -> munge.Decoded:
    """Who made a credential, if munged accepts it."""
    return _ask(path, munge.decode_request(credential), munge.DECODED, timeout, munge.decoded)


def _ask(
    path: str, request: bytes, kind: int, timeout: float, understand: Callable[[bytes], Answer]
) -> Answer:
    try:
        return understand(_exchange(path, request, kind, timeout))
    except WireError as error:
        raise _no_munged(path, f"it answers, but not as munged: {error}") from None
    except munge.MungeRefusal as error:
        raise _no_munged(path, f"munged says: {failure.printable(str(error))}") from None
    except _socket.timeout:
        raise _no_munged(path, f"no answer in {timeout:.1f} s") from None
    except OSError as error:
        raise _no_munged(path, error.strerror or str(error)) from None


def _no_munged(path: str, evidence: str) -> SiphonError:
    return SiphonError(
        failure.CREDENTIAL,
        f"no credential from munged at {path}",
        evidence=evidence,
        hint="munge -n shows whether munged works; --auth jwt or --munge-key FILE need none",
    )


def _exchange(path: str, request: bytes, kind: int, timeout: float) -> bytes:
    connection = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    try:
        connection.settimeout(max(timeout, 0.001))
        connection.connect(path)
        connection.sendall(request)
        head = _receive(connection, munge.HEAD)
        return _receive(connection, munge.body_length(head, kind))
    finally:
        connection.close()


def _receive(connection: _socket.socket, length: int) -> bytes:
    data = b""
    while len(data) < length:
        more = connection.recv(min(length - len(data), STEP))
        if not more:
            raise WireError(len(data), f"{length} bytes", "the end")
        data += more
    return data
