"""The little of HTTP/1.1 (RFC 9112) that the service speaks: one bounded request a connection."""

from __future__ import annotations

import json
import re
import socket
import time
from dataclasses import dataclass, field
from typing import Optional

from lab.slurm_token.errors import Refused

MOST = 8192
"""Bytes of a request; a service account's token takes 1,200 of them."""
CHUNK = 2048
REASONS = {
    200: "OK", 400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found",
    405: "Method Not Allowed", 408: "Request Timeout", 413: "Content Too Large", 429: "Too Many Requests",
    503: "Service Unavailable",
}  # fmt: skip
_LINE = re.compile(r"([A-Z]{1,16}) (/[!-~]{0,255}) HTTP/1\.[01]\Z")
_HEADER = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([ -~\t]*?)[ \t]*\Z")
_ONCE = ("authorization", "content-length", "transfer-encoding", "host")


@dataclass(frozen=True)
class Request:
    """A request without a body; `repr` leaves out the headers, which hold a token."""

    method: str
    path: str
    headers: dict[str, str] = field(repr=False)  # by small names


def read_request(connection: socket.socket, seconds: float) -> Request:
    """Reads a request within so many seconds in all. Raises `Refused`; OSError when the caller has gone."""
    end, data = time.monotonic() + seconds, b""
    while b"\r\n\r\n" not in data:
        if len(data) > MOST:
            raise Refused(413, "too-large", f"a request has at most {MOST} bytes")
        left = end - time.monotonic()
        if left <= 0:
            raise Refused(408, "slow", f"the request did not arrive within {seconds:g} s")
        connection.settimeout(left)
        try:
            piece = connection.recv(CHUNK)
        except socket.timeout:  # TimeoutError from Python 3.10 on
            continue
        if not piece:
            raise ConnectionResetError("the caller ended within its request")
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    request = parse(head)
    length = request.headers.get("content-length", "0")
    if body or length != "0" or "transfer-encoding" in request.headers:
        raise Refused(413, "body", "a request has no body: the account is the caller's own")
    return request


def parse(head: bytes) -> Request:
    """The request in these lines. Raises `Refused` for what is not HTTP or can be read in two ways."""
    try:
        first, *lines = head.decode("ascii").split("\r\n")
    except UnicodeDecodeError:
        raise _malformed() from None
    found = _LINE.match(first)
    if found is None:
        raise _malformed()
    headers: dict[str, str] = {}
    for line in lines:
        pair = _HEADER.match(line)
        if pair is None:
            raise _malformed()
        name = pair.group(1).lower()
        if name in headers and name in _ONCE:
            raise _malformed()
        headers[name] = pair.group(2)
    return Request(found.group(1), found.group(2), headers)


def _malformed() -> Refused:
    return Refused(400, "malformed", "this is not a request of HTTP/1.1")


def answer(connection: socket.socket, status: int, content: object, retry: Optional[float] = None) -> None:
    """Sends an answer in JSON that nobody keeps."""
    body = json.dumps(content).encode("ascii") + b"\n"
    lines = [
        f"HTTP/1.1 {status} {REASONS[status]}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        "Cache-Control: no-store",
        "Connection: close",
        *([f"Retry-After: {int(retry) + 1}"] if retry else []),
    ]
    connection.settimeout(5)
    connection.sendall("\r\n".join([*lines, "", ""]).encode("ascii") + body)
