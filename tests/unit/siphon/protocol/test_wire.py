"""Integers, strings and frames."""

from __future__ import annotations

import pytest

from lab.siphon.protocol import wire


def test_a_string_ends_with_its_only_nul() -> None:
    with pytest.raises(wire.WireError, match="byte 8:"):
        wire.Reader(b"\0\0\0\x01a").string("it")
    with pytest.raises(wire.WireError, match=r"byte 9: .*NUL inside"):
        wire.Reader(b"\0\0\0\x04a\0b\0").string("it")
    assert wire.Reader(b"\0\0\0\0").string("it") is None
    assert wire.Reader(b"\0\0\0\x01\0").string("it") == b""


def test_a_length_above_one_gibibyte_is_refused_at_once() -> None:
    with pytest.raises(wire.WireError, match="byte 0:"):
        wire.frame_length(b"HTTP")
    assert wire.frame_length(b"\x40\0\0\0") == 1 << 30


def test_a_length_has_four_bytes() -> None:
    assert wire.frame_length(wire.pack_frame(b"abc")) == 3
    for end in range(4):
        with pytest.raises(wire.WireError, match=f"byte {end}: "):
            wire.frame_length(b"\0\0\0\x03"[:end])
