"""Archives from nodes, which are untrusted: nothing is written outside the new folder, whatever they hold."""

from __future__ import annotations

import io
import os
import stat
import subprocess
import tarfile
from collections.abc import Iterable
from pathlib import Path

import pytest

from lab.nodes.archive import Archive, Damaged
from lab.nodes.room import Room
from lab.nodes.unpacking import LeftOut, fill, leads_out


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "", **more: object) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname, entry.mode = kind, link, 0o755 if kind == tarfile.DIRTYPE else 0o644
    entry.size = 2 if kind == tarfile.REGTYPE else 0
    for key, value in more.items():
        setattr(entry, key, value)
    return entry


def folder(name: str = ".") -> tarfile.TarInfo:
    return member(name, tarfile.DIRTYPE)


def packed(members: Iterable[tarfile.TarInfo]) -> bytes:
    """An archive whose files hold two letters each."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for entry in members:
            archive.addfile(entry, io.BytesIO(b"hi"))
    return buffer.getvalue()


def unpacked(data: bytes, path: Path) -> list[LeftOut]:
    archive = Archive(io.BytesIO(data))
    first = archive.next()
    assert first is not None
    return fill(archive, first, os.fsencode(path), Room(os.fsencode(path.parent)))


def tree(path: Path) -> list[str]:
    return sorted(str(found.relative_to(path)) for found in path.rglob("*"))


def test_names_that_lead_out_are_left_out(tmp_path: Path) -> None:
    place = tmp_path / "there" / "new"
    place.parent.mkdir()
    bad = ["../up", "/abs", "./a/../../up", "..", f"{tmp_path}/abs", "a/.."]
    left_out = unpacked(packed([folder(), *map(member, bad), member("./ok")]), place)
    assert [one.name for one in left_out] == bad
    assert {one.reason for one in left_out} == {"a name out of the folder"}
    assert tree(tmp_path) == ["there", "there/new", "there/new/ok"]


def test_nothing_is_written_through_a_link_even_one_of_the_archive_itself(tmp_path: Path) -> None:
    """Each of these has written outside in some unpacker before."""
    place = tmp_path / "new"
    (tmp_path / "outside").mkdir()
    left_out = unpacked(
        packed(
            [
                folder(),
                member("./out", tarfile.SYMTYPE, "../outside"),
                member("./out/file"),
                member("./deep", tarfile.DIRTYPE),
                member("./in", tarfile.SYMTYPE, "deep"),
                member("./in/file"),
                member("./deep/up", tarfile.SYMTYPE, "../.."),
                member("./deep/here", tarfile.SYMTYPE, ".."),
                member("./trick", tarfile.SYMTYPE, "deep/here/../outside"),
                member("./hard", tarfile.LNKTYPE, "../outside"),
                member("./hard2", tarfile.LNKTYPE, "/etc/passwd"),
                member("./hard3", tarfile.LNKTYPE, "./deep/here/deep"),
                member("./lifted", tarfile.LNKTYPE, "./deep/here"),
            ]
        ),
        place,
    )
    assert [one.name for one in left_out] == [
        "./out",
        "./in/file",
        "./deep/up",
        "./trick",
        "./hard",
        "./hard2",
        "./hard3",
        "./lifted",
    ]
    assert tree(tmp_path / "outside") == []
    assert tree(place) == ["deep", "deep/here", "in", "out", "out/file"]  # out is a folder of the archive's
    assert not (place / "out").is_symlink()


def test_devices_and_pipes_are_left_out_and_modes_are_harmless(tmp_path: Path) -> None:
    place = tmp_path / "new"
    kinds = [tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, b"?"]
    special = [member(f"./{number}", kind) for number, kind in enumerate(kinds)]
    bold = member("./bold", mode=0o6777)
    left_out = unpacked(
        packed([folder(), *special, bold, member("./dir", tarfile.DIRTYPE, mode=0o7070)]), place
    )
    assert [one.reason for one in left_out] == [
        "a device",
        "a device",
        "a named pipe",
        "neither a file nor a folder",
    ]
    assert tree(place) == ["bold", "dir"]
    assert stat.S_IMODE((place / "bold").stat().st_mode) == 0o755
    assert stat.S_IMODE((place / "dir").stat().st_mode) == 0o750


def test_a_name_that_comes_twice_replaces_the_first_without_following_it(tmp_path: Path) -> None:
    place = tmp_path / "new"
    (tmp_path / "file").write_text("mine")
    entries = [
        folder(),
        member("./target"),
        member("./a", tarfile.SYMTYPE, "target"),
        member("./a", mode=0o600),
        member("./d", tarfile.DIRTYPE),
        member("./d"),
    ]
    left_out = unpacked(packed(entries), place)
    assert [one.name for one in left_out] == ["./d"]
    assert not (place / "a").is_symlink()


def test_links_hard_links_holes_and_times_are_kept(tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "sub").mkdir(parents=True)
    (source / "a").write_text("hi")
    os.link(source / "a", source / "sub" / "b")
    (source / "sub" / "link").symlink_to("../a")
    with (source / "sparse").open("wb") as file:
        file.seek(50 << 20)
        file.write(b"end")
    os.utime(source / "sub", (1e9, 1e9))
    data = subprocess.run(
        ["tar", "-c", "-S", "--format=gnu", "-C", source, "."], capture_output=True, check=True
    ).stdout
    assert len(data) < 1 << 20
    place = tmp_path / "new"
    assert unpacked(data, place) == []
    assert (place / "a").samefile(place / "sub" / "b")
    assert (place / "sub" / "link").readlink() == Path("../a")
    assert (place / "sub").stat().st_mtime == 1e9
    copy = (place / "sparse").stat()
    assert (copy.st_size, copy.st_blocks < 1000) == ((50 << 20) + 3, True)
    assert (place / "sparse").read_bytes() == (source / "sparse").read_bytes()


def test_names_of_any_bytes_arrive(tmp_path: Path) -> None:
    names = [b"new\nline", b"lat\xe9in", "ü".encode(), b"sp ace", b"-r", b"\\n"]
    place = tmp_path / "new"
    entries = [folder(), *(member("./" + name.decode("utf-8", "surrogateescape")) for name in names)]
    assert unpacked(packed(entries), place) == []
    assert sorted(os.fsencode(found.name) for found in place.iterdir()) == sorted(names)


@pytest.mark.parametrize("cut", [100, 1500])
def test_the_beginning_of_an_archive_is_damaged(tmp_path: Path, cut: int) -> None:
    data = packed([folder(), member("./a"), member("./b", size=2)])
    with pytest.raises(Damaged):
        unpacked(data[:cut], tmp_path / "new") if cut > 600 else Archive(io.BytesIO(data[:cut])).next()


def test_what_is_no_archive_is_damaged() -> None:
    with pytest.raises(Damaged):
        Archive(io.BytesIO(b"error: c1 is off\n" * 99)).next()


def test_a_folder_in_place_of_the_one_file_asked_for_does_not_bring_others(tmp_path: Path) -> None:
    left_out = unpacked(packed([member("./a"), member("../b")]), tmp_path / "new")
    assert left_out == [LeftOut("../b", "more than was asked for")]
    assert (tmp_path / "new").read_bytes() == b"hi"


@pytest.mark.parametrize(
    ("link", "depth", "out"),
    [
        ("a", 0, False),
        ("a/b", 0, False),
        ("./a", 0, False),
        ("..", 0, True),
        ("../a", 1, False),
        ("../../a", 1, True),
        ("../../a", 2, False),
        ("/etc", 9, True),
        ("a/../b", 5, True),
        ("../.", 1, False),
    ],
)
def test_links_that_may_lead_out(link: str, depth: int, out: bool) -> None:
    assert leads_out(link.encode(), depth) is out
