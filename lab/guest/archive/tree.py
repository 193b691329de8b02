"""Reads a folder into an ordered list of archive entries; equal folders give equal lists."""

from __future__ import annotations

import os
import re
import stat
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from lab.guest.archive.cpio import Entry


@dataclass(frozen=True)
class Item:
    """One file: its entry, the path of its data or the data itself, and its times in nanoseconds."""

    entry: Entry
    source: bytes = b""
    data: bytes = b""
    mtime_ns: int = 0
    ctime_ns: int = 0


class Rules:
    """Selects the paths that are excluded, and those that become links into a shared folder."""

    def __init__(self, exclude: Sequence[str], hybridize: Sequence[str] = (), hybridpath: str = "") -> None:
        self._exclude = _compiled(exclude if hybridpath else [*exclude, *hybridize])
        self._hybrid = _compiled(hybridize if hybridpath else ())
        self._hybridpath = os.fsencode(hybridpath)

    def excluded(self, path: bytes) -> bool:
        """Whether a path, relative to the folder, is excluded with everything below it."""
        return self._exclude is not None and self._exclude.match(path) is not None

    def link(self, path: bytes) -> bytes | None:
        """The link target that replaces a path, or None if the path is packed."""
        if self._hybrid is None or self._hybrid.match(path) is None:
            return None
        return self._hybridpath + b"/" + path


def _compiled(patterns: Iterable[str]) -> re.Pattern[bytes] | None:
    words = [_expression(pattern.strip("/")) for pattern in patterns if pattern.strip("/")]
    return re.compile(b"^(?:" + b"|".join(words) + b")$", re.DOTALL) if words else None


def _expression(pattern: str) -> bytes:
    # As in a shell and in Perl's File::Glob, no wildcard stands for the dot that begins a hidden name.
    return b"/".join(_component(part) for part in pattern.split("/"))


def _component(pattern: str) -> bytes:
    hidden = r"(?!\.)" if pattern.startswith(("*", "?", "[")) else ""
    text = hidden + re.escape(pattern).replace(r"\*", "[^/]*").replace(r"\?", "[^/]").replace(r"\[", "[")
    return os.fsencode(text.replace(r"\]", "]"))


def scan(root: bytes, rules: Rules) -> list[Item]:
    """All files below a folder, sorted by path; skips other file systems and sockets."""
    device = os.lstat(root).st_dev
    found = [_item(b".", os.lstat(root), b"")]
    groups: Groups = {}
    found.extend(_walk(root, b"", device, rules, groups))
    found.sort(key=lambda item: item.entry.path)
    return _linked(found, groups)


Groups = dict[bytes, tuple[int, int]]
"""Maps each path of a file with several hard links to its device and inode."""


def _walk(folder: bytes, prefix: bytes, device: int, rules: Rules, groups: Groups) -> Iterator[Item]:
    with os.scandir(folder) as entries:
        for found in entries:
            path = prefix + found.name
            if rules.excluded(path):
                continue
            link = rules.link(path)
            if link is not None:
                yield Item(Entry(path, stat.S_IFLNK | 0o777, len(link)), data=link)
                continue
            info = found.stat(follow_symlinks=False)
            kind = stat.S_IFMT(info.st_mode)
            if kind == stat.S_IFSOCK:
                continue
            if kind == stat.S_IFREG and info.st_nlink > 1:
                groups[path] = (info.st_dev, info.st_ino)
            yield _item(path, info, found.path)
            if kind == stat.S_IFDIR and info.st_dev == device:
                yield from _walk(found.path, path + b"/", device, rules, groups)


def _item(path: bytes, info: os.stat_result, source: bytes) -> Item:
    kind = stat.S_IFMT(info.st_mode)
    data = os.readlink(source) if kind == stat.S_IFLNK else b""
    size = info.st_size if kind == stat.S_IFREG else len(data)
    special = kind in (stat.S_IFBLK, stat.S_IFCHR)
    rdev = (os.major(info.st_rdev), os.minor(info.st_rdev)) if special else (0, 0)
    entry = Entry(
        path=path,
        mode=info.st_mode,
        size=size,
        uid=info.st_uid,
        gid=info.st_gid,
        mtime=int(info.st_mtime),
        # By path and not by disk: equal trees give equal bytes on any disk, and a new file changes no
        # other file's number. Only the names of one file must agree; see _linked.
        inode=zlib.crc32(path),
        rdev=rdev,
    )
    return Item(entry, source, data, info.st_mtime_ns, info.st_ctime_ns)


def _linked(items: list[Item], groups: Groups) -> list[Item]:
    """Gives all hard links of a file one inode number in the archive; the last one carries the data."""
    names: dict[tuple[int, int], list[bytes]] = {}
    for path in sorted(groups):
        names.setdefault(groups[path], []).append(path)
    together = {path: paths for paths in names.values() if len(paths) > 1 for path in paths}
    if not together:
        return items
    numbers: dict[bytes, int] = {}
    taken: set[int] = set()
    for first in sorted({paths[0] for paths in together.values()}):
        number = zlib.crc32(first)
        while number in taken:
            number = (number + 1) & 0xFFFFFFFF
        taken.add(number)
        numbers[first] = number
    return [_joined(item, together, numbers) for item in items]


def _joined(item: Item, together: dict[bytes, list[bytes]], numbers: dict[bytes, int]) -> Item:
    paths = together.get(item.entry.path)
    if paths is None:
        return item
    last = item.entry.path == paths[-1]
    size = item.entry.size if last else 0
    entry = replace(item.entry, nlink=len(paths), inode=numbers[paths[0]], size=size)
    return replace(item, entry=entry, source=item.source if last else b"")
