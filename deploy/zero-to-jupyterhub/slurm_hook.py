"""A user's server starts if slurm-token knows the user, and then as that user of the Slurm cluster.

A part of JupyterHub's configuration in zero-to-jupyterhub. Before a server starts, the Hub shows slurm-token
the server's own Hub token, and gets a Slurm token for the user whose it is. Who has no account on the cluster
gets one sentence on the page instead of a notebook that cannot do anything. The Slurm token is then dropped,
since it ends after minutes: the pod gets its own in the same way, and renews it. So none is in a pod's
description.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import re
import ssl
import urllib.error
import urllib.request
from typing import Any, NamedTuple

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,31}\Z")
CA = "/usr/local/etc/jupyterhub/slurm-token-ca.crt"
SECONDS = 15
MOST = 1 << 16
NO_ANSWER = (OSError, http.client.HTTPException, ValueError, KeyError, TypeError, RecursionError)
"""What reading an answer raises that is none of slurm-token's."""


class NoServer(Exception):
    """Why no server is started: one sentence for the Hub's log and page."""


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect would take the Hub's token elsewhere."""

    def redirect_request(self, *_: Any) -> None:
        """Follows none."""


class Account(NamedTuple):
    """A user as the Slurm cluster knows it."""

    name: str
    uid: int
    gid: int


def account_of(url: str, hub_token: str, ca: str = CA) -> Account:
    """Asks slurm-token for a Slurm token (its README): whose it is. Raises `NoServer`."""
    if not url.startswith("https://"):
        raise NoServer("the Hub would ask slurm-token without TLS (custom.slurm.tokenUrl)")
    try:
        tls = ssl.create_default_context(cafile=ca)
    except (OSError, ssl.SSLError):
        raise NoServer("the Hub has no certificate for slurm-token (hub.extraFiles.slurm-token-ca)") from None
    headers = {"Authorization": f"Bearer {hub_token}"}
    asked = urllib.request.Request(url, method="POST", headers=headers)  # noqa: S310 - https, above
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=tls), _NoRedirect
    )
    try:
        with opener.open(asked, timeout=SECONDS) as reply:
            return _account(json.loads(reply.read(MOST)))
    except urllib.error.HTTPError as refused:
        with refused:
            raise NoServer(f"slurm-token refused: {_sentence(refused)}") from None
    except NO_ANSWER:
        raise NoServer(
            "slurm-token does not answer the Hub: try again, or ask the cluster's people"
        ) from None


def _account(answer: Any) -> Account:
    made = Account(str(answer["user"]), int(answer["uid"]), int(answer["gid"]))
    if not NAME.match(made.name) or made.uid < 1 or made.gid < 1:
        raise NoServer("slurm-token's answer names no ordinary account")
    return made


def _sentence(refused: urllib.error.HTTPError) -> str:
    try:
        told = str(json.loads(refused.read(MOST))["error"])
    except NO_ANSWER:
        return f"status {refused.code}"
    return "".join(one if one.isprintable() else "_" for one in told)[:200]


async def pre_spawn(spawner: Any, slurm: dict[str, Any], ca: str = CA) -> None:
    """JupyterHub's `pre_spawn_hook`: makes the spawner's pod the user's. Raises `NoServer`."""
    name = spawner.user.name
    told = {key: str(slurm.get(key) or "") for key in ("tokenUrl", "controller", "homes")}
    for key, value in told.items():
        if not value:
            raise NoServer(f"the Hub was not told custom.slurm.{key}")
    url, controller, homes = told.values()
    # In a thread: slurm-token asks this very Hub whose the token is.
    found = await asyncio.to_thread(account_of, url, spawner.api_token, ca)
    if found.name != name:
        raise NoServer("slurm-token answered for another user: no server is started")
    home = f"/home/{name}"
    spawner.uid, spawner.gid = found.uid, found.gid
    spawner.environment = {
        **spawner.environment,
        "SLURM_USER": f"{name}:{found.uid}:{found.gid}", "SLURM_CONTROLLER": controller,
        "SLURM_TOKEN_URL": url, "SLURM_TOKEN_CA": "/run/slurm-token/ca/ca.crt", "HOME": home,
    }  # fmt: skip
    claim = {"name": "home", "persistentVolumeClaim": {"claimName": homes}}
    spawner.volumes = _with(spawner.volumes, "home", claim)
    mount = {"name": "home", "mountPath": home, "subPath": name}
    spawner.volume_mounts = _with(spawner.volume_mounts, "home", mount)


def _with(found: Any, key: str, one: dict[str, Any]) -> Any:
    """A list or a mapping of volumes, as KubeSpawner takes both, with one more."""
    return {**found, key: one} if isinstance(found, dict) else [*found, one]


def configure(config: Any, slurm: dict[str, Any], authenticator: str) -> None:
    """Sets the hook. Ends the Hub where anybody could be anyone."""
    if authenticator in ("", "dummy", "jupyterhub.auth.DummyAuthenticator"):
        message = "error: hub.config.JupyterHub.authenticator_class lets everybody in under every name\n"
        raise SystemExit(f"{message}hint: name one whose users are the Slurm cluster's")

    async def hook(spawner: Any) -> None:
        from tornado.web import HTTPError  # the Hub has it; of such an error it logs one line

        try:
            await pre_spawn(spawner, slurm)
        except NoServer as problem:
            refused = HTTPError(503, "%s", str(problem))
            refused.jupyterhub_message = str(problem)  # what its page shows
            raise refused from None

    config.Spawner.pre_spawn_hook = hook


if "get_config" in globals():  # zero-to-jupyterhub runs this file within its own configuration
    _get = globals()["get_config"]
    configure(globals()["c"], _get("custom.slurm", {}), _get("hub.config.JupyterHub.authenticator_class", ""))
