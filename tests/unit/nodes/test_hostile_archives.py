"""What a hostile node may send to `lab cp`: bounded memory and disk, one sentence, nothing outside."""

from __future__ import annotations

import io
import os
import random
import subprocess
import tarfile
import tracemalloc
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from lab.nodes import archive
from lab.nodes.archive import Archive, Damaged
from lab.nodes.room import NoRoom, Room
from lab.nodes.unpacking import LeftOut, fill

MIB = 1 << 20
END = bytes(1024)


def octal(number: int, width: int) -> bytes:
    return f"{number:0{width - 1}o}\0".encode()


def binary(number: int, width: int) -> bytes:
    return (number | 0x80 << 8 * width - 8).to_bytes(width, "big")


def header(name: bytes, kind: bytes = b"0", size: bytes = octal(0, 12), **fields: bytes) -> bytes:
    """A header of GNU's format; `fields` are further bytes by their offset, as `at386=…`."""
    block = bytearray(512)
    block[: len(name)] = name
    places = {100: octal(0o644, 8), 124: size, 136: octal(0, 12), 156: kind, 257: b"ustar  \0"}
    for at, value in {**places, **{int(key[2:]): value for key, value in fields.items()}}.items():
        block[at : at + len(value)] = value
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


FOLDER = header(b"./", b"5")


def sparse(pieces: list[tuple[int, int]], full: int, stored: int, *, more: bool = False) -> bytes:
    table = b"".join(binary(start, 12) + binary(length, 12) for start, length in pieces)
    return header(
        b"./sparse",
        b"S",
        octal(stored, 12),
        at386=table,
        at482=b"\1" if more else b"\0",
        at483=binary(full, 12),
    )


class Endless(io.RawIOBase):
    """A beginning, and then the same bytes for ever."""

    def __init__(self, beginning: bytes, rest: bytes) -> None:
        self._waiting = beginning
        self._rest = rest * max(1, MIB // len(rest))
        self.sent = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
        self._waiting = self._waiting or self._rest
        size = min(len(buffer), len(self._waiting))
        buffer[:size], self._waiting = self._waiting[:size], self._waiting[size:]
        self.sent += size
        return size


@pytest.fixture
def small_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """64 MiB and 5000 files are free."""
    monkeypatch.setattr(
        os,
        "statvfs",
        lambda _: os.statvfs_result((4096, 4096, 10**6, 1 << 14, 1 << 14, 10**5, 5000, 5000, 0, 255)),
    )


@pytest.fixture
def little_memory() -> Iterator[None]:
    tracemalloc.start()
    yield
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 24 * MIB


def unpacked(data: bytes | io.RawIOBase, place: Path) -> list[LeftOut]:
    raw = io.BytesIO(data) if isinstance(data, bytes) else io.BufferedReader(data, MIB)
    source = Archive(raw)
    first = source.next()
    assert first is not None
    left_out = fill(source, first, os.fsencode(place), Room(os.fsencode(place.parent)))
    source.finish()
    return left_out


def taken(folder: Path) -> int:
    return sum(path.lstat().st_blocks * 512 for path in folder.rglob("*"))


@pytest.mark.usefixtures("small_disk", "little_memory")
@pytest.mark.parametrize("full", [300 * MIB, 1 << 40, (1 << 63) - 1])
def test_a_file_of_holes_that_would_not_fit_is_refused(tmp_path: Path, full: int) -> None:
    """1.5 KiB on the way, and whatever the node says on the disk (case 11)."""
    with pytest.raises(NoRoom, match="more than 57 MiB, nine tenths of the free space"):
        unpacked(FOLDER + sparse([(full, 0)], full, 0) + END, tmp_path / "new")
    assert taken(tmp_path) < MIB


@pytest.mark.usefixtures("small_disk")
def test_many_files_of_holes_count_together(tmp_path: Path) -> None:
    holes = {"at386": octal(20 * MIB, 12) + octal(0, 12), "at483": octal(20 * MIB, 12)}
    members = [header(b"./%d" % number, b"S", **holes) for number in range(3)]
    assert unpacked(FOLDER + b"".join(members[:2]) + END, tmp_path / "fits") == []
    assert taken(tmp_path) < MIB
    with pytest.raises(NoRoom):
        unpacked(FOLDER + b"".join(members) + END, tmp_path / "new")


@pytest.mark.usefixtures("little_memory")
@pytest.mark.parametrize(
    "data",
    [
        sparse([(0, 512)], 512, 0) + END,  # less is stored than the map says
        sparse([(0, 0)], 0, 512) + bytes(512) + END,  # more is
        sparse([(512, 512), (0, 512)], 1024, 1024) + bytes(1024) + END,
        sparse([(0, 512), (256, 512)], 1024, 1024) + bytes(1024) + END,
        sparse([(1024, 512)], 1024, 512) + bytes(512) + END,
        sparse([(0, 0)], -1 & (1 << 95) - 1, 0) + END,
        sparse([(0, 0)], 1 << 63, 0) + END,
        sparse([(0, 0)] * 4, 0, 0, more=True),
        header(b"./a", size=binary(1 << 70, 12)) + END,
        header(b"./a", size=b"\xff" * 12) + END,
        header(b"./a", size=b"12345678zzz\0") + END,
        header(b"./a", size=octal(8 << 30, 12)) + b"only this",
        header(b"./a", b"L", size=octal(8 << 30, 12)) + b"a" * 4096,
        header(b"./a", b"x", size=octal(8 << 30, 12)) + b"30 GNU.sparse.realsize=1\n",
        header(b"./a", b"g", size=octal(512, 12)) + bytes(512),
        b"\0" * 512 + b"x" * (3 * MIB),  # after the end
        b"x" * 4096,
        b"",
    ],
)
def test_lies_are_damage(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(Damaged):
        unpacked(FOLDER + data, tmp_path / "new")
    assert taken(tmp_path) < MIB


@pytest.mark.parametrize("version", ["0.0", "0.1", "1.0"])
def test_files_with_holes_in_another_format_are_refused_by_name(tmp_path: Path, version: str) -> None:
    (tmp_path / "holes").touch()
    os.truncate(tmp_path / "holes", 300 * MIB)
    pack = ["tar", "-c", "-S", "--format=posix", f"--sparse-version={version}", "-C", str(tmp_path), "holes"]
    data = subprocess.run(pack, capture_output=True, check=True).stdout
    with pytest.raises(Damaged, match="of another format than it was asked for"):
        unpacked(data, tmp_path / "new")


@pytest.mark.usefixtures("small_disk", "little_memory")
@pytest.mark.parametrize(
    ("beginning", "rest", "problem"),
    [
        (FOLDER + header(b"./a", size=binary(1 << 62, 12)), b"x", NoRoom),
        (FOLDER, header(b"./a"), NoRoom),  # the same name again and again
        (FOLDER, header(b"./a/"), NoRoom),
        (FOLDER, header(b"./a", b"2", at157=b"b"), NoRoom),
        (FOLDER, header(b"../a"), Damaged),
        (FOLDER, header(b"./a", b"3"), Damaged),
        (header(b"./a"), header(b"./b"), Damaged),
    ],
)
def test_an_endless_stream_ends_with_little_memory_and_disk(
    tmp_path: Path, beginning: bytes, rest: bytes, problem: type[Exception]
) -> None:
    with pytest.raises(problem):
        unpacked(Endless(beginning, rest), tmp_path / "new")
    assert taken(tmp_path) < 64 * MIB


@pytest.mark.usefixtures("little_memory")
def test_an_endless_map_of_holes_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert archive.MOST_PIECES * 16 <= 16 * MIB
    monkeypatch.setattr(archive, "MOST_PIECES", 1 << 14)
    stream = Endless(FOLDER + sparse([(0, 0)] * 4, 0, 0, more=True), octal(0, 12) * 42 + b"\1" + bytes(7))
    with pytest.raises(Damaged, match="holes are wrong"):
        unpacked(stream, tmp_path / "new")


@pytest.mark.usefixtures("small_disk", "little_memory")
def test_millions_of_tiny_files_are_bounded_by_the_files_that_are_free(tmp_path: Path) -> None:
    def members() -> Iterator[bytes]:
        yield FOLDER
        for number in range(10**6):
            yield header(b"./%d" % number)

    class Stream(io.RawIOBase):
        source = members()

        def readable(self) -> bool:
            return True

        def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
            block = next(self.source, END)
            buffer[: len(block)] = block
            return len(block)

    with pytest.raises(NoRoom, match="nine tenths of the free inodes"):
        unpacked(Stream(), tmp_path / "new")
    assert len(list((tmp_path / "new").iterdir())) == 4499


def test_chains_of_long_names_end_where_the_stream_ends(tmp_path: Path) -> None:
    """Python's tarfile follows each of them by a call in a call."""
    link = header(b"././@LongLink", b"L", octal(512, 12)) + b"./name".ljust(512, b"\0")
    assert unpacked(FOLDER + link * 20_000 + header(b"./other") + END, tmp_path / "new") == []
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["name"]


def test_deep_folders_are_left_out_and_what_is_there_can_be_removed(tmp_path: Path) -> None:
    def long(name: bytes) -> bytes:
        field = name.ljust(len(name) + 512 - len(name) % 512, b"\0")
        return header(b"././@LongLink", b"L", octal(len(name) + 1, 12)) + field

    deep = long(b"./" + b"a/" * 1400) + header(b"x", b"5")
    wide = long(b"./" + b"b" * 300) + header(b"x")
    far = long(b"./" + (b"c" * 250 + b"/") * 100) + header(b"x")
    edge = long(b"./" + b"d/" * 199 + b"file") + header(b"x")
    left_out = unpacked(FOLDER + deep + wide + far + edge + END, tmp_path / "new")
    assert [one.reason for one in left_out] == [
        "more than 200 folders deep",
        "a name that is too long",
        "a name that is too long",
    ]
    assert max(len(one.name) for one in left_out) == 200
    assert len(list((tmp_path / "new").rglob("*"))) == 200


def test_links_that_lead_nowhere_or_come_first_are_told(tmp_path: Path) -> None:
    long = header(b"././@LongLink", b"K", octal(5000, 12)) + b"a" * 5000 + bytes(120)
    members = (
        header(b"./empty", b"2") + long + header(b"./long", b"2") + header(b"./l\0x", b"2", at157=b"a\0b")
    )
    assert [one.reason for one in unpacked(FOLDER + members + END, tmp_path / "new")] == [
        "a link that leads nowhere"
    ] * 2
    assert (tmp_path / "new" / "l").readlink() == Path("a")
    left_out = unpacked(header(b"./hard", b"1", at157=b"/etc/passwd") + END, tmp_path / "hard")
    assert [one.reason for one in left_out] == ["a link to a file that did not come"]
    assert not os.path.lexists(tmp_path / "hard")


def test_an_archive_cut_anywhere_or_with_any_byte_changed_ends_in_one_of_our_errors(tmp_path: Path) -> None:
    """The seed makes a failure repeatable."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as tar:
        tar.addfile(tarfile.TarInfo("./" + "long" * 40))
        link = tarfile.TarInfo("./link")
        link.type, link.linkname = tarfile.SYMTYPE, "long"
        tar.addfile(link)
    body = sparse([(0, 512), (1024, 512)], 4096, 1024) + bytes(1024)
    good = FOLDER + body + buffer.getvalue()[:-9216]
    assert unpacked(good + END, tmp_path / "good") == []
    outside = sorted(path.name for path in tmp_path.iterdir())
    for cut in range(0, len(good) - 1, 61):
        with pytest.raises(Damaged):
            unpacked(good[:cut], tmp_path / "new")
        remove(tmp_path / "new")
    chance = random.Random(15)
    for _ in range(600):
        data = bytearray(good + END)
        for _ in range(chance.randint(1, 4)):
            block = chance.randrange(len(good) // 512) * 512
            data[block + chance.randrange(512)] = chance.randrange(256)
            data[block + 148 : block + 156] = b" " * 8
            data[block + 148 : block + 156] = b"%06o\0 " % sum(data[block : block + 512])
        with suppress(Damaged, NoRoom, OSError):
            unpacked(bytes(data), tmp_path / "new")
        remove(tmp_path / "new")
        assert sorted(path.name for path in tmp_path.iterdir()) == outside


def remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        subprocess.run(["rm", "-rf", path], check=True)
    else:
        path.unlink(missing_ok=True)
