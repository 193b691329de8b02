"""MUNGE without its library: munged's socket messages, and credentials made from the key; pure.

Sources in munge: src/libcommon/m_msg.c (socket), src/munged/enc.c and cred.c (credential format 3).
"""

from __future__ import annotations

from binascii import b2a_base64

from lab.slurm.record import dataclass
from lab.slurm.wire import Reader, WireError, pack

MAGIC = 0x00606D4B
HEAD = 11
"""Bytes of a socket message's header: magic, version, type, retry, length."""

ENCODE, ENCODED, DECODE, DECODED = 2, 3, 4, 5
BODY_LIMIT = 1 << 20
ANYONE = 0xFFFFFFFF
MAC_SHA256 = 5
MAX_CLOCK_SKEW_TTL = 300


class MungeRefusal(Exception):
    """munged answered with an error."""


@dataclass(frozen=True)
class Decoded:
    """What munged says about a credential that it accepted."""

    uid: int
    gid: int
    payload: bytes


def encode_request(payload: bytes) -> bytes:
    """Asks munged for a credential with its defaults, readable by anyone who has the key."""
    body = bytes((1, 1, 1, 0)) + pack(4, 0) + pack(4, ANYONE) * 2 + pack(4, len(payload)) + payload
    return _message(ENCODE, body)


def decode_request(credential: bytes) -> bytes:
    """Asks munged to check a credential."""
    return _message(DECODE, pack(4, len(credential) + 1) + credential + b"\0")


def _message(kind: int, body: bytes) -> bytes:
    return pack(4, MAGIC) + bytes((4, kind, 0)) + pack(4, len(body)) + body


def body_length(head: bytes, kind: int) -> int:
    """How long the answer's body is, from its first 11 bytes."""
    reader = Reader(head)
    for width, wanted, what in ((4, MAGIC, "munge's mark"), (1, 4, "version 4"), (1, kind, f"type {kind}")):
        if reader.integer(width, what) != wanted:
            raise WireError(reader.offset - 4 - width, what, "something else")
    reader.raw(1, "a retry count")
    length = reader.integer(4, "a body length")
    if length > BODY_LIMIT:
        raise WireError(7, f"a body of at most {BODY_LIMIT} bytes", f"{length}")
    return length


def _accepted(reader: Reader) -> None:
    code = reader.integer(1, "a status")
    text = reader.raw(reader.integer(1, "the length of an error"), "an error")
    if code:
        words = text.rstrip(b"\0").decode("utf-8", "replace")
        raise MungeRefusal(f"{words or 'no words'} (munge error {code})")


def encoded(body: bytes) -> bytes:
    """The credential in munged's answer."""
    reader = Reader(body)
    _accepted(reader)
    credential = reader.raw(reader.integer(4, "a length"), "a credential").rstrip(b"\0\n")
    if not credential.startswith(b"MUNGE:"):
        raise WireError(0, "a credential that starts with MUNGE:", "something else")
    return credential


def decoded(body: bytes) -> Decoded:
    """Who made a credential, and its payload, in munged's answer."""
    reader = Reader(body)
    _accepted(reader)
    reader.raw(3, "cipher, MAC and compression")
    reader.raw(reader.integer(1, "a length"), "a realm")
    reader.raw(4, "a lifetime")
    reader.raw(reader.integer(1, "a length"), "an address")
    reader.raw(8, "two times")
    uid, gid = reader.integer(4, "a uid"), reader.integer(4, "a gid")
    reader.raw(8, "restrictions")
    return Decoded(uid, gid, reader.raw(reader.integer(4, "a length"), "a payload"))


@dataclass(frozen=True)
class Identity:
    """Who a credential made from the key speaks for, and when."""

    uid: int
    gid: int
    now: int
    salt: bytes
    """Eight random bytes: munged refuses the same credential twice."""
    address: bytes = bytes((127, 0, 0, 1))


def forge(key: bytes, payload: bytes, identity: Identity) -> bytes:
    """A credential made with the key instead of munged: HMAC-SHA256, neither encrypted nor compressed."""
    import hashlib
    import hmac

    outer = bytes((3, 0, MAC_SHA256, 0, 0))
    inner = identity.salt + bytes((len(identity.address),)) + identity.address
    for number in (
        identity.now,
        MAX_CLOCK_SKEW_TTL,
        identity.uid,
        identity.gid,
        ANYONE,
        ANYONE,
        len(payload),
    ):
        inner += pack(4, number & ANYONE)
    inner += payload
    # MUNGE derives its MAC key so (src/munged/conf.c, create_subkeys); SHA-1's weakness does not matter here.
    mac_key = hashlib.sha1(key + b"2").digest()  # noqa: S324
    mac = hmac.new(mac_key, outer + inner, hashlib.sha256).digest()
    return b"MUNGE:" + b2a_base64(outer + mac + inner, newline=False) + b":"
