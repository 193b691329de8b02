"""KangarooTwelve against the vectors of RFC 9861."""

from __future__ import annotations

import pytest

from lab.siphon.protocol.kangarootwelve import kangaroo_twelve


def pattern(length: int) -> bytes:
    """The test pattern of RFC 9861, section 5."""
    return (bytes(range(0xFB)) * (length // 0xFB + 1))[:length]


@pytest.mark.parametrize(
    ("message", "customisation", "expected"),
    [
        (b"", b"", "1ac2d450fc3b4205d19da7bfca1b37513c0803577ac7167f06fe2ce1f0ef39e5"),
        (pattern(17), b"", "6bf75fa2239198db4772e36478f8e19b0f371205f6a9a93a273f51df37122888"),
        (pattern(17**2), b"", "0c315ebcdedbf61426de7dcf8fb725d1e74675d7f5327a5067f367b108ecb67c"),
        (pattern(17**3), b"", "cb552e2ec77d9910701d578b457ddf772c12e322e4ee7fe417f92c758f0d59d0"),
        (pattern(17**4), b"", "8701045e22205345ff4dda05555cbb5c3af1a771c2b89baef37db43d9998b9fe"),
        (b"", pattern(1), "fab658db63e94a246188bf7af69a133045f46ee984c56e3c3328caaf1aa1a583"),
        (b"\xff", pattern(41), "d848c5068ced736f4462159b9867fd4c20b808acc3d5bc48e0b06ba0a3762ec4"),
    ],
)
def test_kangaroo_twelve_gives_the_values_of_the_rfc(
    message: bytes, customisation: bytes, expected: str
) -> None:
    assert kangaroo_twelve(message, customisation).hex() == expected


def test_kangaroo_twelve_goes_on_for_as_long_as_asked() -> None:
    assert (
        kangaroo_twelve(b"", b"", 64)[32:].hex()
        == "4269c056b8c82e48276038b6d292966cc07a3d4645272e31ff38508139eb0a71"
    )
