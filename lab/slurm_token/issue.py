"""Makes a token for an account: the claims that auth/jwt reads (auth_jwt.c: auth_p_verify), and an id."""

from __future__ import annotations

import json
import secrets
import time
from dataclasses import dataclass, field

from lab.slurm_token import openssl
from lab.slurm_token.keys import LONGEST, KeyFolder, base64url

SHORTEST = 60


@dataclass(frozen=True)
class Issued:
    """A token, and what may be told of it; `repr` leaves out the token."""

    token: str = field(repr=False)
    user: str
    expires: int  # seconds since 1970
    kid: str
    number: str  # the claim jti, for the audit log; Slurm does not read it


def issue(keys: KeyFolder, user: str, lifespan: int) -> Issued:
    """Signs a token for an account that was found to be the caller's own. Raises `TokenError`."""
    lifespan = max(SHORTEST, min(lifespan, LONGEST))
    kid = keys.read().signing
    now, number = int(time.time()), secrets.token_hex(8)
    claims = {"iat": now, "exp": now + lifespan, "sun": user, "jti": number}
    header = {"alg": "RS256", "typ": "JWT", "kid": kid}
    text = ".".join(base64url(json.dumps(part).encode("ascii")) for part in (header, claims))
    signature = openssl.sign(keys.private(kid), text.encode("ascii"))
    return Issued(f"{text}.{base64url(signature)}", user, now + lifespan, kid, number)
