"""Credentials: a token, munge through munged or from its key, auth/slurm from its key.

Each makes a new auth section for every request. Secrets stay in `Secret`.
"""

from __future__ import annotations

import os
import time

from lab.siphon import errors
from lab.siphon.auth import jwt
from lab.siphon.auth.jwt import TokenError, parse_object, read_claims
from lab.siphon.errors import SiphonError
from lab.siphon.protocol import messages
from lab.siphon.protocol.messages import Auth, Secret
from lab.siphon.protocol.versions import Version

MUNGE_SOCKET = "/run/munge/munge.socket.2"
SLURM_KEY = "/etc/slurm/slurm.key"
KEY_LIMIT = 1 << 16
LIFETIME = 120
"""Seconds that an auth/slurm token from siphon is valid; tokens from Slurm are valid for 60 to 300."""

ANY_READER = 0xFFFFFFFF

BODY_HASHES = {
    # Body in hex: its KangarooTwelve hash, customised with the message type. No other bodies exist.
    "00000000": "cd8bdd62df681c56ad59c4eefd6188374799f35692d50c4a25c01d489f1a2505",
    "00000001": "fb94bf659aba27ad7b1c7c87340ded52162f6a553ecc681e4df89f3434273503",
    "000000000000": "1a53795f79d2112114a47c778fc7cb276bf0d2ce62e1e748598f238ca3b68728",
    "000000010000": "d372ab4ef89090ab43b1f3f6b6ed921220443d789cc136b78fe50701a48e5727",
}


def hash_payload(version: Version, flags: int) -> bytes:
    """The payload that binds a credential to the request, as `auth_g_create` in Slurm makes it."""
    if not version.hashed:
        # 20.11.9 and 21.08.8 require exactly this: the message type in host byte order, little-endian on x86.
        return b"\x01" + messages.REQUEST_CONFIG.to_bytes(2, "little")
    return b"\x02" + bytes.fromhex(BODY_HASHES[messages.request_body(version, flags).hex()])


class Credentials:
    """The interface of every authentication method."""

    name = ""

    def section(self, version: Version, flags: int, timeout: float) -> Auth:
        """A new auth section for one request. `timeout`, in seconds, limits the time for munged."""
        raise NotImplementedError

    def describe(self) -> str:
        """The user that the credential is for, as far as this machine can know it."""
        raise NotImplementedError


class Jwt(Credentials):
    """A token from `scontrol token`."""

    name = "jwt"

    def __init__(self, token: Secret) -> None:
        self._token = token
        try:
            self.claims = read_claims(token.reveal())
        except TokenError as error:
            raise SiphonError(
                errors.AUTH,
                "the token is not a JSON web token",
                evidence=str(error),
                hint="get one where Slurm's commands work: scontrol token lifespan=600",
            ) from None

    def check(self, now: float) -> None:
        """Raises `SiphonError` if the token has expired."""
        expires = self.claims.expires
        if expires is not None and expires <= now:
            raise SiphonError(
                errors.AUTH,
                f"the token expired {_ago(now - expires)} ago; nothing was sent",
                evidence=f"it is for {self._user()}, and this machine's clock shows {_clock(now)} UTC",
                hint="get a new one where Slurm's commands work: scontrol token lifespan=600",
            )

    def section(self, version: Version, flags: int, timeout: float) -> Auth:  # noqa: D102 - see above
        del version, flags, timeout  # a token is not bound to a request
        self.check(time.time())
        return Auth(messages.AUTH_JWT, self._token)

    def describe(self) -> str:  # noqa: D102 - see above
        expires = self.claims.expires
        end = "without expiry" if expires is None else f"until {_clock(expires)} UTC"
        return f"a token for {self._user()}, {end}"

    def _user(self) -> str:
        user = self.claims.user
        return "an unnamed user" if user is None else f"user {errors.printable(user)}"


class MungeSocket(Credentials):
    """munge through the munged of this machine, for the uid of this process."""

    name = "munge"

    def __init__(self, path: str) -> None:
        self.path = path

    def section(self, version: Version, flags: int, timeout: float) -> Auth:  # noqa: D102 - see above
        from lab.siphon.auth import munged

        credential = munged.encode(self.path, hash_payload(version, flags), timeout)
        return Auth(messages.AUTH_MUNGE, Secret(credential))

    def describe(self) -> str:  # noqa: D102 - see above
        return f"munged at {self.path}, for uid {os.geteuid()}"


class MungeKey(Credentials):
    """munge from its key, without munged."""

    name = "munge"

    def __init__(self, key: Secret) -> None:
        self._key = key

    def section(self, version: Version, flags: int, timeout: float) -> Auth:  # noqa: D102 - see above
        from lab.siphon.protocol import munge

        del timeout
        identity = munge.Identity(os.geteuid(), os.getegid(), int(time.time()), os.urandom(8))
        credential = munge.forge(self._key.reveal(), hash_payload(version, flags), identity)
        return Auth(messages.AUTH_MUNGE, Secret(credential))

    def describe(self) -> str:  # noqa: D102 - see above
        return f"a munge key, for uid {os.geteuid()}"


class SlurmKey(Credentials):
    """auth/slurm from its key (23.11 on)."""

    name = "slurm"

    def __init__(self, key: Secret, kid: str | None = None) -> None:
        self._key = key
        self._kid = kid

    def section(self, version: Version, flags: int, timeout: float) -> Auth:  # noqa: D102 - see above
        del timeout
        claims = slurm_claims(hash_payload(version, flags), os.geteuid(), os.getegid(), int(time.time()))
        return Auth(messages.AUTH_SLURM, Secret(jwt.sign_hs256(self._key.reveal(), claims, self._kid)))

    def describe(self) -> str:  # noqa: D102 - see above
        return f"a slurm key, for uid {os.geteuid()}"


def slurm_claims(payload: bytes, uid: int, gid: int, now: int) -> dict[str, object]:
    """The claims of an auth/slurm token (src/plugins/auth/slurm/internal.c)."""
    from base64 import b64encode

    return {
        "iat": now,
        "exp": now + LIFETIME,
        "ver": messages.REQUEST_CONFIG,
        "ruid": ANY_READER,
        "context": "auth",
        "uid": uid,
        "gid": gid,
        "host": "siphon",
        "payload": b64encode(payload).decode(),
    }


def token(environment: str | None, path: str | None) -> Secret:
    """The token from a file or else from SLURM_JWT, bare or as `scontrol token` prints it."""
    if path is not None:
        text = _read(path, "token file")
    elif environment:
        text = environment.encode("utf-8", "surrogateescape")
    else:
        raise SiphonError(
            errors.CREDENTIAL,
            "no token: SLURM_JWT is not set",
            hint="export $(scontrol token lifespan=600), or --token-file FILE, or --auth munge",
        )
    text = text.strip()
    return Secret(text.removeprefix(b"SLURM_JWT="))


def munge_key(path: str) -> MungeKey:
    """Credentials from a munge key file."""
    key = _read(path, "munge key")
    if len(key) < 32:
        raise SiphonError(
            errors.CREDENTIAL, f"{path} is not a munge key", evidence=f"{len(key)} bytes; munge requires 32"
        )
    return MungeKey(Secret(key))


def slurm_key(path: str) -> SlurmKey:
    """Credentials from a slurm.key file, or from the first `oct` key of a slurm.jwks file."""
    text = _read(path, "slurm key")
    if not text:
        raise SiphonError(errors.CREDENTIAL, f"{path} is empty")
    if not text.lstrip().startswith(b'{"') and not path.endswith(".jwks"):
        return SlurmKey(Secret(text))
    try:
        return _from_jwks(parse_object(text))
    except TokenError:
        raise SiphonError(
            errors.CREDENTIAL,
            f"{path} has no key that can sign",
            evidence='a key with "kty": "oct" is required',
        ) from None


def _from_jwks(found: dict[str, object]) -> SlurmKey:
    keys = found.get("keys")
    for key in keys if isinstance(keys, list) else []:
        if isinstance(key, dict) and key.get("kty") == "oct" and isinstance(key.get("k"), str):
            kid = key.get("kid")
            return SlurmKey(
                Secret(jwt.decode_base64(key["k"].encode())), kid if isinstance(kid, str) else None
            )
    raise TokenError("no oct key")


def _read(path: str, what: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(KEY_LIMIT)
    except OSError as error:
        hint = (
            "run siphon as a user who may read it" if isinstance(error, PermissionError) else f"ls -l {path}"
        )
        raise SiphonError(
            errors.CREDENTIAL, f"cannot read the {what}", evidence=f"{path}: {error.strerror}", hint=hint
        ) from None


def _clock(moment: float) -> str:
    try:
        return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(moment))
    except (ValueError, OverflowError, OSError):
        return "a time out of range"


def _ago(seconds: float) -> str:
    for size, unit in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size:
            count = int(seconds // size)
            return f"{count} {unit}{'s' if count > 1 else ''}"
    return f"{max(seconds, 0):.0f} s"
