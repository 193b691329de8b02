"""Addresses of the page that work once, and whether the page answers."""

from __future__ import annotations

import http.client
import json
import re
import secrets

from lab.slurm_jupyter.places import CONFIGURATION, Places

CODE = re.compile(r"once-[0-9a-f]{32}\Z")
SECONDS = 8.0
MOST = 1 << 16


def new_address(places: Places) -> str:
    """Makes an address that signs one browser in; the port is the container's own."""
    host, prefix = address(places)
    if prefix:
        return f"sign in at the Hub: this is its server {prefix}"
    places.once.mkdir(mode=0o700, exist_ok=True)
    code = f"once-{secrets.token_hex(16)}"
    (places.once / code).touch(mode=0o600)
    return f"http://{host}/lab?token={code}"


def use(places: Places, code: str) -> bool:
    """Whether a code is valid; it never is again."""
    if not CODE.match(code):
        return False
    try:
        (places.once / code).unlink()
    except OSError:
        return False
    return True


def address(places: Places) -> tuple[str, str]:
    """Where the page answers in the container: HOST:PORT, and the path that a Hub gave it or ""."""
    host, slash, prefix = places.address.read_text(encoding="ascii").partition("/")
    return host, slash + prefix


def health(places: Places) -> tuple[int, str]:
    """Asks the server for the panel's own answer: 0 if it comes; and what it says of Slurm."""
    try:
        token = places.api_token.read_text(encoding="ascii")
        host, prefix = address(places)
        # A Hub's server would ask the Hub whose token it is; what everybody may ask does without the Hub.
        path = f"{prefix}/api" if prefix else "/jupyterlab_slurm/status"
        status, answer = _ask(host, path, token)
    except (OSError, ValueError, http.client.HTTPException) as problem:
        return 1, f"the page does not answer: {problem}"
    good = isinstance(answer, dict) and ("version" in answer if prefix else answer.get("success") is True)
    if status != 200 or not good:
        return 1, f"the page's {'server' if prefix else 'panel'} answers {status}"
    troubles = [places.trouble(what) for what in ("token", "configuration", "release")]
    told = [path.read_text(encoding="utf-8") for path in troubles if path.exists()]
    if not told and not (CONFIGURATION / "slurm.conf").exists():
        told = ["Slurm's configuration is not here yet"]
    return 0, f"the page answers; {'; '.join(told) or 'token and configuration are fresh'}"


def _ask(host: str, path: str, token: str) -> tuple[int, object]:
    connection = http.client.HTTPConnection(host, timeout=SECONDS)
    try:
        connection.request("GET", path, headers={"Authorization": f"token {token}"})
        reply = connection.getresponse()
        return reply.status, json.loads(reply.read(MOST))
    finally:
        connection.close()
