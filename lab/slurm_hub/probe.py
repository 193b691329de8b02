"""`hub-server`: lets root start, stop and list users' servers, with the token that the Hub made for it."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote
from urllib.request import Request, urlopen

HUB = "http://127.0.0.1:8000/hub/api"
TOKEN = "/run/jupyterhub/probe"  # noqa: S105 (a path)
USAGE = "usage: hub-server start USER | stop USER | list"
SECONDS = 180  # a start may take


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
            _ask("DELETE", f"/users/{quote(words[1], safe='')}/server")
            return 0
    except HubError as problem:
        print(f"error: {problem}", file=sys.stderr)
        return 1
    print(USAGE, file=sys.stderr)
    return 2


def _list() -> int:
    """Prints a line for each server: its user, whether it answers, and its job."""
    for user in json.loads(_ask("GET", "/users?state=active")):
        for server in user["servers"].values():
            print(user["name"], "ready" if server["ready"] else "not ready", server["url"])
    return 0


def _start(user: str) -> int:
    """Starts a user's server, and prints how it goes until it answers or has failed."""
    if not _known(user):
        _ask("POST", f"/users/{user}")
    try:
        _ask("POST", f"/users/{user}/server")
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


def _known(user: str) -> bool:
    return any(one["name"] == user for one in json.loads(_ask("GET", "/users")))


def _events(user: str) -> Iterator[dict[str, Any]]:
    """What the Hub tells of a server that starts, as it comes (server-sent events)."""
    with _open("GET", f"/users/{user}/server/progress") as stream:
        for line in stream:
            if line.startswith(b"data:"):
                yield json.loads(line[5:])


def _ask(method: str, path: str) -> bytes:
    with _open(method, path) as answer:
        told: bytes = answer.read()
        return told


def _open(method: str, path: str) -> Any:
    """Asks the Hub over its proxy, as users do."""
    try:
        token = Path(TOKEN).read_text(encoding="ascii").strip()
    except OSError as problem:
        raise HubError(
            f"{problem} (only root may, while the Hub runs: systemctl status jupyterhub)"
        ) from problem
    request = Request(  # noqa: S310 (the address is ours)
        f"{HUB}{path}", method=method, headers={"Authorization": f"token {token}"}
    )
    try:
        return urlopen(request, timeout=SECONDS)  # noqa: S310
    except HTTPError as problem:
        told = problem.read()
        try:
            words = json.loads(told)["message"]
        except (ValueError, KeyError, TypeError):
            words = f"the Hub answers {problem.code}"
        raise HubError(words) from problem
    except (URLError, OSError) as problem:
        raise HubError(f"the Hub does not answer: {problem}; journalctl -u jupyterhub") from problem


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
