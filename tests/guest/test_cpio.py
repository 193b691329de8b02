"""The cpio writer, against other programs' readers."""

from __future__ import annotations

import io
import shutil
import stat
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.guest.archive import cpio

REG = stat.S_IFREG | 0o644


@pytest.mark.skipif(not shutil.which("cpio"), reason="no cpio here")
def test_cpio_lists_what_we_wrote(tmp_path: Path) -> None:
    archive = b"".join(
        (
            cpio.member(cpio.Entry(b"dir", stat.S_IFDIR | 0o755)),
            cpio.member(cpio.Entry(b"dir/file", REG, 3, mtime=1_600_000_000, inode=1), b"abc"),
            cpio.member(cpio.Entry(b"link", stat.S_IFLNK | 0o777, 8), b"dir/file"),
            cpio.TRAILER,
        )
    )
    subprocess.run(["cpio", "-idm", "--quiet"], input=archive, cwd=tmp_path, check=True)
    assert (tmp_path / "link").read_bytes() == b"abc"
    assert (tmp_path / "link").readlink() == Path("dir/file")
    assert (tmp_path / "dir/file").stat().st_mtime == 1_600_000_000


names = st.binary(min_size=1, max_size=40).filter(lambda name: b"\0" not in name and name != b"TRAILER!!!")


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(names, st.binary(max_size=100), max_size=6))
def test_reading_gives_back_what_was_written(files: dict[bytes, bytes]) -> None:
    parts = [cpio.member(cpio.Entry(name, REG, len(data)), data) for name, data in files.items()]
    archive = b"".join((*parts, cpio.TRAILER))
    assert len(archive) % 4 == 0
    assert cpio.read(archive) == files


def test_a_digest_leaves_one_file_out_and_sees_every_other_byte() -> None:
    def digest(**files: bytes) -> str:
        parts = [cpio.member(cpio.Entry(n.encode(), REG, len(data)), data) for n, data in files.items()]
        return cpio.digest(io.BytesIO(b"".join((*parts, cpio.TRAILER))), without=b"stamp")

    assert digest(a=b"abc", stamp=b"one", z=b"") == digest(a=b"abc", stamp=b"another", z=b"")
    assert digest(a=b"abc", stamp=b"one") == digest(a=b"abc")
    assert digest(a=b"abc") != digest(a=b"abd")
    assert digest(a=b"abc") != digest(b=b"abc")


@pytest.mark.parametrize("keep", [0, 50, 112, 116, 118, 200])
def test_a_torn_archive_has_no_digest(keep: int) -> None:
    archive = cpio.member(cpio.Entry(b"name", REG, 4), b"data") + cpio.TRAILER
    with pytest.raises(ValueError, match="a cpio archive"):
        cpio.digest(io.BytesIO(archive[:keep]), without=b"name")
    with pytest.raises(ValueError, match="ends too early"):
        cpio.digest(io.BytesIO(archive.replace(b"%08x" % 4, b"-0000005")), without=b"name")


@pytest.mark.parametrize("keep", [0, 50, 112, 116, 118])
def test_a_torn_archive_is_an_error(keep: int) -> None:
    archive = cpio.member(cpio.Entry(b"name", REG, 4), b"data") + cpio.TRAILER
    with pytest.raises(ValueError, match="not a cpio archive"):
        cpio.read(archive[:keep])


def test_what_the_format_cannot_hold_is_refused() -> None:
    with pytest.raises(cpio.TooLargeError, match="/name is too large for an image: it has 4294967296 bytes"):
        cpio.header(cpio.Entry(b"name", REG, 1 << 32))


@pytest.mark.parametrize(
    ("mtime", "kept"), [(-5, 0), (7, 7), (1 << 32, cpio.LARGEST), (1 << 40, cpio.LARGEST)]
)
def test_far_dates_become_the_nearest_that_the_format_holds(mtime: int, kept: int) -> None:
    head = cpio.header(cpio.Entry(b"name", REG, mtime=mtime))
    assert int(head[46:54], 16) == kept
