"""Requests to a munged over its socket: encode and decode credentials."""

from __future__ import annotations

import socket

from lab.siphon import errors
from lab.siphon.errors import SiphonError
from lab.siphon.protocol import munge
from lab.siphon.protocol.wire import WireError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    Answer = TypeVar("Answer")

STEP = 65536


def encode(path: str, payload: bytes, timeout: float) -> bytes:
    """A new credential for the uid of this process. `timeout` is in seconds."""
    return _request(path, munge.encode_request(payload), munge.ENCODED, timeout, munge.encoded)


def decode(path: str, credential: bytes, timeout: float) -> munge.Decoded:
    """The contents of a credential that munged accepts. `timeout` is in seconds."""
    return _request(path, munge.decode_request(credential), munge.DECODED, timeout, munge.decoded)


def _request(
    path: str, request: bytes, kind: int, timeout: float, understand: Callable[[bytes], Answer]
) -> Answer:
    try:
        return understand(_exchange(path, request, kind, timeout))
    except WireError as error:
        raise _no_munged(path, f"the answer is not from munged: {error}") from None
    except munge.MungeRefusal as error:
        raise _no_munged(path, f"munged reports: {errors.printable(str(error))}") from None
    except socket.timeout:
        raise _no_munged(path, f"no answer in {timeout:.1f} s") from None
    except OSError as error:
        raise _no_munged(path, error.strerror or str(error)) from None


def _no_munged(path: str, evidence: str) -> SiphonError:
    return SiphonError(
        errors.CREDENTIAL,
        f"no credential from munged at {path}",
        evidence=evidence,
        hint="munge -n shows whether munged works; --auth jwt and --munge-key FILE do not need it",
    )


def _exchange(path: str, request: bytes, kind: int, timeout: float) -> bytes:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(max(timeout, 0.001))
        connection.connect(path)
        connection.sendall(request)
        head = _receive(connection, munge.HEAD)
        return _receive(connection, munge.body_length(head, kind))


def _receive(connection: socket.socket, length: int) -> bytes:
    data = b""
    while len(data) < length:
        more = connection.recv(min(length - len(data), STEP))
        if not more:
            raise WireError(len(data), f"{length} bytes", "the end")
        data += more
    return data
