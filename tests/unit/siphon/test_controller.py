"""The controller of these tests."""

from __future__ import annotations

from lab.siphon.protocol import versions
from tests.unit.siphon import controller


def test_the_fake_controller_speaks_as_the_recordings() -> None:
    assert controller.error(versions.V26_05, 2010) == bytes.fromhex(
        "000000142d0000401f4100000004000000000000000007da"
    )
