"""Credentials: a token as it is, munge by munged or by key, auth/slurm by key; standard library only.

Each gives an auth section for one version and set, fresh for each try. Secrets stay in `Secret`.
"""

from __future__ import annotations

import os
import time

from lab.slurm import failure, messages
from lab.slurm.claims import TokenError, parse_object, read_claims
from lab.slurm.failure import SiphonError
from lab.slurm.messages import Auth
from lab.slurm.record import Secret
from lab.slurm.versions import Version

MUNGE_SOCKET = "/run/munge/munge.socket.2"
MUNGE_KEY = "/etc/munge/munge.key"
SLURM_KEY = "/etc/slurm/slurm.key"
KEY_LIMIT = 1 << 16
LIFETIME = 120
"""Seconds an auth/slurm token of ours lives; Slurm's own live 60 to 300."""

ANY_READER = 0xFFFFFFFF

BODY_HASHES = {
    # Body in hex: KangarooTwelve of it, customised with the message type. All four that exist.
    "00000000": "cd8bdd62df681c56ad59c4eefd6188374799f35692d50c4a25c01d489f1a2505",
    "00000001": "fb94bf659aba27ad7b1c7c87340ded52162f6a553ecc681e4df89f3434273503",
    "000000000000": "1a53795f79d2112114a47c778fc7cb276bf0d2ce62e1e748598f238ca3b68728",
    "000000010000": "d372ab4ef89090ab43b1f3f6b6ed921220443d789cc136b78fe50701a48e5727",
}


def hash_payload(version: Version, flags: int) -> bytes:
    """What binds a credential to the request (`slurm_get_hash_plugin_id` and auth_g_create in Slurm)."""
    if not version.hashed:
        # 20.11.9 and 21.08.8 compare exactly this: the type in the byte order of their machine.
        return b"\x01" + messages.REQUEST_CONFIG.to_bytes(2, "little")
    return b"\x02" + bytes.fromhex(BODY_HASHES[messages.request_body(version, flags).hex()])


class Credentials:
    """What every way to authenticate can do."""

    name = ""

    def section(self, version: Version, flags: int, timeout: float) -> Auth:
        """An auth section for one request."""
        raise NotImplementedError

    def describe(self) -> str:
        """Who this speaks for, as far as it can be known here."""
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
                failure.AUTH,
                "the token is no JSON web token",
                evidence=str(error),
                hint="get one where Slurm's commands work: scontrol token lifespan=600",
            ) from None

    def check(self, now: float) -> None:
        """Refuses to send what has expired."""
        expires = self.claims.expires
        if expires is not None and expires <= now:
            raise SiphonError(
                failure.AUTH,
                f"the token expired {_ago(now - expires)} ago; nothing was sent",
                evidence=f"it is for {self._user()} and this machine's clock says {_clock(now)} UTC",
                hint="get a new one where Slurm's commands work: scontrol token lifespan=600",
            )

    def section(self, version: Version, flags: int, timeout: float) -> Auth:  # noqa: D102 - see above
        del version, flags, timeout  # a token is bound to nothing
        self.check(time.time())
        return Auth(messages.AUTH_JWT, self._token)

    def describe(self) -> str:  # noqa: D102 - see above
        expires = self.claims.expires
        end = "without an end" if expires is None else f"until {_clock(expires)} UTC"
        return f"a token for {self._user()}, {end}"

    def _user(self) -> str:
        user = self.claims.user
        return "a user it does not name" if user is None else f"user {failure.printable(user)}"


class MungeSocket(Credentials):
    """munge by the munged of this machine: it vouches for the uid of this process."""

    name = "munge"

    def __init__(self, path: str) -> None:
        self.path = path

    def section(self, version: Version, flags: int, timeout: float) -> Auth:  # noqa: D102 - see above
        from lab.slurm import munged

        credential = munged.encode(self.path, hash_payload(version, flags), timeout)
        return Auth(messages.AUTH_MUNGE, Secret(credential))

    def describe(self) -> str:  # noqa: D102 - see above
        return f"munged at {self.path}, for uid {os.geteuid()}"


class MungeKey(Credentials):
    """munge by its key: no munged needed."""

    name = "munge"

    def __init__(self, key: Secret) -> None:
        self._key = key

    def section(self, version: Version, flags: int, timeout: float) -> Auth:  # noqa: D102 - see above
        from lab.slurm import munge

        del timeout
        identity = munge.Identity(os.geteuid(), os.getegid(), int(time.time()), os.urandom(8))
        credential = munge.forge(self._key.reveal(), hash_payload(version, flags), identity)
        return Auth(messages.AUTH_MUNGE, Secret(credential))

    def describe(self) -> str:  # noqa: D102 - see above
        return f"a munge key, for uid {os.geteuid()}"


class SlurmKey(Credentials):
    """auth/slurm by its key (23.11 on)."""

    name = "slurm"

    def __init__(self, key: Secret, kid: str | None = None) -> None:
        self._key = key
        self._kid = kid

    def section(self, version: Version, flags: int, timeout: float) -> Auth:  # noqa: D102 - see above
        del timeout
        claims = slurm_claims(hash_payload(version, flags), os.geteuid(), os.getegid(), int(time.time()))
        return Auth(messages.AUTH_SLURM, Secret(sign_hs256(self._key.reveal(), claims, self._kid)))

    def describe(self) -> str:  # noqa: D102 - see above
        return f"a slurm key, for uid {os.geteuid()}"


def slurm_claims(payload: bytes, uid: int, gid: int, now: int) -> str:
    """The claims of an auth/slurm token (src/plugins/auth/slurm/internal.c), as JSON."""
    from binascii import b2a_base64

    bound = b2a_base64(payload, newline=False).decode()
    return (
        f'{{"iat":{now},"exp":{now + LIFETIME},"ver":{messages.REQUEST_CONFIG},"ruid":{ANY_READER},'
        f'"context":"auth","uid":{uid},"gid":{gid},"host":"siphon","payload":"{bound}"}}'
    )


def sign_hs256(key: bytes, claims: str, kid: str | None = None) -> bytes:
    """A JSON web token over claims that are JSON already."""
    import hashlib
    import hmac

    head = '{"alg":"HS256","typ":"JWT"' + (f',"kid":{_json_string(kid)}' if kid is not None else "") + "}"
    signed = _url64(head.encode()) + b"." + _url64(claims.encode())
    return signed + b"." + _url64(hmac.new(key, signed, hashlib.sha256).digest())


def _json_string(text: str) -> str:
    import json

    return json.dumps(text)


def _url64(data: bytes) -> bytes:
    from binascii import b2a_base64

    return b2a_base64(data, newline=False).translate(bytes.maketrans(b"+/", b"-_")).rstrip(b"=")


def token(environment: str | None, path: str | None) -> Secret:
    """The token of a file, or of SLURM_JWT; as `scontrol token` prints it, or bare."""
    if path is not None:
        text = _read(path, "token file")
    elif environment:
        text = environment.encode("utf-8", "surrogateescape")
    else:
        raise SiphonError(
            failure.CREDENTIAL,
            "no token: SLURM_JWT is not set",
            hint="export $(scontrol token lifespan=600), or --token-file FILE, or --auth munge",
        )
    text = text.strip()
    return Secret(text.removeprefix(b"SLURM_JWT="))


def munge_key(path: str) -> MungeKey:
    """Credentials by a munge key file."""
    key = _read(path, "munge key")
    if len(key) < 32:
        raise SiphonError(
            failure.CREDENTIAL, f"{path} is no munge key", evidence=f"{len(key)} bytes; munge asks for 32"
        )
    return MungeKey(Secret(key))


def slurm_key(path: str) -> SlurmKey:
    """Credentials by a slurm.key file, or by the first `oct` key of a slurm.jwks."""
    text = _read(path, "slurm key")
    if not text:
        raise SiphonError(failure.CREDENTIAL, f"{path} is empty")
    if not text.lstrip().startswith(b'{"') and not path.endswith(".jwks"):
        return SlurmKey(Secret(text))
    try:
        return _from_jwks(parse_object(text))
    except TokenError:
        raise SiphonError(
            failure.CREDENTIAL, f"{path} holds no key that we can sign with", evidence='wanted: "kty": "oct"'
        ) from None


def _from_jwks(found: dict[str, object]) -> SlurmKey:
    from binascii import Error, a2b_base64

    keys = found.get("keys")
    for key in keys if isinstance(keys, list) else []:
        if isinstance(key, dict) and key.get("kty") == "oct" and isinstance(key.get("k"), str):
            secret = key["k"].encode().translate(bytes.maketrans(b"-_", b"+/"))
            kid = key.get("kid")
            try:
                raw = a2b_base64(secret + b"=" * (-len(secret) % 4))
            except Error:
                raise TokenError("no base64") from None
            return SlurmKey(Secret(raw), kid if isinstance(kid, str) else None)
    raise TokenError("no oct key")


def _read(path: str, what: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(KEY_LIMIT)
    except OSError as error:
        hint = "run as a user who may read it" if isinstance(error, PermissionError) else f"ls -l {path}"
        raise SiphonError(
            failure.CREDENTIAL, f"cannot read the {what}", evidence=f"{path}: {error.strerror}", hint=hint
        ) from None


def _clock(moment: float) -> str:
    try:
        return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(moment))
    except (ValueError, OverflowError, OSError):
        return "a time beyond the calendar"


def _ago(seconds: float) -> str:
    for size, unit in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size:
            count = int(seconds // size)
            return f"{count} {unit}{'s' if count > 1 else ''}"
    return f"{max(seconds, 0):.0f} s"
