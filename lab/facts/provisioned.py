"""Prints, as JSON, what the VNFS images and bootstraps in Warewulf's store contain. Runs on the SMS.

Its text is sent there (`lab.facts.next_boot`): it imports the standard library only and runs on Python 3.9.
Archives are read as a stream: the file system of a node has hundreds of megabytes. Layout of an entry:
cpio(5), "New ASCII format".
"""

from __future__ import annotations

import fnmatch
import hashlib
import json
import os
import re
import stat
import subprocess
import sys
from collections.abc import Iterator
from typing import IO, Any

ROOT = os.environ.get("RACKLING_ROOT", "")  # as for wwsh; tests set it
STORE = f"{ROOT}/srv/warewulf"
CONFIG = f"{ROOT}/etc/warewulf"
HEADER = 110
CHUNK = 1 << 20
SMALL = 8192  # bytes: of smaller files that were asked for, the text is told
MOST = 20  # paths in the list of changes
CHANGING = re.compile(
    r"(tmp|run|dev|proc|sys|var/(log|cache|tmp|run|lib/(apt|dpkg|systemd|man-db)))(/|$)"
    r"|root/\.(bash_history|viminfo|lesshst|cache)|etc/(\.pwd\.lock|ld\.so\.cache|[a-z]+-)$|(.*/)?__pycache__(/|$)"
)
"""What a chroot gets while people work in it, and no node needs."""
MODULE = re.compile(r"lib/modules/.*/([^/]+)\.ko(\.(xz|zst|gz))?$")

State = dict[str, Any]
"""Mode, owner, group and size of a file, and perhaps its text."""


class UnreadableError(Exception):
    """The store has no such image, or it is damaged."""


class Entry:
    """One file in an archive: its header, and its data, which is read or skipped."""

    def __init__(self, stream: IO[bytes], head: bytes) -> None:
        if head[:6] != b"070701":
            raise UnreadableError("it is not a cpio archive")
        numbers = [int(head[at : at + 8], 16) for at in range(6, HEADER, 8)]
        self.mode, self.uid, self.gid, self.nlink, self.mtime, self.size = numbers[1:7]
        self.name = os.fsdecode(_exactly(stream, numbers[11])[:-1])
        _exactly(stream, -(HEADER + numbers[11]) % 4)
        self._stream = stream
        self._left = self.size

    def chunks(self) -> Iterator[bytes]:
        """The data that was not read yet."""
        while self._left:
            part = _exactly(self._stream, min(self._left, CHUNK))
            self._left -= len(part)
            yield part
        _exactly(self._stream, -self.size % 4)
        self.size = 0  # so that the padding is not read twice


def _exactly(stream: IO[bytes], count: int) -> bytes:
    data = stream.read(count) if count else b""
    if len(data) != count:
        raise UnreadableError("it is cut short")
    return data


def entries(stream: IO[bytes], *, joined: bool = False) -> Iterator[Entry]:
    """The files of an archive; with `joined`, of several, one after the other."""
    while True:
        head = stream.read(HEADER)
        while joined and head[:1] == b"\0":  # an initial file system may have zeros between its archives
            head = head.lstrip(b"\0")
            head += stream.read(HEADER - len(head))
        if not head and joined:
            return
        if len(head) != HEADER:
            raise UnreadableError("it is cut short")
        entry = Entry(stream, head)
        if entry.name == "TRAILER!!!":
            if joined:
                continue
            return
        yield entry
        for _ in entry.chunks():
            pass


def unpacked(path: str, *, joined: bool = False) -> Iterator[Entry]:
    """The files of a compressed archive; zstd unpacks gzip, too, as on the nodes."""
    with subprocess.Popen(["zstd", "-dcq", path], stdout=subprocess.PIPE) as unpacking:
        if unpacking.stdout is None:
            raise UnreadableError(f"zstd cannot unpack {path}")
        yield from entries(unpacking.stdout, joined=joined)
        unpacking.stdout.read()
    if unpacking.returncode:
        raise UnreadableError(f"{path} is damaged")


def stored(kind: str, name: str) -> dict[str, str]:
    """All keys of an object in the datastore, and its number as `_ID`."""
    done = subprocess.run(
        ["wwsh", "object", "print", name, "-t", kind, "-p", ":all"],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
    )  # fmt: skip
    found: dict[str, str] = {}
    for line in done.stdout.splitlines():
        # "ID: KEY = VALUE" (Warewulf 3, lib/Warewulf/Module/Cli/Object.pm, exec); without the number, and
        # with _ID among the keys, in labs of older images.
        if shown := re.match(r"\s*(?:(\d+):\s+)?(\w+)\s*= (.*)", line):
            found[shown[2]] = shown[3]
            found["_ID"] = shown[1] or found.get("_ID", "")
    if found.get("NAME") != name:
        raise UnreadableError(f"Warewulf has no {kind} called {name}")
    return found


def tree_state(path: str, *, text: bool = False) -> State | None:
    """A file of the chroot as `Entry` tells it; None if it is not there."""
    try:
        info = os.lstat(path)
    except OSError:
        return None
    state: State = {"mode": info.st_mode, "uid": info.st_uid, "gid": info.st_gid, "size": info.st_size}
    if stat.S_ISLNK(info.st_mode):
        state["text"] = os.readlink(path)
    elif text and stat.S_ISREG(info.st_mode) and info.st_size <= SMALL:
        with open(path, errors="replace") as file:
            state["text"] = file.read()
    return state


def image_state(entry: Entry, there: State | None, path: str, *, asked: bool) -> tuple[State, bool]:
    """A file of the image, and whether the tree has the same; `there` is what the tree has, at that path.

    The text is read for links, and for small files that were asked for. The content decides only where the
    time differs: a file that was written again with the same content is the same.
    """
    state: State = {"mode": entry.mode, "uid": entry.uid, "gid": entry.gid, "size": entry.size}
    same = there is not None and all(state[key] == there[key] for key in ("mode", "uid", "gid"))
    if stat.S_ISLNK(entry.mode):
        state["text"] = os.fsdecode(b"".join(entry.chunks()))
        return state, same and there is not None and there.get("text") == state["text"]
    if not stat.S_ISREG(entry.mode) or entry.nlink > 1:  # of files with two names, one name has the data
        return state, same
    same = same and there is not None and there["size"] == entry.size
    doubtful = same and int(os.lstat(path).st_mtime) != entry.mtime
    small = asked and entry.size <= SMALL
    if doubtful or small:
        digest, text = hashlib.blake2b(), b""
        for part in entry.chunks():
            digest.update(part)
            text += part if small else b""
        if small:
            state["text"] = text.decode(errors="replace")
        same = same and (not doubtful or digest.hexdigest() == _digest(path))
    return state, same


def _digest(path: str) -> str:
    digest = hashlib.blake2b()
    with open(path, "rb") as file:
        for part in iter(lambda: file.read(CHUNK), b""):
            digest.update(part)
    return digest.hexdigest()


def left_out(name: str) -> re.Pattern[str]:
    """What wwvnfs does not pack: `exclude` and `hybridize` of its configuration."""
    words = []
    for path in (f"{CONFIG}/vnfs.conf", f"{CONFIG}/vnfs/{name}.conf"):
        if os.path.exists(path):
            with open(path) as file:
                found = re.findall(r"(?m)^\s*(?:exclude|hybridize)\s*\+?=\s*([^#\n]*)", file.read())
            words += [word.strip("/") for line in found for word in re.split(r"[\s,]+", line) if word]
    return re.compile("|".join(fnmatch.translate(word) for word in words) or r"(?!)")


def tree_names(root: str, wanted: re.Pattern[str], leave: re.Pattern[str]) -> Iterator[str]:
    """The wanted paths of a chroot that are packed."""
    device = os.lstat(root).st_dev
    for folder, folders, names in os.walk(root):
        place = os.path.relpath(folder, root)
        prefix = "" if place == "." else f"{place}/"
        folders[:] = [name for name in folders if not leave.match(prefix + name)]
        for name in [*folders, *names]:
            path = prefix + name
            if not wanted.match(path) or leave.match(path):
                continue
            if not stat.S_ISSOCK(os.lstat(os.path.join(folder, name)).st_mode):
                yield path
        folders[:] = [
            name for name in folders
            if os.lstat(os.path.join(folder, name)).st_dev == device  # wwvnfs packs no other file system
        ]  # fmt: skip


def read_vnfs(name: str, patterns: list[str], *, compare: bool) -> dict[str, Any]:
    """The image of a VNFS: the files that match a pattern.

    With `compare`, all others are compared, too, and what has changed in the tree since is told.
    """
    record = stored("vnfs", name)
    root, path = ROOT + record.get("CHROOT", ""), f"{STORE}/vnfs/{name}/image.{record.get('CHECKSUM')}"
    if not os.path.exists(path):
        raise UnreadableError(f"the image of {name} is gone: {path}")
    asked = re.compile("|".join(fnmatch.translate(pattern) for pattern in patterns) or r"(?!)")
    seen_to = re.compile("") if compare else asked
    files: dict[str, Any] = {}
    changes: dict[str, str] = {}
    seen = set()
    for entry in unpacked(path):
        if not seen_to.match(entry.name):
            continue
        wanted, place = bool(asked.match(entry.name)), os.path.join(root, entry.name)
        there = tree_state(place, text=wanted)
        state, same = image_state(entry, there, place, asked=wanted)
        seen.add(entry.name)
        if wanted:
            files[entry.name] = {"image": state, "tree": there, "same": same}
        if not same:
            changes[entry.name] = "removed" if there is None else "changed"
    for there_too in tree_names(root, seen_to, left_out(name)):
        if there_too not in seen:
            changes[there_too] = "added"
            if asked.match(there_too):
                there = tree_state(os.path.join(root, there_too), text=True)
                files[there_too] = {"image": None, "tree": there, "same": False}
    told = sorted(item for item in changes.items() if not CHANGING.match(item[0]))
    packed = int(os.stat(path).st_mtime)
    return {
        "tree": record.get("CHROOT", ""),
        "packed": packed,
        "files": files,
        **({"changes": dict(told[:MOST]), "count": len(told)} if compare else {}),
    }


def read_bootstrap(name: str) -> dict[str, Any]:
    """The initial file system that nodes download: its kernel, its modules, and what it loads at once."""
    record = stored("bootstrap", name)
    path = f"{STORE}/bootstrap/{record.get('ARCH')}/{record['_ID']}/initfs.gz"
    if not os.path.exists(path):
        raise UnreadableError(f"the bootstrap {name} was not built: there is no {path}")
    modules = set()
    tables = dict.fromkeys(("modules.builtin", "etc/warewulf/modprobe", "etc/warewulf/kernel"), "")
    for entry in unpacked(path, joined=True):
        place = re.sub(r"^lib/modules/[^/]+/", "", entry.name)
        if module := MODULE.match(entry.name):
            modules.add(module[1].replace("-", "_"))
        elif place in tables:
            tables[place] = b"".join(entry.chunks()).decode(errors="replace")
    builtin = [line.rsplit("/", 1)[-1].split(".ko")[0] for line in tables["modules.builtin"].split()]
    return {
        "built": int(os.stat(path).st_mtime),
        "kernel": tables["etc/warewulf/kernel"].strip(),
        "modules": sorted(modules),
        "builtin": sorted(one.replace("-", "_") for one in builtin),
        "loads": [one.replace("-", "_") for one in tables["etc/warewulf/modprobe"].split()],
    }


def main(words: list[str]) -> None:
    """`vnfs NAME PATTERN…`, `changes NAME PATTERN…` or `bootstrap NAME`; prints what it has, or the fault."""
    kind, name, *patterns = words
    try:
        found = (
            read_bootstrap(name)
            if kind == "bootstrap"
            else read_vnfs(name, patterns, compare=kind == "changes")
        )
    except (UnreadableError, OSError) as problem:
        found = {"problem": str(problem)}
    print(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1:])
