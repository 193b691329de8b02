"""The files that a browser may fetch: ours beside this module, and xterm.js where it is installed."""

from __future__ import annotations

from pathlib import Path

from starlette.responses import FileResponse, PlainTextResponse, Response

from lab.web.browser_parts import Parts

OURS = Path(__file__).with_name("static")
KINDS = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}


class Files:
    """A fixed list of names; no name is ever made into a path."""

    def __init__(self, parts: Parts) -> None:
        found = {f"/{path.name}": path for path in OURS.iterdir() if path.suffix in KINDS}
        found["/"] = found.pop("/index.html")
        self._found = {**found, "/xterm.js": parts.script, "/xterm.css": parts.style}

    def answer(self, path: str) -> Response:
        """The file of that name, or 404."""
        found = self._found.get(path)
        if found is None:
            return PlainTextResponse("there is no such page\n", 404)
        return FileResponse(found, media_type=KINDS[found.suffix])


def signed_out() -> bytes:
    """The page for a browser that is not signed in."""
    return (OURS / "signed-out.html").read_bytes()
