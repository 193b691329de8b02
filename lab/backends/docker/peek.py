"""Quick requests to Docker's engine over its socket, for read-only commands, power buttons and their record.

The SDK takes a tenth of a second to load, more than all of `lab status` may take; it does everything else.
Methods have the signatures and results of its `APIClient`. The API is documented at
https://docs.docker.com/reference/api/engine/version/v1.41/.
"""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlencode

from lab.backends.docker.no_answer import no_answer_hint
from lab.errors import LabError

API = "/v1.41"
SECONDS = 60.0
MOST = 64 << 20  # bytes of an answer; it may hold what a program in a node wrote
HEADER = 8  # bytes before each frame of output: stream number, three zeros, length in four bytes


class _Line(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: str, seconds: float) -> None:
        super().__init__("docker", timeout=seconds)
        self._path = path

    def connect(self) -> None:
        """Connects to the socket instead of a host."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class Peek:
    """The engine behind a socket; each request opens its own connection, so threads may share it."""

    def __init__(self, path: str, timeout_scale: float = 1.0) -> None:
        self._path = path
        self._seconds = SECONDS * timeout_scale

    def containers(self, *, all: bool, filters: Mapping[str, Sequence[str]]) -> list[dict[str, Any]]:  # noqa: A002
        """Lists containers."""
        return list(self._get("/containers/json", all=int(all), filters=json.dumps(filters)))

    def volumes(self, *, filters: Mapping[str, Sequence[str]]) -> dict[str, Any]:
        """Lists volumes."""
        return dict(self._get("/volumes", filters=json.dumps(filters)))

    def create_volume(self, name: str, *, labels: Mapping[str, str]) -> dict[str, Any]:
        """Creates a volume."""
        return dict(json.loads(self._ask("POST", "/volumes/create", {"Name": name, "Labels": labels})))

    def remove_volume(self, name: str, *, force: bool) -> None:
        """Removes a volume; with `force`, one that does not exist is fine."""
        self._ask("DELETE", f"/volumes/{quote(name)}?{urlencode({'force': int(force)})}")

    def images(self, name: str = "", *, filters: Mapping[str, Sequence[str]]) -> list[dict[str, Any]]:
        """Lists images."""
        wanted = {**filters, "reference": [name]} if name else filters
        return list(self._get("/images/json", filters=json.dumps(wanted)))

    def history(self, image: str) -> list[dict[str, Any]]:
        """Lists the layers of an image, newest first."""
        return list(self._get(f"/images/{quote(image)}/history"))

    def exec_create(self, container: str, cmd: Sequence[str]) -> dict[str, Any]:
        """Prepares a command in a container."""
        body = {"Cmd": list(cmd), "AttachStdout": True, "AttachStderr": True}
        return dict(json.loads(self._ask("POST", f"/containers/{quote(container)}/exec", body)))

    def exec_start(self, exec_id: str, *, demux: bool) -> tuple[bytes | None, bytes | None]:
        """Runs it to its end; returns its standard output and error."""
        del demux  # always
        raw = self._ask("POST", f"/exec/{exec_id}/start", {"Detach": False, "Tty": False})
        streams: dict[int, bytes] = {}
        while len(raw) >= HEADER:
            kind, end = raw[0], HEADER + int.from_bytes(raw[4:HEADER], "big")
            streams[kind] = streams.get(kind, b"") + raw[HEADER:end]
            raw = raw[end:]
        return streams.get(1), streams.get(2)

    def exec_inspect(self, exec_id: str) -> dict[str, Any]:
        """Describes how it ended."""
        return dict(self._get(f"/exec/{exec_id}/json"))

    def _get(self, path: str, **query: object) -> Any:
        return json.loads(self._ask("GET", f"{path}?{urlencode(query)}"))

    def _ask(self, method: str, path: str, body: Mapping[str, object] | None = None) -> bytes:
        line = _Line(self._path, self._seconds)
        try:
            data = None if body is None else json.dumps(body)
            line.request(method, API + path, data, {"Content-Type": "application/json"})
            answer = line.getresponse()
            text = answer.read(MOST + 1)
        except (OSError, http.client.HTTPException) as problem:
            raise LabError(
                "Docker's engine does not answer",
                evidence=f"{self._path}: {problem}",
                hint=no_answer_hint(str(problem)),
            ) from problem
        finally:
            line.close()
        if len(text) > MOST:
            raise LabError(
                f"Docker's engine answers with more than {MOST >> 20} MiB: {path.partition('?')[0]}",
                hint="lab status shows which node still answers as it should",
            )
        if answer.status >= 400:
            raise LabError(
                f"Docker refused: {method} {path.partition('?')[0]}", evidence=_words(text), hint="lab doctor"
            )
        return text


def _words(text: bytes) -> str:
    try:
        return str(json.loads(text)["message"])
    except (ValueError, KeyError, TypeError):
        return text.decode(errors="replace").strip()
