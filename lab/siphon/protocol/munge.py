"""MUNGE without its library: messages to munged, and credentials made from the key.

Sources in munge: src/libcommon/m_msg.c (socket), src/munged/enc.c and cred.c (credential format 3).
"""

from __future__ import annotations

from base64 import b64encode

from lab.siphon.protocol.wire import Reader, WireError, pack

MAGIC = 0x00606D4B
HEAD = 11
"""Bytes in the header of a message: magic, version, type, retry count, length."""

ENCODE, ENCODED, DECODE, DECODED = 2, 3, 4, 5
BODY_LIMIT = 1 << 20
ANYONE = 0xFFFFFFFF
MAC_SHA256 = 5
MAX_CLOCK_SKEW_TTL = 300


class MungeRefusal(Exception):
    """munged reported an error."""


class Decoded:
    """The contents of a credential that munged accepted."""

    __slots__ = ("gid", "payload", "uid")

    def __init__(self, uid: int, gid: int, payload: bytes) -> None:
        self.uid = uid
        self.gid = gid
        self.payload = payload


def encode_request(payload: bytes) -> bytes:
    """Encodes a request for a credential with munged's defaults, readable by every user."""
    body = bytes((1, 1, 1, 0)) + pack(4, 0) + pack(4, ANYONE) * 2 + pack(4, len(payload)) + payload
    return _message(ENCODE, body)


def decode_request(credential: bytes) -> bytes:
    """Encodes a request to decode a credential."""
    return _message(DECODE, pack(4, len(credential) + 1) + credential + b"\0")


def _message(kind: int, body: bytes) -> bytes:
    return pack(4, MAGIC) + bytes((4, kind, 0)) + pack(4, len(body)) + body


def body_length(head: bytes, kind: int) -> int:
    """Decodes the length of an answer's body, in bytes, from its 11-byte header."""
    reader = Reader(head)
    for width, wanted, what in (
        (4, MAGIC, "munge's magic number"),
        (1, 4, "version 4"),
        (1, kind, f"type {kind}"),
    ):
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
        raise MungeRefusal(f"{words or 'no reason given'} (munge error {code})")


def encoded(body: bytes) -> bytes:
    """Decodes the credential from munged's answer. Raises `MungeRefusal` for an error."""
    reader = Reader(body)
    _accepted(reader)
    credential = reader.raw(reader.integer(4, "a length"), "a credential").rstrip(b"\0\n")
    if not credential.startswith(b"MUNGE:"):
        raise WireError(0, "a credential that starts with MUNGE:", "something else")
    return credential


def decoded(body: bytes) -> Decoded:
    """Decodes the contents of a credential from munged's answer. Raises `MungeRefusal` for an error."""
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


class Identity:
    """The user, time and address that a credential made from the key states."""

    __slots__ = ("address", "gid", "now", "salt", "uid")

    def __init__(
        self, uid: int, gid: int, now: int, salt: bytes, address: bytes = bytes((127, 0, 0, 1))
    ) -> None:
        self.uid = uid
        self.gid = gid
        self.now = now
        # Eight random bytes: munged refuses a credential that it has seen before.
        self.salt = salt
        self.address = address


def forge(key: bytes, payload: bytes, identity: Identity) -> bytes:
    """Makes a credential from the key: HMAC-SHA256, neither encrypted nor compressed."""
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
    # MUNGE derives its MAC key in this way (create_subkeys in src/munged/conf.c). The known attacks on SHA-1
    # do not apply to a secret input.
    mac_key = hashlib.sha1(key + b"2").digest()  # noqa: S324
    mac = hmac.new(mac_key, outer + inner, hashlib.sha256).digest()
    return b"MUNGE:" + b64encode(outer + mac + inner) + b":"
