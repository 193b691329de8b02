"""Reads the tar archive that a node sends, which is untrusted: forward only, in constant memory.

The format is the one that `lab cp` asks GNU tar for (`--format=gnu`; GNU tar's manual, "Basic Tar Format";
src/tar.h there), and plain ustar. Headers of the POSIX format (pax) are refused: nothing needs them, and
they may be of any size. Python's tarfile trusts sizes, and follows chains of headers by recursion.
"""

from __future__ import annotations

import os
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import IO

BLOCK = 512
CHUNK = 1 << 20
PADDING = 1 << 20  # bytes that may follow the end: tar fills its last record, of 64 KiB
MOST_NAME = 1 << 16  # bytes of a name; Linux opens names of at most 4096
MOST_PIECES = 1 << 20  # pieces of one file with holes: 16 MiB here, 24 MiB of headers
FILES = (b"0", b"\0", b"7", b"S")
NO_CONTENT = (b"1", b"2", b"3", b"4", b"5", b"6")
ZEROS = bytes(CHUNK)


class Damaged(Exception):
    """What came is no archive, or only the beginning of one."""


@dataclass(frozen=True)
class Member:
    """One file, folder, link or device of an archive; `size` is its size with holes, in bytes."""

    name: bytes
    kind: bytes  # the type flag of its header
    mode: int
    mtime: int  # seconds since 1970
    size: int = 0
    link: bytes = b""
    pieces: array[int] | None = None  # of a file with holes: offset, length, offset, length …

    @property
    def is_file(self) -> bool:
        """Whether it has content."""
        return self.kind in FILES

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder."""
        return self.kind == b"5"

    @property
    def is_symlink(self) -> bool:
        """Whether it is a symbolic link."""
        return self.kind == b"2"

    @property
    def is_hard_link(self) -> bool:
        """Whether it is another name of a member before it."""
        return self.kind == b"1"


class Archive:
    """An archive that is read once, from its beginning to its end; raises Damaged.

    `stream` is buffered: it reads less than it is asked for only at its end.
    """

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._left = 0  # bytes of the present member that were not read
        self._padding = 0
        self._began = False

    def next(self) -> Member | None:
        """The next member; None at the end."""
        self._skip(self._left + self._padding)
        self._left = self._padding = 0
        long: dict[bytes, bytes] = {}
        while True:
            header = self._header()
            if header is None:
                return None
            kind = header[156:157]
            if kind in (b"L", b"K"):  # the name or the link of the member that follows, where it is long
                long[kind] = self._long_name(_size(header))
            elif kind in (b"x", b"g", b"X"):
                raise Damaged("the node sent an archive of another format than it was asked for")
            else:
                return self._member(header, kind, long)

    def finish(self) -> None:
        """Reads what follows the end; it is not much."""
        if len(self._stream.read(PADDING + 1)) > PADDING:
            raise Damaged("the node went on after the end of its archive")

    def copy(self, member: Member, file: int) -> None:
        """Writes the content of the present member to an open new file, and leaves its holes out."""
        for start, length in self._pieces(member):
            os.lseek(file, start, os.SEEK_SET)
            self._copy(file, length)
        os.ftruncate(file, member.size)

    def pour(self, member: Member, file: int, take: Callable[[int], None]) -> None:
        """Writes the content of the present member to what cannot seek; holes are zeros there.

        `take` is told each number of bytes before they are written.
        """
        at = 0
        for start, length in chain(self._pieces(member), [(member.size, 0)]):
            while at < start:
                zeros = min(start - at, CHUNK)
                take(zeros)
                _write(file, memoryview(ZEROS)[:zeros])
                at += zeros
            take(length)
            self._copy(file, length)
            at += length

    def _pieces(self, member: Member) -> Iterator[tuple[int, int]]:
        if member.pieces is None:
            return iter([(0, member.size)])
        return zip(member.pieces[::2], member.pieces[1::2], strict=True)

    def _member(self, header: bytes, kind: bytes, long: dict[bytes, bytes]) -> Member:
        size = 0 if kind in NO_CONTENT else _size(header)
        self._left, self._padding = size, -size % BLOCK
        name = long.get(b"L") or _name(header)
        pieces = None
        if kind == b"S":
            size, pieces = self._map(header, size)
        if kind in FILES and name.endswith(b"/"):
            kind = b"5"  # as the first tars wrote folders
        return Member(
            name=name,
            kind=kind,
            mode=_number(header[100:108]) & 0o7777,
            mtime=_number(header[136:148]),
            size=size,
            link=long.get(b"K") or _text(header[157:257]),
            pieces=pieces,
        )

    def _map(self, header: bytes, stored: int) -> tuple[int, array[int]]:
        """The full size of a file with holes, and its pieces: in order, and as long as what is stored."""
        full = _within(_number(header[483:495]))
        pieces = array("q")
        end = total = 0
        table, more = header[386:482], header[482]
        while True:
            for at in range(0, len(table), 24):
                if not table[at]:
                    break
                start, length = (_within(_number(table[here : here + 12])) for here in (at, at + 12))
                if start < end or start + length > full or len(pieces) >= 2 * MOST_PIECES:
                    raise Damaged("the node sent a file whose holes are wrong")
                end, total = start + length, total + length
                pieces.extend((start, length))
            if not more:
                break
            block = self._exactly(BLOCK)
            table, more = block[:504], block[504]
        if total != stored:
            raise Damaged("the node sent a file whose holes are wrong")
        return full, pieces

    def _header(self) -> bytes | None:
        """The next header whose checksum is right; None at the end."""
        header = self._stream.read(BLOCK)
        if not header and not self._began:
            raise Damaged("the node sent nothing")
        if len(header) == BLOCK and not any(header):
            return None
        total = 256 + sum(header) - sum(header[148:156])  # with blanks in place of the sum itself
        if header[257:262] != b"ustar" or _number(header[148:156]) != total:
            raise Damaged(self._why_no_header(header))
        self._began = True
        return header

    def _why_no_header(self, header: bytes) -> str:
        if not self._began:
            return "what the node sent is no archive"
        return "the node sent a damaged archive" if len(header) == BLOCK else _SHORT

    def _long_name(self, size: int) -> bytes:
        if size > MOST_NAME:
            raise Damaged(f"the node sent a name of {size} bytes")
        return self._exactly(size + -size % BLOCK)[:size].split(b"\0", 1)[0]

    def _copy(self, file: int, size: int) -> None:
        while size > 0:
            data = self._exactly(min(size, CHUNK))
            size -= len(data)
            self._left -= len(data)
            _write(file, memoryview(data))

    def _skip(self, size: int) -> None:
        while size > 0:
            size -= len(self._exactly(min(size, CHUNK)))

    def _exactly(self, size: int) -> bytes:
        data = self._stream.read(size)
        if len(data) < size:
            raise Damaged(_SHORT)
        return data


_SHORT = "what the node sent ends too early"


def _write(file: int, data: memoryview) -> None:
    while data:
        data = data[os.write(file, data) :]


def _name(header: bytes) -> bytes:
    """The name of a header; ustar has the first part of a long one in a field of its own (POSIX, pax)."""
    prefix = _text(header[345:500]) if header[257:263] == b"ustar\0" else b""
    return prefix + b"/" + _text(header[:100]) if prefix else _text(header[:100])


def _text(field: bytes) -> bytes:
    return field.split(b"\0", 1)[0]


def _size(header: bytes) -> int:
    return _within(_number(header[124:136]))


def _within(number: int) -> int:
    """A size or an offset that a file can have."""
    if not 0 <= number < 1 << 63:
        raise Damaged("the node sent a file of an impossible size")
    return number


def _number(field: bytes) -> int:
    """A number of a header: octal digits, or binary if its first bit is set (from_header of tar's list.c)."""
    if field[:1] and field[0] & 0x80:
        value = int.from_bytes(field, "big")
        bits = 8 * len(field)
        return value - (1 << bits) if field[0] == 0xFF else value & ~(0x80 << bits - 8)
    digits = _text(field).strip()
    if not digits:
        return 0
    if digits.strip(b"01234567"):
        raise Damaged("the node sent a damaged archive")
    return int(digits, 8)
