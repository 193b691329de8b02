"""`hub-server`: lets root start, stop, list and try users' servers, with a token that only root can read."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote
from urllib.request import HTTPRedirectHandler, Request, build_opener

from lab.slurm_hub.messages import shown

PROXY = "127.0.0.1:8000"
TOKEN = "/run/jupyterhub/probe"  # noqa: S105 (a path)
USAGE = "usage: hub-server start USER | stop USER | list | run USER FILE"
SECONDS = 180  # a start may take
LONGEST = 1 << 20  # bytes of an answer


class HubError(Exception):
    """What the Hub said instead of what was asked for."""


def main(words: Sequence[str]) -> int:
    """Does one thing; returns 0 when it is done, 1 when the Hub refuses or fails, 2 for wrong usage."""
    try:
        if list(words) == ["list"]:
            return _list()
        if len(words) == 2 and words[0] == "start":
            return _start(quote(words[1], safe=""))
        if len(words) == 2 and words[0] == "stop":
            _ask("DELETE", f"/hub/api/users/{quote(words[1], safe='')}/server")
            return 0
        if len(words) == 3 and words[0] == "run":
            return _run(quote(words[1], safe=""), Path(words[2]))
    except HubError as problem:
        print(f"error: {problem}", file=sys.stderr)
        return 1
    print(USAGE, file=sys.stderr)
    return 2


def _list() -> int:
    """Prints a line for each server: its user, whether it answers, and its job."""
    for user in json.loads(_ask("GET", "/hub/api/users?state=active")):
        for server in user["servers"].values():
            print(user["name"], "ready" if server["ready"] else "not ready", server["url"])
    return 0


def _start(user: str) -> int:
    """Starts a user's server, and prints how it goes until it answers or has failed."""
    if not _known(user):
        _ask("POST", f"/hub/api/users/{user}")
    try:
        _ask("POST", f"/hub/api/users/{user}/server")
    except HubError as problem:
        if "already running" not in str(problem) and "pending" not in str(problem):
            raise
    for event in _events(user):
        print(event.get("message", ""), flush=True)
        if event.get("failed"):
            return 1
        if event.get("ready"):
            return 0
    raise HubError("the Hub stopped talking: journalctl -u jupyterhub")


def _run(user: str, file: Path) -> int:
    """Runs a file in a new kernel of a user's server, and prints what it prints.

    The server sees the token that it is asked with, and it is the user's: so this one opens nothing else.
    """
    from lab.slurm_hub import notebook

    try:
        code = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as problem:
        raise HubError(str(problem)) from problem
    wanted = {"expires_in": SECONDS, "note": "hub-server run", "scopes": [f"access:servers!user={user}"]}
    token = str(_object(_ask("POST", f"/hub/api/users/{user}/tokens", wanted))["token"])
    made = _object(_ask("POST", f"/user/{user}/api/kernels", {}, token))
    place = f"/user/{user}/api/kernels/{quote(str(made.get('id')), safe='')}"
    try:
        return asyncio.run(notebook.run(f"{PROXY}{place}", token, code))
    finally:
        with suppress(HubError):
            _ask("DELETE", place, None, token)


def _object(text: bytes) -> dict[str, Any]:
    """Reads a JSON object; HubError for anything else, since a user's server may have written it."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise HubError("the answer is no JSON object")
    return found


def _token() -> str:
    try:
        return Path(TOKEN).read_text(encoding="ascii").strip()
    except OSError as problem:
        words = f"{problem} (only root may, while the Hub runs: systemctl status jupyterhub)"
        raise HubError(words) from problem


def _known(user: str) -> bool:
    return any(one["name"] == user for one in json.loads(_ask("GET", "/hub/api/users")))


def _events(user: str) -> Iterator[dict[str, Any]]:
    """What the Hub tells of a server that starts, as it comes (server-sent events)."""
    with _open("GET", f"/hub/api/users/{user}/server/progress") as stream:
        for line in stream:
            if line.startswith(b"data:"):
                yield json.loads(line[5:])


def _ask(method: str, path: str, told: object = None, token: str = "") -> bytes:
    with _open(method, path, told, token) as answer:
        found: bytes = answer.read(LONGEST)
        return found


def _open(method: str, path: str, told: object = None, token: str = "") -> Any:
    """Asks the Hub, or with another token a user's server, over the proxy, as users do."""
    data = None if told is None else json.dumps(told).encode()
    headers = {"Authorization": f"token {token or _token()}", "Content-Type": "application/json"}
    request = Request(f"http://{PROXY}{path}", data, headers, method=method)
    try:
        return build_opener(_NoRedirect).open(request, timeout=SECONDS)
    except HTTPError as problem:
        words = _words(problem.read(LONGEST)) or f"the Hub answers {problem.code}"
        raise HubError(words) from problem
    except (URLError, OSError) as problem:
        raise HubError(f"the Hub does not answer: {problem}; journalctl -u jupyterhub") from problem


class _NoRedirect(HTTPRedirectHandler):
    """A redirect would take the token to whatever place the answer names."""

    def redirect_request(self, *_arguments: Any) -> None:
        """Follows none; the answer then is an error."""


def _words(text: bytes) -> str:
    """What an error says, if it says anything that can be shown."""
    try:
        return shown(str(_object(text).get("message", "")))
    except HubError:
        return ""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
