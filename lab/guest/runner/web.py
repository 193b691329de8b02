"""`web`: shows the results to the lab. To a browser, what a pipeline made is plain text."""

from __future__ import annotations

import functools
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from lab.guest.runner.places import RESULTS
from lab.guest.runner.results import ARTEFACTS, PAGE
from lab.guest.system import System

PORT = 80
POLICY = "default-src 'none'; style-src 'unsafe-inline'; sandbox"


class Handler(SimpleHTTPRequestHandler):
    """Sends files and nothing else: no listings, no scripts, and no guesses about types."""

    timeout = 30
    server_version, sys_version = "runner", ""

    def guess_type(self, path: Any) -> str:
        """HTML for the pages that we wrote, text for all else."""
        ours = str(path).endswith(f"/{PAGE}") and f"/{ARTEFACTS}/" not in str(path)
        return "text/html; charset=utf-8" if ours else "text/plain; charset=utf-8"

    def list_directory(self, path: Any) -> None:  # noqa: ARG002 - the base class has it
        """Lists nothing: the pages do."""
        self.send_error(404)

    def end_headers(self) -> None:
        """Adds what keeps a browser from running anything."""
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Content-Security-Policy", POLICY)
        self.send_header("Cache-Control", "no-cache")
        super().end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class calls it so
        """Logs nothing: the results are no secret, and requests are of no use later."""


def server(system: System, port: int = PORT) -> ThreadingHTTPServer:
    """The server of the results, on every address of this machine; a runner has only that of the lab."""
    handler = functools.partial(Handler, directory=system.path(RESULTS))
    return ThreadingHTTPServer(("", port), handler)
