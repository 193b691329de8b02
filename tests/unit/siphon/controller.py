"""A controller on loopback that behaves as the real ones were seen to, or as nobody should."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from lab.siphon.fetch.servers import Server
from lab.siphon.protocol import messages, versions, wire
from lab.siphon.protocol.messages import ConfigFile

HTTP = (
    b"HTTP/1.1 405 NOT ALLOWED\r\nConnection: Close\r\nContent-Length: 19\r\n"
    b"Content-Type: text/plain\r\n\r\nInvalid HTTP method"
)
FILES = (
    ConfigFile(b"slurm.conf", exists=True, content=b"ClusterName=c\nSlurmctldHost=ctl\n"),
    ConfigFile(b"topology.conf", exists=False),
    ConfigFile(b"plugstack.conf", exists=True),
)


@dataclass
class Controller:
    """What one controller does with each connection, and what it was asked."""

    answer: Callable[[bytes], bytes | None]
    """The bytes for a request; empty closes, None keeps silent."""
    asked: list[bytes] = field(default_factory=list)
    port: int = 0
    host: str = "127.0.0.1"

    @property
    def server(self) -> Server:
        return Server(self.host, self.port)

    @property
    def versions(self) -> list[str]:
        """The releases asked for, in order."""
        return [versions.release_name(int.from_bytes(request[4:6], "big")) for request in self.asked]

    def serve(self, connection: socket.socket) -> None:
        connection.settimeout(5)
        with connection, contextlib.suppress(OSError):
            request = b""
            while not complete(request):
                more = connection.recv(65536)
                if not more:
                    return
                request += more
            self.asked.append(request)
            reply = self.answer(request)
            if reply is None:
                connection.recv(1)  # silent until the other side gives up
            else:
                connection.sendall(reply)


def complete(data: bytes) -> bool:
    """Whether these bytes are at least one frame."""
    return len(data) >= wire.HEAD and len(data) >= wire.HEAD + wire.frame_length(data)


@contextlib.contextmanager
def running(answer: Callable[[bytes], bytes | None], host: str = "127.0.0.1") -> Iterator[Controller]:
    """A controller that answers until the block ends."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, 0), family=family) as listener:
        controller = Controller(answer, port=listener.getsockname()[1], host=host)
        threads: list[threading.Thread] = []

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    thread = threading.Thread(target=controller.serve, args=(connection,))
                    thread.start()
                    threads.append(thread)

        acceptor = threading.Thread(target=accept)
        acceptor.start()
        try:
            yield controller
        finally:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            acceptor.join()
            for thread in threads:
                thread.join()


def released(
    release: str,
    files: tuple[ConfigFile, ...] = FILES,
    *,
    http: bool = True,
    code: int | None = None,
    refuses: bool = False,
) -> Callable[[bytes], bytes]:
    """The manners of a release, as measured: whom it answers, and how it turns others away."""
    own = versions.by_release(release)
    assert own is not None
    oldest = (own.number >> 8) - (3 if own.number >= versions.V24_11.number else 2)

    def answer(request: bytes) -> bytes:
        number = int.from_bytes(request[4:6], "big")
        if not oldest << 8 <= number <= own.number:
            return refusal(own, http=http)
        version = versions.by_number(number)
        assert version is not None
        messages.decode_request(request[4:])
        if refuses:
            told = own.number >= versions.V24_11.number
            return error(version, 1007) if told else b""
        return error(version, code) if code is not None else config(version, files)

    return answer


def refusal(own: versions.Version, *, http: bool) -> bytes:
    if own.number >= versions.V25_11.number:
        return HTTP if http else b""
    return error(own, 1007) if own.number >= versions.V24_11.number else b""


def _head(version: versions.Version, message: int, body: bytes) -> bytes:
    silent = version.number > versions.V22_05.number
    flags = messages.FLAG_NO_AUTH if silent else 0
    auth = b"" if silent else wire.pack(4, messages.AUTH_JWT) + bytes(8)
    return messages.encode_header(version, message, len(body), flags=flags) + auth


def error(version: versions.Version, code: int) -> bytes:
    body = wire.pack(4, code)
    return wire.pack_frame(_head(version, messages.RESPONSE_CODE, body) + body)


def config(version: versions.Version, files: tuple[ConfigFile, ...], *, spool: bytes | None = None) -> bytes:
    """A reply with these files in the layout of a version."""
    if version.listed:
        body = wire.pack(4, len(files)) + b"".join(_entry(version, file) for file in files)
    else:
        found = {file.name: file.content for file in files if file.exists}
        body = b"".join(wire.pack_string(found.get(name)) for name in messages.FIXED_NAMES)
    body += wire.pack_string(spool)
    return wire.pack_frame(_head(version, messages.RESPONSE_CONFIG, body) + body)


def _entry(version: versions.Version, file: ConfigFile) -> bytes:
    marks = bytes((file.exists,)) + (bytes((file.execute,)) if version.execute else b"")
    return marks + wire.pack_string(file.name) + wire.pack_string(file.content or None)
