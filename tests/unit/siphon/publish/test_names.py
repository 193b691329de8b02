"""Safe and unsafe file names."""

from __future__ import annotations

import pytest

from lab.siphon import errors
from lab.siphon.errors import SiphonError
from lab.siphon.protocol.messages import ConfigFile
from lab.siphon.publish.names import Wanted, safe_path, unsafe_missing, wanted_files
from tests.unit.siphon.records import values

ASTRAY = (
    b"../up.sh",
    b"/etc/passwd",
    b"a/../b",
    b"a//b",
    b"./a",
    b"a/",
    b"..",
    b".",
    b"\xff",
    b"a\nb",
    b"a\x1b[2J",
    b".siphon-manifest",
    b".siphon/current",
    b"sub/.siphon",
    b"x" * 256,
)


@pytest.mark.parametrize("name", ASTRAY)
def test_names_that_lead_astray_are_refused(name: bytes) -> None:
    with pytest.raises(SiphonError) as caught:
        wanted_files((ConfigFile(name, exists=True),))
    assert caught.value.kind is errors.UNSAFE
    assert "\n" not in caught.value.message
    assert "\x1b" not in caught.value.message
    assert wanted_files((ConfigFile(name, exists=False),)) == ()
    assert len(unsafe_missing((ConfigFile(name, exists=False),))) == 1


def test_ordinary_names_pass() -> None:
    for name in ("slurm.conf", "sub/p.sh", "prolog.d/10-gpu", "a..b", "näme", "x" * 255):
        assert safe_path(name.encode()) == name


def test_a_name_twice_is_one_file_and_keeps_its_mark() -> None:
    files = (
        ConfigFile(b"a", exists=True, execute=True, content=b"1"),
        ConfigFile(b"a", exists=True, execute=False, content=b"2"),
    )
    assert values(wanted_files(files)) == values((Wanted("a", b"2", execute=True),))


def test_a_name_as_file_and_folder_is_refused() -> None:
    with pytest.raises(SiphonError, match="as a file and a directory"):
        wanted_files((ConfigFile(b"a", exists=True), ConfigFile(b"a/b", exists=True)))
