"""The start of a kernel's file, as far as programs of ours read it."""

from __future__ import annotations

import struct

PLACE = 0x3A00
"""Where the banner lies in the file of a kernel for x86: near where real ones have it."""


def kernel_file(banner: str, *, magic: bytes = b"HdrS") -> bytes:
    """A file with magic at 0x202, which says at 0x20e where its banner lies (Linux, arch/x86/boot.rst)."""
    data = bytearray(PLACE + 512)
    data[0x202:0x206] = magic
    data[0x20E:0x210] = struct.pack("<H", PLACE - 0x200)
    data[PLACE : PLACE + len(banner)] = banner.encode()
    return bytes(data)
