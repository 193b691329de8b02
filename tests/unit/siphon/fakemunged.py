"""A munged on a socket of its own: makes credentials that say their payload, and checks them."""

from __future__ import annotations

import base64
import contextlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

from lab.siphon.protocol import wire


def credential(payload: bytes, uid: int = 0) -> bytes:
    return b"MUNGE:" + base64.b64encode(uid.to_bytes(4, "big") + payload) + b":"


def payload_of(made: bytes) -> tuple[int, bytes]:
    inner = base64.b64decode(made[len(b"MUNGE:") : -1])
    return int.from_bytes(inner[:4], "big"), inner[4:]


def answer(kind: int, body: bytes, refusal: bytes = b"") -> bytes:
    """What munged says to a message's body (src/munged/job.c)."""
    if refusal:
        reply = bytes((15, len(refusal) + 1)) + refusal + b"\0" + bytes(4)
    elif kind == 2:
        made = credential(body[20:])
        reply = b"\0\0" + wire.pack(4, len(made) + 1) + made + b"\0"
    else:
        uid, payload = payload_of(body[4:].rstrip(b"\0"))
        numbers = (uid, uid, 0xFFFFFFFF, 0xFFFFFFFF, len(payload))
        reply = b"\0\0" + b"\4\5\0" + b"\0" + wire.pack(4, 300) + b"\4\x7f\0\0\1" + bytes(8)
        reply += b"".join(wire.pack(4, number) for number in numbers) + payload
    return wire.pack(4, 0x00606D4B) + bytes((4, kind + 1, 0)) + wire.pack(4, len(reply)) + reply


@contextlib.contextmanager
def munged(path: Path, refusal: bytes = b"", raw: bytes | None = None) -> Iterator[list[bytes]]:
    """Answers until the block ends; gives the messages it was sent."""
    seen: list[bytes] = []
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    with connection:
                        message = connection.recv(1 << 20)
                        seen.append(message)
                        reply = answer(message[5], message[11:], refusal) if raw is None else raw
                        connection.sendall(reply)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield seen
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()
