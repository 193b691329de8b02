"""The folder of signing keys: several are valid at once, one signs; slurmctld reads the public halves.

Slurm's src/plugins/auth/jwt/auth_jwt.c: of HS256 it knows one key; of RS256 every key in the file that
jwks= names, found by the token's `kid`. slurmctld reads the file when it starts, which `scontrol reconfigure`
makes it do again from Slurm 23.11 on; slurmdbd only when it is restarted.
"""

from __future__ import annotations

import base64
import fcntl
import json
import os
import re
import secrets
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from lab.slurm_token import openssl
from lab.slurm_token.errors import TokenError

JWKS = "jwks.json"
STATE = "state.json"
LOCK = "lock"
KID = re.compile(r"[0-9]{8}-[0-9a-f]{8}\Z")
LONGEST = 3600
"""Seconds that a token may live at most; so long an old key is needed after it signed its last one."""


@dataclass(frozen=True)
class Key:
    """One key: its name, when it was made, and when another took its place (0: it signs, or never did)."""

    kid: str
    made: int
    retired: int = 0


@dataclass(frozen=True)
class Keys:
    """All keys of a folder, oldest first, and the name of the one that signs."""

    keys: tuple[Key, ...]
    signing: str

    def key(self, kid: str) -> Key:
        """The key of that name."""
        for key in self.keys:
            if key.kid == kid:
                return key
        known = ", ".join(key.kid for key in self.keys)
        raise TokenError(f"there is no key {kid}", hint=f"there are: {known}")


class KeyFolder:
    """The keys on disk. The service reads them at each request, so a rotation does not restart it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def make(self) -> None:
        """Makes the folder with a first key, which signs; an existing one is left as it is."""
        self.path.mkdir(mode=0o711, parents=True, exist_ok=True)  # slurmctld reads jwks.json in it
        if not (self.path / STATE).exists():
            with self._locked():
                if not (self.path / STATE).exists():
                    key = self._new()
                    self._write(Keys((key,), key.kid))

    def read(self) -> Keys:
        """The keys. Raises `TokenError` if the folder holds none, or others may read a private key."""
        try:
            found = json.loads((self.path / STATE).read_text(encoding="ascii"))
            keys = Keys(tuple(Key(**one) for one in found["keys"]), found["signing"])
        except FileNotFoundError:
            hint = f"slurm-token key add --keys {self.path}"
            raise TokenError(f"there are no keys in {self.path}", hint=hint) from None
        except (OSError, ValueError, KeyError, TypeError) as problem:
            raise TokenError(f"{self.path / STATE} cannot be read: {problem}") from None
        if not all(KID.match(key.kid) for key in keys.keys) or keys.signing not in [k.kid for k in keys.keys]:
            raise TokenError(f"{self.path / STATE} does not name its keys")
        return keys

    def private(self, kid: str) -> Path:
        """The private key of that name; refused if others than its owner may read it."""
        path = self.path / f"{kid}.pem"
        try:
            mode = path.stat().st_mode
        except OSError as problem:
            raise TokenError(f"{path} cannot be read: {problem.strerror}") from None
        if mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise TokenError(f"others may read the private key {path}", hint=f"chmod 600 {path}")
        return path

    def add(self) -> Key:
        """Makes a key that is valid and does not sign yet; the first one of a new folder signs."""
        if not (self.path / STATE).exists():
            self.make()
            return self.read().keys[0]
        with self._locked():
            keys, key = self.read(), self._new()
            self._write(replace(keys, keys=(*keys.keys, key)))
        return key

    def use(self, kid: str) -> None:
        """Lets a key sign from now on; the one before stays valid."""
        with self._locked():
            keys = self.read()
            keys.key(kid)
            if kid == keys.signing:
                return
            now = int(time.time())
            renewed = tuple(
                replace(key, retired=now) if key.kid == keys.signing
                else replace(key, retired=0) if key.kid == kid else key
                for key in keys.keys
            )  # fmt: skip
            self._write(Keys(renewed, kid))

    def drop(self, kid: str, *, force: bool = False) -> None:
        """Removes a key; without `force`, only when no token that it signed can be alive."""
        with self._locked():
            keys = self.read()
            key = keys.key(kid)
            if kid == keys.signing:
                raise TokenError(f"{kid} is the key that signs", hint="slurm-token key use another one first")
            left = key.retired + LONGEST - int(time.time()) if key.retired else 0
            if left > 0 and not force:
                raise TokenError(
                    f"tokens that {kid} signed may live for {left} s more",
                    hint="wait, or for a key that was stolen: --force",
                )
            self._write(replace(keys, keys=tuple(one for one in keys.keys if one.kid != kid)))
            (self.path / f"{kid}.pem").unlink(missing_ok=True)

    def _new(self) -> Key:
        now = int(time.time())
        kid = f"{time.strftime('%Y%m%d', time.gmtime(now))}-{secrets.token_hex(4)}"
        openssl.make_key(self.path / f"{kid}.pem")
        return Key(kid, now)

    def _write(self, keys: Keys) -> None:
        """The public halves first, so that nothing signs with a key that slurmctld could not be told of."""
        public = [_jwk(key.kid, self.private(key.kid)) for key in keys.keys]
        self._replace(JWKS, {"keys": public}, 0o644)
        state = {"keys": [asdict(key) for key in keys.keys], "signing": keys.signing}
        self._replace(STATE, state, 0o600)

    def _replace(self, name: str, content: object, mode: int) -> None:
        new = self.path / f".{name}.new"
        new.write_text(json.dumps(content, indent=1) + "\n", encoding="ascii")
        new.chmod(mode)
        new.replace(self.path / name)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        try:
            fd = os.open(self.path / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as problem:
            raise TokenError(f"{self.path} cannot be written: {problem.strerror}") from None
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            yield
        finally:
            os.close(fd)


def base64url(data: bytes) -> str:
    """Base64 as in tokens: of URLs, without filling (RFC 7515, 2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def _jwk(kid: str, private: Path) -> dict[str, str]:
    """A public key as auth_jwt.c (_build_jwks_keys) reads it: alg, kid, n, e."""
    numbers = (openssl.modulus(private), openssl.EXPONENT)
    n, e = (base64url(number.to_bytes((number.bit_length() + 7) // 8, "big")) for number in numbers)
    return {"kty": "RSA", "alg": "RS256", "use": "sig", "kid": kid, "n": n, "e": e}
