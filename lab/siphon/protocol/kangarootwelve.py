"""KangarooTwelve (RFC 9861): the hash that a controller's munge credential contains in protocol 22.05.

Requests do not need it: `lab.siphon.auth.credentials` has a table of their four possible hashes. This pure
Python code hashes one to two megabytes a second.
"""

from __future__ import annotations

CHUNK = 8192
RATE = 168
MASK = (1 << 64) - 1

ROUND_CONSTANTS = (
    0x000000008000808B,
    0x800000000000008B,
    0x8000000000008089,
    0x8000000000008003,
    0x8000000000008002,
    0x8000000000000080,
    0x000000000000800A,
    0x800000008000000A,
    0x8000000080008081,
    0x8000000000008080,
    0x0000000080000001,
    0x8000000080008008,
)
"""The last twelve round constants of Keccak-f[1600]."""

ROTATIONS = (0, 1, 62, 28, 27, 36, 44, 6, 55, 20, 3, 10, 43, 25, 39, 41, 45, 15, 21, 8, 18, 2, 61, 56, 14)
"""Rho: the left rotation of lane x + 5y, in bits."""

MOVES = tuple(
    (x + 5 * y, y + 5 * ((2 * x + 3 * y) % 5), ROTATIONS[x + 5 * y]) for x in range(5) for y in range(5)
)
"""Pi after rho: source lane, target lane and rotation."""

CHI = tuple((y + x, y + (x + 1) % 5, y + (x + 2) % 5) for y in range(0, 25, 5) for x in range(5))


def kangaroo_twelve(message: bytes, customisation: bytes = b"", length: int = 32) -> bytes:
    """The first `length` bytes of the K12 output for a message."""
    data = message + customisation + _length_encode(len(customisation))
    if len(data) <= CHUNK:
        return _turbo_shake(data, 0x07, length)
    leaves = [_turbo_shake(data[start : start + CHUNK], 0x0B, 32) for start in range(CHUNK, len(data), CHUNK)]
    node = data[:CHUNK] + b"\x03" + bytes(7) + b"".join(leaves) + _length_encode(len(leaves)) + b"\xff\xff"
    return _turbo_shake(node, 0x06, length)


def _length_encode(number: int) -> bytes:
    """The integer without leading zero bytes, then the number of bytes (`length_encode` in the RFC)."""
    digits = number.to_bytes((number.bit_length() + 7) // 8, "big")
    return digits + bytes((len(digits),))


def _turbo_shake(data: bytes, domain: int, length: int) -> bytes:
    """TurboSHAKE128 of the RFC, section 2.2."""
    padded = bytearray(data)
    padded.append(domain)
    padded.extend(bytes(-len(padded) % RATE))
    padded[-1] ^= 0x80
    state = [0] * 25
    for start in range(0, len(padded), RATE):
        for lane in range(RATE // 8):
            at = start + 8 * lane
            state[lane] ^= int.from_bytes(padded[at : at + 8], "little")
        state = _permute(state)
    out = bytearray()
    while len(out) < length:
        if out:
            state = _permute(state)
        for lane in range(RATE // 8):
            out += state[lane].to_bytes(8, "little")
    return bytes(out[:length])


def _permute(lanes: list[int]) -> list[int]:
    """Keccak-p[1600, 12]."""
    a = lanes
    b = [0] * 25
    for constant in ROUND_CONSTANTS:
        c = [a[x] ^ a[x + 5] ^ a[x + 10] ^ a[x + 15] ^ a[x + 20] for x in range(5)]
        d = [c[x - 1] ^ (((c[x - 4] << 1) & MASK) | (c[x - 4] >> 63)) for x in range(5)]
        for source, target, turn in MOVES:
            lane = a[source] ^ d[source % 5]
            b[target] = ((lane << turn) & MASK) | (lane >> (64 - turn))
        a = [b[x] ^ (~b[y] & b[z]) for x, y, z in CHI]
        a[0] ^= constant
    return a
