"""An engine that is played by a socket."""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest


@dataclass
class Played:
    """An engine that answers as it is told, and what it was asked."""

    path: Path
    answers: dict[str, bytes] = field(default_factory=dict)
    asked: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)


@pytest.fixture
def played(tmp_path: Path) -> Iterator[Played]:
    found = Played(tmp_path / "engine.sock")

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            parts = urlsplit(self.path)
            size = int(self.headers.get("Content-Length") or 0)
            body = self.rfile.read(size)
            query: dict[str, Any] = {key: values[0] for key, values in parse_qs(parts.query).items()}
            is_json = size and self.headers.get("Content-Type") == "application/json"
            found.asked.append((self.command, parts.path, json.loads(body) if is_json else query))
            found.headers.append(dict(self.headers))
            text = found.answers.get(parts.path)
            self.send_response(404 if text is None else 200)
            self.end_headers()
            self.wfile.write(b'{"message": "no such thing"}' if text is None else text)

        do_GET = do_POST = do_DELETE = answer  # noqa: N815 (the library calls them so)

        def address_string(self) -> str:
            return "a socket"

        def log_message(self, *_: object) -> None:
            pass

    with socketserver.ThreadingUnixStreamServer(str(found.path), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield found
        server.shutdown()
