"""Slurm's primitives: integers, strings and frames, encoded and decoded.

All integers are unsigned and big-endian, and nothing is aligned (src/common/pack.c).
"""

from __future__ import annotations

FRAME_LIMIT = 0x40000000
"""Slurm refuses a message above 1 GiB (MAX_MSG_SIZE in src/common/slurm_protocol_socket.c)."""

HEAD = 4
"""Bytes of the length field in front of each frame."""

NO_LIST = 0xFFFFFFFE
"""The count of an absent list (NO_VAL)."""


class WireError(ValueError):
    """The bytes are not a valid message. `offset` counts from the first byte of the frame."""

    def __init__(self, offset: int, wanted: str, found: str) -> None:
        super().__init__(f"byte {offset}: expected {wanted}, found {found}")
        self.offset = offset
        self.wanted = wanted
        self.found = found


def pack(width: int, value: int) -> bytes:
    """Encodes an integer of `width` bytes."""
    return value.to_bytes(width, "big")


def pack_string(text: bytes | None) -> bytes:
    """Encodes a string. None encodes an absent string, which differs from an empty one."""
    if text is None:
        return pack(4, 0)
    if b"\0" in text:
        raise ValueError("a string on the wire cannot contain NUL")
    return pack(4, len(text) + 1) + text + b"\0"


def pack_frame(payload: bytes) -> bytes:
    """Encodes a message with its length in front."""
    if len(payload) > FRAME_LIMIT:
        raise ValueError("a frame has at most 1 GiB")
    return pack(HEAD, len(payload)) + payload


def frame_length(head: bytes) -> int:
    """Decodes a payload's length, in bytes, from the first four bytes of its frame."""
    length = int.from_bytes(head[:HEAD], "big")
    if len(head) < HEAD:
        raise WireError(len(head), "the length of a frame", "the end")
    if length > FRAME_LIMIT:
        raise WireError(0, "a length of at most 1 GiB", f"{length}")
    return length


class Reader:
    """Decodes values from the front of one frame's payload. Each method raises `WireError` on bad bytes."""

    __slots__ = ("_data", "_position")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0

    @property
    def offset(self) -> int:
        """Position of the next byte, counted from the first byte of the frame."""
        return HEAD + self._position

    @property
    def left(self) -> int:
        """Number of unread bytes."""
        return len(self._data) - self._position

    def integer(self, width: int, what: str) -> int:
        """An integer of `width` bytes."""
        return int.from_bytes(self.raw(width, what), "big")

    def boolean(self, what: str) -> bool:
        """One byte. Every value but 0 is true, as in Slurm."""
        return self.integer(1, what) != 0

    def raw(self, length: int, what: str) -> bytes:
        """The next `length` bytes, undecoded."""
        if length > self.left:
            raise WireError(self.offset, f"{length} bytes of {what}", f"{self.left}")
        start = self._position
        self._position = start + length
        return self._data[start : self._position]

    def string(self, what: str) -> bytes | None:
        """A string without its final NUL, or None if it is absent."""
        at = self.offset
        length = self.integer(4, f"the length of {what}")
        if not length:
            return None
        if length > self.left:
            raise WireError(at, f"a length of {what} within the {self.left} bytes left", f"{length}")
        start = self._position
        last = start + length - 1
        nul = self._data.find(b"\0", start, last + 1)
        if nul != last:
            where = HEAD + (last if nul < 0 else nul)
            found = f"{self._data[last]:#04x}" if nul < 0 else "a NUL inside"
            raise WireError(where, f"{what} to end with its only NUL", found)
        self._position = last + 1
        return self._data[start:last]

    def end(self, what: str) -> None:
        """Checks that no bytes are left."""
        if self.left:
            raise WireError(self.offset, f"the end of {what}", f"{self.left} more bytes")
