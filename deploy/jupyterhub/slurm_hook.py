"""Before a Hub starts a user's server: slurm-token says who the user is on the cluster, and gives a token.

For a Hub's pre_spawn_hook. Needs nothing but the standard library and what a Hub has.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import re
import ssl
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

SECONDS = 10.0
MOST = 1 << 16
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,31}\Z")
MOUNTED = "/run/slurm-token"
"""The user's folder, as the container sees it."""


class NoTokenError(Exception):
    """Why the user gets no token: one sentence for the log and the page."""


@dataclass(frozen=True)
class Account:
    """A user as the cluster knows it, and a short-lived token; `repr` leaves out the token."""

    name: str
    uid: int
    gid: int
    token: str = field(repr=False)


def ask(url: str, api_token: str, ca: str | None = None) -> Account:
    """Asks slurm-token (its README) whose server's token of the Hub this is. Raises `NoTokenError`."""
    parts = urlsplit(url)
    if parts.scheme == "https":
        tls = ssl.create_default_context(cafile=ca)
        connection: http.client.HTTPConnection = http.client.HTTPSConnection(
            parts.hostname or "", parts.port, timeout=SECONDS, context=tls
        )
    else:
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=SECONDS)
    try:
        headers = {"Authorization": f"Bearer {api_token}", "Content-Length": "0"}
        connection.request("POST", parts.path, headers=headers)
        reply = connection.getresponse()
        return _account(reply.status, reply.read(MOST))
    except (OSError, http.client.HTTPException) as problem:
        raise NoTokenError(f"slurm-token does not answer ({_short(problem)})") from None
    finally:
        connection.close()


def _short(problem: Exception) -> str:
    words = getattr(problem, "strerror", None) or str(problem) or type(problem).__name__
    return "".join(letter for letter in words if letter.isprintable())[:100]


def _account(status: int, data: bytes) -> Account:
    try:
        found = json.loads(data)
        if status != 200:
            refusal = str(found["error"])
        else:
            made = Account(found["user"], int(found["uid"]), int(found["gid"]), str(found["token"]))
            if NAME.match(made.name) and made.uid > 0 and made.gid > 0:
                return made
            refusal = "its answer names no ordinary account"
    except (ValueError, KeyError, TypeError, RecursionError):
        raise NoTokenError("what answers in place of slurm-token is something else") from None
    raise NoTokenError(f"slurm-token gives no token: {''.join(filter(str.isprintable, refusal))[:200]}")


async def account_of(spawner: Any, url: str, ca: str | None = None) -> Account:
    """The account of the spawner's own user and of nobody else. Raises the Hub's error for the page."""
    from tornado.web import HTTPError

    try:
        # In a thread: slurm-token asks this very Hub about the token before it answers.
        found = await asyncio.to_thread(ask, url, spawner.api_token, ca)
    except NoTokenError as problem:
        trouble = str(problem)
    else:
        if found.name == spawner.user.name:
            return found
        trouble = "slurm-token's answer is another user's"
    refused = HTTPError(503, "%s", trouble)  # of this kind the Hub logs one line
    told = f"Your server was not started: {trouble}. Try again later, or tell your administrator."
    refused.jupyterhub_message = told  # what its page shows (jupyterhub/utils.py: format_exception)
    raise refused


def for_docker(url: str, folder: str, ca: str | None = None) -> Callable[[Any], Awaitable[None]]:
    """A hook for DockerSpawner: the server runs as its user, without rights, and finds the token in a file.

    The folder is on the engine's host, and belongs to the Hub alone.
    """
    at = Path(folder)
    at.mkdir(mode=0o700, parents=True, exist_ok=True)
    at.chmod(0o700)

    async def hook(spawner: Any) -> None:
        found = await account_of(spawner, url, ca)
        write(at / found.name, found.token)
        harden(spawner, found, at / found.name)

    return hook


def write(folder: Path, token: str) -> None:
    """Replaces the token of one user; others of this host do not reach it."""
    folder.mkdir(mode=0o755, exist_ok=True)
    folder.chmod(0o755)  # whatever the umask
    fd, new = tempfile.mkstemp(dir=folder)
    with os.fdopen(fd, "w", encoding="ascii") as file:
        file.write(token + "\n")
    Path(new).chmod(0o644)  # the container's user is not the Hub's
    Path(new).replace(folder / "token")


def harden(spawner: Any, account: Account, folder: Path) -> None:
    """Sets what the container gets. New objects each time: the Hub's configuration is every user's."""
    own = f"mode=700,uid={account.uid},gid={account.gid}"
    spawner.environment = {
        **spawner.environment,
        "SLURM_USER": f"{account.name}:{account.uid}:{account.gid}",
        "SLURM_JWT_FILE": f"{MOUNTED}/token",
    }
    spawner.read_only_volumes = {**spawner.read_only_volumes, str(folder): MOUNTED}
    spawner.extra_create_kwargs = {
        **spawner.extra_create_kwargs,
        "user": f"{account.uid}:{account.gid}",
    }
    spawner.extra_host_config = {
        **spawner.extra_host_config,
        "read_only": True,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges"],
        "tmpfs": {"/tmp": "", "/run/slurm": own},  # noqa: S108 - of the container
    }
