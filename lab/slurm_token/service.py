"""One request from its arrival to its answer: who asks, how often, what the audit log says."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Optional

from lab.slurm_token.accounts import Accounts
from lab.slurm_token.audit import Audit
from lab.slurm_token.callers import Caller, Verifier, bearer, local_caller, peer_uid
from lab.slurm_token.errors import Refused, TokenError
from lab.slurm_token.http import Request, answer, read_request
from lab.slurm_token.issue import Issued, issue
from lab.slurm_token.keys import KeyFolder
from lab.slurm_token.rate import Limit

REQUEST_SECONDS = 5.0
LOCAL = "/v1/token"
HEALTH = "/v1/health"


@dataclass(frozen=True)
class Rules:
    """What the service was told at its start."""

    keys: KeyFolder
    accounts: Accounts
    lifespan: int
    verifiers: Mapping[str, Verifier]  # by the last part of the path
    audit: Audit
    sources: Limit = field(default_factory=lambda: Limit(60, 1.0))  # by address, before anybody is asked
    callers: Limit = field(default_factory=lambda: Limit(10, 6.0))  # by who it turned out to be


class _TooOften(Refused):
    """Too many requests; `wait` is in seconds."""

    def __init__(self, wait: float) -> None:
        super().__init__(429, "too-often", "too many requests; ask again later")
        self.wait = wait


def source_of(connection: socket.socket) -> str:
    """Whose connection it is, before it has said anything: an account number here, or an address."""
    if connection.family == socket.AF_UNIX:
        return f"uid {peer_uid(connection)}"
    host = str(connection.getpeername()[0])
    return f"net {host}" if ":" not in host else f"net {_network(host)}"


def _network(host: str) -> str:
    """The first 64 bits of an IPv6 address: all of one machine's are in there."""
    packed = socket.inet_pton(socket.AF_INET6, host.partition("%")[0])
    if packed[:12] == b"\0" * 10 + b"\xff\xff":  # an IPv4 address written as IPv6
        return host
    return packed[:8].hex()


def serve(connection: socket.socket, rules: Rules) -> None:
    """Answers one connection; whatever it sends, the caller gets a sentence and the log a line."""
    source, caller = source_of(connection), None
    try:
        try:
            request = read_request(connection, REQUEST_SECONDS)
            if (request.method, request.path) == ("GET", HEALTH):
                rules.keys.private(rules.keys.read().signing)
                answer(connection, 200, {"ready": True})
                return
            caller = _identify(connection, request, source, rules)
            _take(rules.callers, f"{caller.how} {caller.name}")
            uid, gid = rules.accounts.numbers(caller.account)
            issued = issue(rules.keys, caller.account, rules.lifespan)
            _tell(rules, source, caller, issued)
        except TokenError as problem:
            raise Refused(503, "cannot", "the service cannot sign tokens now; its log says why") from problem
        told = {"token": issued.token, "user": issued.user, "expires": issued.expires, "uid": uid, "gid": gid}
        answer(connection, 200, told)
    except Refused as refused:
        _refuse(connection, rules, source, caller, refused)
    except OSError:
        return  # the caller has gone


def _identify(connection: socket.socket, request: Request, source: str, rules: Rules) -> Caller:
    _take(rules.sources, source)
    local = connection.family == socket.AF_UNIX
    verifier = None if local else rules.verifiers.get(request.path.rpartition("/")[2])
    known = request.path == LOCAL if local else request.path.rpartition("/")[0] == LOCAL and verifier
    if not known:
        raise Refused(404, "path", "there is nothing at this path")
    if request.method != "POST":
        raise Refused(405, "method", "a token is asked for with POST")
    if verifier is None:
        return local_caller(peer_uid(connection), rules.accounts)
    return verifier.caller(bearer(request.headers))


def _take(limit: Limit, caller: str) -> None:
    wait = limit.take(caller)
    if wait:
        raise _TooOften(wait)


def _tell(rules: Rules, source: str, caller: Caller, issued: Issued) -> None:
    """Before the answer: a token that no line tells of is not handed out."""
    rules.audit.write(
        "issued", source=source, how=caller.how, caller=caller.name, account=caller.account,
        expires=issued.expires, key=issued.kid, id=issued.number,
    )  # fmt: skip


def _refuse(
    connection: socket.socket, rules: Rules, source: str, caller: Optional[Caller], refused: Refused
) -> None:
    told = {"how": caller.how, "caller": caller.name} if caller else {}
    cause = refused.__cause__
    if isinstance(cause, TokenError):
        told["cause"] = cause.message
    with contextlib.suppress(TokenError):
        rules.audit.write("refused", source=source, status=refused.status, reason=refused.reason, **told)
    retry = refused.wait if isinstance(refused, _TooOften) else None
    with contextlib.suppress(OSError):
        answer(connection, refused.status, {"error": refused.sentence, "reason": refused.reason}, retry)
        _drain(connection)


def _drain(connection: socket.socket) -> None:
    """Reads a little of what is still coming: closing at once would take the answer back (RFC 9112, 9.6)."""
    connection.shutdown(socket.SHUT_WR)
    connection.settimeout(0.2)
    for _ in range(32):
        if not connection.recv(65536):
            return
