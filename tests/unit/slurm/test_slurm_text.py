"""Versions, host lists and KangarooTwelve: what is only text and numbers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.slurm import hostlist, versions
from lab.slurm.k12 import kangaroo_twelve


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


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("c1", ("c1",)),
        ("c[1-3]", ("c1", "c2", "c3")),
        ("c[08-11]", ("c08", "c09", "c10", "c11")),
        ("c[1,3-4]-ib,login", ("c1-ib", "c3-ib", "c4-ib", "login")),
        ("r[1-2]n[1-2]", ("r1n1", "r1n2", "r2n1", "r2n2")),
    ],
)
def test_host_lists_expand_in_order(text: str, names: tuple[str, ...]) -> None:
    assert hostlist.expand(text) == names
    assert hostlist.expand(hostlist.collapse(names)) == names


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a,,b",
        "c[1",
        "c]1",
        "c[[1]]",
        "c[]",
        "c[2-1]",
        "c[a-b]",
        "c[²]",
        "c[1-99999999]",
        "c[1-9999999999]",
    ],
)
def test_what_is_no_host_list_is_refused(text: str) -> None:
    with pytest.raises(hostlist.HostlistError):
        hostlist.expand(text)


@pytest.mark.parametrize(
    ("names", "text"),
    [
        (["c1", "c2", "c3", "c5", "g1"], "c[1-3,5],g1"),
        (["c9", "c10"], "c[9-10]"),
        (["c09", "c10", "c1"], "c[09-10,1]"),
        (["c1", "c01"], "c1,c01"),
        (["a", "a"], "a,a"),
        ([], ""),
    ],
)
def test_names_collapse(names: list[str], text: str) -> None:
    assert hostlist.collapse(names) == text


@given(st.lists(st.from_regex(r"\A[a-c]{1,2}[0-9]{0,3}\Z"), min_size=1, max_size=12))
def test_collapsed_names_expand_to_themselves(names: list[str]) -> None:
    assert hostlist.expand(hostlist.collapse(names)) == tuple(names)


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
