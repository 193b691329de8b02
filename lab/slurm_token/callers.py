"""Who asks: a process of this machine, a user of a Hub, a service account of Kubernetes."""

from __future__ import annotations

import json
import re
import socket
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from lab.slurm_token.accounts import Accounts
from lab.slurm_token.errors import Refused, TokenError, printable
from lab.slurm_token.upstream import Service

_BEARER = re.compile(r"(?:Bearer|bearer|token) ([A-Za-z0-9._~+/=-]{8,4096})\Z")
_SERVICE_ACCOUNT = re.compile(r"system:serviceaccount:([a-z0-9-]{1,63}):([a-z0-9.-]{1,253})\Z")
AUDIENCE = "slurm-token"


@dataclass(frozen=True)
class Caller:
    """An identified caller: how it was identified, its name there, and its account on the cluster."""

    how: str
    name: str
    account: str


class Verifier(Protocol):
    """Finds out whose token a caller brought."""

    def caller(self, token: str) -> Caller:
        """The caller. Raises `Refused`."""


def peer_uid(connection: socket.socket) -> int:
    """The account number of the process at the other end, as the kernel knows it (unix(7), SO_PEERCRED)."""
    packed = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    uid: int = struct.unpack("iII", packed)[1]
    return uid


def local_caller(uid: int, accounts: Accounts) -> Caller:
    """A process of this machine."""
    return Caller("unix", str(uid), accounts.of_uid(uid))


def bearer(headers: dict[str, str]) -> str:
    """The token in a request's header. Raises `Refused`."""
    found = _BEARER.match(headers.get("authorization", ""))
    if found is None:
        raise Refused(401, "no-token", "the request has no usable Authorization header")
    return found.group(1)


class Hub:
    """A user of a JupyterHub, by a token of the user's server (Hub's REST API: GET /user)."""

    def __init__(self, service: Service, accounts: Accounts) -> None:
        self._service, self._accounts = service, accounts

    def caller(self, token: str) -> Caller:
        """Asks the Hub whose token it is; tokens of services, and those that open no server, do not count."""
        status, user = self._service.ask("GET", "/user", {"Authorization": f"token {token}"})
        if status in (401, 403, 404):
            raise Refused(401, "hub-refused", "the Hub does not know this token, or it has expired")
        name = user.get("name") if isinstance(user, dict) and user.get("kind") == "user" else None
        if status != 200 or not isinstance(name, str):
            raise Refused(503, "hub-answer", "the Hub's answer names no user")
        # A service that a user signed in to has a token of the user's, too, and so has another user's server
        # that was visited; neither opens a server of the user's own.
        if not any(_opens_own(scope, name) for scope in _list(user.get("scopes"))):
            raise Refused(403, "hub-scope", "this token of the Hub opens no server of its user's own")
        return Caller("hub", printable(name), self._accounts.of_name(name))


def _opens_own(scope: object, name: str) -> bool:
    """Whether a scope lets into the user's own servers (JupyterHub's documentation of scopes)."""
    if not isinstance(scope, str):
        return False
    return scope in ("access:servers", f"access:servers!user={name}") or scope.startswith(
        f"access:servers!server={name}/"
    )


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


class Kubernetes:
    """A service account of Kubernetes, by a token for our audience (TokenReview of its API)."""

    def __init__(self, service: Service, own_token: Path, table: Path, accounts: Accounts) -> None:
        self._service, self._own_token, self._table = service, own_token, table
        self._accounts = accounts

    def caller(self, token: str) -> Caller:
        """Asks the API whose token it is, and the table whose account that service account has."""
        name = self._review(token)
        account = self._read_table().get(name)
        if account is None:
            raise Refused(403, "no-account", "this service account has no account on the cluster")
        return Caller("kubernetes", name, self._accounts.of_name(account))

    def _review(self, token: str) -> str:
        review = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenReview",
            "spec": {"token": token, "audiences": [AUDIENCE]},
        }
        headers = {"Authorization": f"Bearer {self._read_own()}", "Content-Type": "application/json"}
        body = json.dumps(review).encode("ascii")
        path = "/apis/authentication.k8s.io/v1/tokenreviews"
        status, answer = self._service.ask("POST", path, headers, body)
        found = answer.get("status") if isinstance(answer, dict) else None
        if status not in (200, 201) or not isinstance(found, dict):
            raise Refused(503, "kubernetes-answer", "the Kubernetes API reviews no tokens")
        if found.get("authenticated") is not True or AUDIENCE not in _list(found.get("audiences")):
            raise Refused(401, "kubernetes-refused", f"the token is not for the audience {AUDIENCE}")
        user = found.get("user")
        name = user.get("username") if isinstance(user, dict) else None
        account = _SERVICE_ACCOUNT.match(name) if isinstance(name, str) else None
        if account is None:
            raise Refused(403, "kubernetes-user", "only service accounts get a token")
        return f"{account.group(1)}:{account.group(2)}"

    def _read_own(self) -> str:
        """This service's own token: read anew, since Kubernetes replaces it every hour."""
        try:
            return self._own_token.read_text(encoding="ascii").strip()
        except (OSError, ValueError):
            raise TokenError(
                f"{self._own_token} cannot be read: it is to hold this service's token"
            ) from None

    def _read_table(self) -> dict[str, str]:
        """`{"NAMESPACE:NAME": "ACCOUNT"}`, read anew: a change counts at once."""
        try:
            table = json.loads(self._table.read_bytes())
        except (OSError, ValueError) as problem:
            raise TokenError(f"{self._table} cannot be read: {problem}") from None
        if not isinstance(table, dict) or not all(isinstance(one, str) for one in table.values()):
            raise TokenError(f"{self._table} is no table of accounts", hint='{"NAMESPACE:NAME": "ACCOUNT"}')
        return table
