"""What a node's next boot will use, as Warewulf's store has it: the image of its VNFS, and its bootstrap."""

from __future__ import annotations

import inspect
import shlex
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lab.facts import provisioned
from lab.facts.fact import Fact, FactError, require_success
from lab.hostile_json import read_json


@dataclass(frozen=True)
class FileState:
    """A file in an image or in a chroot; `text` of small files and links that were asked for by name."""

    mode: int
    uid: int
    gid: int
    size: int
    text: str

    @property
    def executable(self) -> bool:
        """Whether everybody may run it, or it is a link."""
        return stat.S_ISLNK(self.mode) or (stat.S_ISREG(self.mode) and self.mode & 0o111 == 0o111)


@dataclass(frozen=True)
class Packed:
    """A file in the image and in the tree that it was packed from; None where it is missing."""

    image: FileState | None
    tree: FileState | None
    same: bool


@dataclass(frozen=True)
class VnfsImage:
    """The image of a VNFS, which nodes download at their next boot; `problem` if there is none to read."""

    problem: str
    tree: str
    packed: int  # seconds since 1970
    files: Mapping[str, Packed]  # paths, without a slash at the beginning, that match a pattern
    changes: Mapping[str, str]  # path: added, removed or changed in the tree since; the first of them
    count: int  # of all changes; none are told unless they were asked for

    def has(self, path: str) -> bool:
        """Whether the image has a file that was asked for."""
        found = self.files.get(path.lstrip("/"))
        return found is not None and found.image is not None

    def text(self, path: str) -> str:
        """The content of a small file in the image that was asked for; "" if there is none."""
        found = self.files.get(path.lstrip("/"))
        return found.image.text if found and found.image else ""


@dataclass(frozen=True)
class Bootstrap:
    """What nodes download before the VNFS; module names are written with `_`."""

    problem: str
    built: int  # seconds since 1970
    kernel: str
    modules: frozenset[str]
    builtin: frozenset[str]
    loads: tuple[str, ...]  # at once, in this order

    def lacking(self, *modules: str) -> list[str]:
        """Which of these modules neither the bootstrap nor its kernel has."""
        return [name for name in modules if name.replace("-", "_") not in self.modules | self.builtin]

    def does_not_load(self, *modules: str) -> list[str]:
        """Which of these modules the initramfs has not loaded before it makes file systems."""
        loaded = self.builtin | (set(self.loads) & self.modules)
        return [name for name in modules if name.replace("-", "_") not in loaded]


def _asking(*words: str) -> str:
    told = " ".join(shlex.quote(word) for word in words)
    return f"python3 -I -c {shlex.quote(inspect.getsource(provisioned))} {told}"


def _read(status: int, output: str) -> dict[str, Any]:
    require_success("python3", status, output)
    try:
        found = read_json(output[output.index("{") :])
    except ValueError as error:
        raise FactError("the SMS printed no JSON", status, output) from error
    return {"problem": "", **found}


def _state(values: dict[str, Any] | None) -> FileState | None:
    return None if values is None else FileState(**{"text": "", **values})


def _vnfs_image(status: int, output: str) -> VnfsImage:
    found = {"tree": "", "packed": 0, "files": {}, "changes": {}, "count": 0, **_read(status, output)}
    files = {
        path: Packed(_state(both["image"]), _state(both["tree"]), both["same"])
        for path, both in found.pop("files").items()
    }
    return VnfsImage(files=files, **found)


def _bootstrap(status: int, output: str) -> Bootstrap:
    found = _read(status, output)
    return Bootstrap(
        problem=found["problem"],
        built=found.get("built", 0),
        kernel=found.get("kernel", ""),
        modules=frozenset(found.get("modules", ())),
        builtin=frozenset(found.get("builtin", ())),
        loads=tuple(found.get("loads", ())),
    )


def vnfs_image(name: str, *patterns: str, changes: bool = False) -> Fact[VnfsImage]:
    """The image of a VNFS, with the files whose paths match a pattern (`*` matches slashes, too).

    With `changes`, all other files are compared with the tree, too. A fact of its own about the same image is
    read again, so checks of one exercise ask with equal patterns.
    """
    asking = _asking("changes" if changes else "vnfs", name, *(pattern.lstrip("/") for pattern in patterns))
    return Fact(asking, _vnfs_image, f"zstd -dc /srv/warewulf/vnfs/{name}/image.* | cpio -it")


def bootstrap(name: str) -> Fact[Bootstrap]:
    """The bootstrap of that name as nodes download it."""
    return Fact(
        _asking("bootstrap", name), _bootstrap, "zcat /srv/warewulf/bootstrap/*/*/initfs.gz | cpio -it"
    )
