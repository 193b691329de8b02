"""A service that listens; a Hub and a Kubernetes API by their documented formats; all on loopback."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import pwd
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from lab.slurm_token.accounts import Accounts
from lab.slurm_token.audit import Audit
from lab.slurm_token.callers import Hub, Kubernetes, Verifier
from lab.slurm_token.keys import KeyFolder
from lab.slurm_token.listen import Door, tcp_socket, unix_socket
from lab.slurm_token.rate import Limit
from lab.slurm_token.service import Rules, serve
from lab.slurm_token.upstream import Service

UIDS = {"root": 0, "toor": 0, "daemon2": 999, "slurm": 64030, "nobody": 65534, "alice": 2001, "bob": 2002}
SERVICE_UID = 2099  # the account that slurm-token itself runs as


def entry(name: str) -> pwd.struct_passwd:
    return pwd.struct_passwd((name, "x", UIDS[name], UIDS[name], "", f"/home/{name}", "/bin/sh"))


def by_uid(uid: int) -> pwd.struct_passwd:
    """The process of these tests is alice's."""
    return entry("alice" if uid == os.getuid() else next(n for n, number in UIDS.items() if number == uid))


ACCOUNTS = Accounts(own_uid=SERVICE_UID, by_name=entry, by_uid=by_uid)

SCOPES = ["access:servers!server={0}/", "read:users:name!user={0}", "users:activity!user={0}"]


def hub_user(name: str, **changed: object) -> dict[str, object]:
    """What a Hub says of a user (its REST API, GET /user)."""
    model: dict[str, object] = {
        "kind": "user", "name": name, "admin": False, "groups": [], "session_id": None,
        "scopes": [scope.format(name) for scope in SCOPES],
    }  # fmt: skip
    return {**model, **changed}


HUB_TOKENS: dict[str, object] = {
    "hub-token-of-alice": hub_user("alice"),
    "hub-token-of-bob": hub_user("bob"),
    "hub-token-of-root": hub_user("root"),
    "hub-token-of-toor": hub_user("toor"),
    "hub-token-of-slurm": hub_user("slurm"),
    "hub-token-of-nobody": hub_user("nobody"),
    "hub-token-of-daemon2": hub_user("daemon2"),
    "hub-token-of-a-stranger": hub_user("stranger"),
    "hub-token-of-a-path": hub_user("../../root"),
    "hub-token-of-a-line": hub_user('alice"\n{"event": "issued"}'),
    "hub-token-of-a-service": {"kind": "service", "name": "alice", "scopes": ["access:servers"]},
    "hub-token-of-an-app": hub_user("alice", scopes=["access:services!service=survey", "read:users:name"]),
    "hub-token-of-a-visited-server": hub_user(
        "alice",
        scopes=["access:servers!server=bob/", "access:servers!user=alice2", "access:servers!server=alice2/"],
    ),
    "hub-token-of-alices-own": hub_user("alice", scopes=["access:servers!user=alice"]),
    "hub-token-without-scopes": hub_user("alice", scopes=None),
    "hub-token-of-a-number": {**hub_user("alice"), "name": 7},
    "hub-token-of-a-list": ["alice"],
}
OWN_TOKEN = "own-token-of-the-service"
ACCOUNT = "system:serviceaccount:{}"


def review(name: str, **changed: object) -> dict[str, object]:
    """A TokenReview's status (authentication.k8s.io/v1)."""
    user = {"username": name, "uid": "014fbff9", "groups": ["system:serviceaccounts"]}
    return {"authenticated": True, "user": user, "audiences": ["slurm-token"], **changed}


POD_TOKENS: dict[str, object] = {
    "pod-token-of-alice": review(ACCOUNT.format("notebooks:alice")),
    "pod-token-of-root": review(ACCOUNT.format("notebooks:root")),
    "pod-token-of-nobody-known": review(ACCOUNT.format("notebooks:mallory")),
    "pod-token-for-another": review(ACCOUNT.format("notebooks:alice"), audiences=["vault"]),
    "pod-token-without-audience": review(ACCOUNT.format("notebooks:alice"), audiences=None),
    "pod-token-refused-twice": review(ACCOUNT.format("notebooks:alice"), authenticated="true"),
    "pod-token-of-a-person": review("alice"),
    "pod-token-of-two": review(ACCOUNT.format("notebooks:alice:bob")),
    "pod-token-without-user": {"authenticated": True, "audiences": ["slurm-token"]},
}
TABLE = {"notebooks:alice": "alice", "notebooks:root": "root"}


class _Api(BaseHTTPRequestHandler):
    """Both APIs: a Hub below /hub/api, Kubernetes below /apis."""

    def do_GET(self) -> None:
        word, _, token = self.headers.get("Authorization", "").partition(" ")
        if self.path == "/hub/api/user" and word == "token" and token == "hub-token-of-a-flood":
            self._flood()
        elif self.path == "/hub/api/user" and word == "token" and token in HUB_TOKENS:
            self._json(200, HUB_TOKENS[token])
        else:
            self._json(403, {"status": 403, "message": "Forbidden"})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.headers.get("Authorization") != f"Bearer {OWN_TOKEN}":
            self._json(401, {"kind": "Status", "status": "Failure", "reason": "Unauthorized", "code": 401})
            return
        assert self.path == "/apis/authentication.k8s.io/v1/tokenreviews"
        assert (body["apiVersion"], body["kind"]) == ("authentication.k8s.io/v1", "TokenReview")
        assert body["spec"]["audiences"] == ["slurm-token"]
        refused = {"authenticated": False, "error": "invalid bearer token"}
        self._json(201, {**body, "status": POD_TOKENS.get(body["spec"]["token"], refused)})

    def _json(self, status: int, content: object) -> None:
        data = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _flood(self) -> None:
        self.send_response(200)
        self.end_headers()
        try:
            for _ in range(1000):
                self.wfile.write(b" " * 65536)
        except OSError:
            return

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        pass


@contextmanager
def apis() -> Iterator[int]:
    """The Hub and Kubernetes; yields their port."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Api)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@dataclass(frozen=True)
class Running:
    """A service that runs: where it listens, and what its log says."""

    path: Path
    port: int
    keys: KeyFolder
    log: Path

    def unix(self) -> socket.socket:
        made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        made.settimeout(20)
        made.connect(str(self.path))
        return made

    def tcp(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=20)

    def ask(self, kind: str, token: str = "", *, path: str = "", extra: str = "") -> Reply:
        """Asks as `unix`, or with a token as `hub` or `kubernetes`."""
        target = path or ("/v1/token" if kind == "unix" else f"/v1/token/{kind}")
        authorization = f"Authorization: Bearer {token}\r\n" if token else ""
        head = f"POST {target} HTTP/1.1\r\nHost: x\r\n{authorization}{extra}\r\n"
        return self.send(head.encode("latin-1"), local=kind == "unix")

    def send(self, data: bytes, *, local: bool = True) -> Reply:
        with self.unix() if local else self.tcp() as connection:
            with suppress(OSError):  # it may answer before it has read all
                connection.sendall(data)
            return received(connection)

    def audit(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.read_text().splitlines()]


@dataclass(frozen=True)
class Reply:
    """An answer of the service."""

    status: int
    headers: str
    content: dict[str, Any]


def received(connection: socket.socket) -> Reply:
    data = b""
    try:
        while piece := connection.recv(65536):
            data += piece
    except ConnectionResetError:
        pass
    if not data:
        return Reply(0, "", {})
    head, _, body = data.decode().partition("\r\n\r\n")
    return Reply(int(head.split()[1]), head, json.loads(body))


@contextmanager
def running(
    folder: Path,
    keys: KeyFolder,
    api: int,
    *,
    callers: Limit | None = None,
    tls: ssl.SSLContext | None = None,
) -> Iterator[Running]:
    """The service, on a Unix socket and on loopback."""
    own, table, log = folder / "own-token", folder / "accounts.json", folder / "audit"
    own.write_text(OWN_TOKEN + "\n")
    table.write_text(json.dumps(TABLE))
    hub = Hub(Service(f"http://127.0.0.1:{api}/hub/api", "the Hub", plain=True), ACCOUNTS)
    service = Service(f"http://127.0.0.1:{api}", "the Kubernetes API", plain=True)
    verifiers: dict[str, Verifier] = {"hub": hub, "kubernetes": Kubernetes(service, own, table, ACCOUNTS)}
    limit = callers or Limit(1000, 1.0)
    rules = Rules(keys, ACCOUNTS, 600, verifiers, Audit(str(log)), Limit(1000, 1.0), limit)
    path = folder / "socket"
    sockets = [unix_socket(path, 0o666), tcp_socket("127.0.0.1", 0)]
    door = Door(sockets, partial(serve, rules=rules), tls)
    thread = threading.Thread(target=door.run)
    thread.start()
    try:
        yield Running(path, sockets[1].getsockname()[1], keys, log)
    finally:
        door.stop()
        thread.join()
        for one in sockets:
            one.close()


def claims(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and claims of a token, unverified."""
    header, body, _ = token.split(".")
    return json.loads(_unpacked(header)), json.loads(_unpacked(body))


def verified(token: str, jwks: Path) -> bool:
    """Whether one of the public keys in the file signed the token, by RFC 8017's 8.2.2."""
    text, _, signature = token.rpartition(".")
    kid = claims(token)[0]["kid"]
    for key in json.loads(jwks.read_text())["keys"]:
        if key["kid"] == kid:
            n, e = (int.from_bytes(_unpacked(key[one]), "big") for one in ("n", "e"))
            return pow(int.from_bytes(_unpacked(signature), "big"), e, n) == _padded(text, n)
    return False


def _unpacked(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _padded(text: str, n: int) -> int:
    prefix = bytes.fromhex("3031300d060960864801650304020105000420")
    tail = b"\0" + prefix + hashlib.sha256(text.encode()).digest()
    size = (n.bit_length() + 7) // 8
    return int.from_bytes(b"\0\1" + b"\xff" * (size - 2 - len(tail)) + tail, "big")
