"""The table of versions."""

from __future__ import annotations

from lab.siphon.protocol import versions


def test_versions_are_found_by_either_name() -> None:
    assert [v.number >> 8 for v in versions.VERSIONS] == list(range(35, 47))
    for version in versions.VERSIONS:
        assert versions.by_number(version.number) is version
        assert versions.by_release(version.release) is version
        assert versions.by_release(f"{version.release}.7") is version
        assert versions.layout(version.number) is version
    assert versions.by_release("19.05") is None
    assert versions.by_number(0x2A01) is None


def test_a_release_after_ours_is_read_in_our_newest_layout() -> None:
    assert versions.layout(0x3000) is versions.NEWEST
    assert versions.layout(0x3001) is None
    assert versions.layout(0x2200) is None
    assert versions.release_name(0x3000) == "newer than 26.11"
    assert versions.release_name(0x2200) == "number 0x2200"
    assert versions.release_name(0x2A00) == "24.11"
