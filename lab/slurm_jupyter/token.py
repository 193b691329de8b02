"""Reads the user's token and says in one sentence what is wrong with it; never shows it."""

from __future__ import annotations

import base64
import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

MOST = 16384
RENEW = "renew it"


@dataclass(frozen=True)
class Token:
    """The text for SLURM_JWT, or why there is none; `repr` leaves the text out."""

    text: str = field(default="", repr=False)
    trouble: str = ""


def read(path: Path, user: str, now: float | None = None) -> Token:
    """The token in a file, if it can be the user's and has not ended."""
    try:
        with path.open("rb") as file:
            text = file.read(MOST).decode("ascii").strip().removeprefix("SLURM_JWT=")
    except FileNotFoundError:
        return Token(trouble=f"there is no Slurm token at {path}: {RENEW}")
    except (OSError, ValueError) as problem:
        return Token(trouble=f"the Slurm token at {path} cannot be read ({problem})")
    claims = _claims(text)
    if claims is None:
        return Token(trouble=f"{path} holds no Slurm token: {RENEW}")
    whose = claims.get("sun", claims.get("username"))
    if whose != user:
        shown = whose if isinstance(whose, str) and whose.isprintable() else "somebody else"
        return Token(trouble=f"the Slurm token is {shown[:40]}'s, and this notebook is {user}'s")
    ends = claims.get("exp")
    if isinstance(ends, int | float) and ends < (time.time() if now is None else now):
        stamp = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(min(ends, 2**40)))
        return Token(trouble=f"your Slurm token expired at {stamp} UTC: {RENEW}")
    return Token(text)


def _claims(text: str) -> dict[str, Any] | None:
    """What the token says of itself; only Slurm verifies it."""
    try:
        body = text.split(".")[1]
        found = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    except (ValueError, IndexError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
