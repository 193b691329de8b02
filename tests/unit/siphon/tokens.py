"""Tokens as Slurm makes them, with a signature that nobody checks."""

from __future__ import annotations

import base64
import json
import time

from lab.siphon.protocol.messages import Secret


def token(user: str = "alice", expires: float | None = None) -> Secret:
    claims = {"exp": time.time() + 600 if expires is None else expires, "sun": user}
    body = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=")
    return Secret(b"eyJhbGciOiJIUzI1NiJ9." + body + b".c2lnbmF0dXJlLXNlY3JldA")


def made_token(body: bytes) -> bytes:
    return b"aGVhZA." + base64.urlsafe_b64encode(body).rstrip(b"=") + b".c2lnbg"


TOKEN = token().reveal().decode()
