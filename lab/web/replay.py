"""Keeps the end of what a terminal showed, so that a browser that comes back sees it again.

The beginning that is left out had set modes (the other screen, a hidden cursor, a colour). They are kept, and
set again in front. Where the kept part begins, no character and no escape sequence is cut in two.
"""

from __future__ import annotations

import re

KEPT = 256 << 10  # bytes; some thousand lines
SLACK = 64 << 10  # bytes above that before the beginning goes: not for every letter
REACH = 4096  # bytes in which a safe place is looked for
_MODE = re.compile(rb"\x1b\[\?([0-9;]{1,40})([hl])")
_LOOK = re.compile(rb"\x1b\[[0-9;:]{0,60}m")
_SAFE = re.compile(rb"(?<=\n)|(?=\x1b)")


class Replay:
    """The last bytes of one terminal."""

    def __init__(self, kept: int = KEPT, slack: int = SLACK) -> None:
        self._kept = kept
        self._slack = slack
        self._data = bytearray()
        self._modes: dict[bytes, bytes] = {}
        self._look = b""

    def add(self, data: bytes) -> None:
        """Adds what the terminal has just shown."""
        self._data += data
        if len(self._data) > self._kept + self._slack:
            self._forget(_safe_place(self._data, len(self._data) - self._kept))

    def content(self) -> bytes:
        """All that a fresh terminal must be sent to look like this one."""
        modes = b"".join(b"\x1b[?" + mode + letter for mode, letter in self._modes.items())
        return modes + self._look + bytes(self._data)

    def _forget(self, end: int) -> None:
        gone = bytes(self._data[:end])
        del self._data[:end]
        for match in _MODE.finditer(gone):
            for mode in match[1].split(b";"):
                self._modes.pop(mode, None)  # the order in which modes were set last counts
                self._modes[mode] = match[2]
        if looks := _LOOK.findall(gone):
            self._look = looks[-1]


def _safe_place(data: bytearray, wanted: int) -> int:
    """The first place from `wanted` on where a line or an escape sequence begins, else a character."""
    match = _SAFE.search(data, wanted, min(len(data), wanted + REACH))
    if match and match.start() < len(data):
        return match.start()
    place = wanted
    while place < len(data) and data[place] & 0xC0 == 0x80:
        place += 1
    return place
