"""The manifest of a release: what was built of which commit, and every file with its size and digest."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lab.guest.nodeimage.errors import INVALID, NodeImageError
from lab.guest.nodeimage.files import digest
from lab.guest.nodeimage.places import json_bytes, parsed_json
from lab.guest.nodeimage.role import NAME
from lab.guest.nodeimage.signature import SUFFIX

FILE = "manifest.json"
FORMAT = 1
FACTS = ("role", "commit", "ref", "date", "arch", "compress", "packages")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Manifest:
    """A manifest that was read and has the form of one; its signature is a matter of its own."""

    folder: str
    release: str
    facts: Mapping[str, str]
    unpacked: int
    tests: Mapping[str, Any]
    files: Mapping[str, tuple[int, str]]

    @property
    def data(self) -> dict[str, object]:
        """For --json."""
        files = {name: {"size": size, "sha256": sha} for name, (size, sha) in self.files.items()}
        about = {"release": self.release, "unpacked": self.unpacked, "tests": dict(self.tests)}
        return {**self.facts, **about, "files": files}


def made(record: Mapping[str, Any], release: str) -> bytes:
    """The manifest of a packed image, as bytes. It holds no time of its own: equal images give equal ones."""
    kept = {key: record[key] for key in (*FACTS, "unpacked", "tests", "files")}
    return json_bytes({**kept, "format": FORMAT, "release": release})


def read(folder: str) -> Manifest:
    """Reads a manifest. Raises NodeImageError unless it has the form of one."""
    return parse(folder, raw(folder))


def raw(folder: str) -> bytes:
    """The bytes of a manifest; none if it is missing."""
    try:
        with open(os.path.join(folder, FILE), "rb") as file:
            return file.read()
    except FileNotFoundError:
        return b""


def parse(folder: str, data: bytes) -> Manifest:
    """A manifest from its bytes."""
    path = os.path.join(folder, FILE)
    found = parsed_json(data)
    files = found.get("files")
    facts = {key: found.get(key) for key in FACTS}
    good = (
        found.get("format") == FORMAT
        and isinstance(files, dict)
        and {"image", "kernel"} <= files.keys()
        and all(_good(name, one) for name, one in files.items())
        and all(
            isinstance(value, str) and value.isprintable()
            for value in (*facts.values(), found.get("release"))
        )
        and type(found.get("unpacked")) is int
        and isinstance(found.get("tests"), dict)
    )
    if not good or not isinstance(files, dict):
        raise NodeImageError(
            INVALID,
            f"{path} is missing or is no manifest",
            hint=f"ls -l {folder}; publish or copy the release anew",
        )
    return Manifest(
        folder=folder,
        release=str(found["release"]),
        facts={key: str(value) for key, value in facts.items()},
        unpacked=int(found["unpacked"]),
        tests=found["tests"],
        files={name: (one["size"], one["sha256"]) for name, one in files.items()},
    )


def _good(name: object, one: object) -> bool:
    """Whether an entry is a plain name with a size and a digest."""
    return (
        isinstance(name, str)
        and NAME.fullmatch(name) is not None
        and name not in (FILE, FILE + SUFFIX)
        and isinstance(one, dict)
        and type(one.get("size")) is int
        and isinstance(one.get("sha256"), str)
        and _SHA256.fullmatch(one["sha256"]) is not None
    )


def problems(manifest: Manifest) -> list[str]:
    """What of a folder is not as its manifest says: missing, additional and changed files."""
    expected = {*manifest.files, FILE, FILE + SUFFIX}
    present = set(os.listdir(manifest.folder))
    found = [f"{name}: missing" for name in sorted(expected - present)]
    found += [f"{name!r}: not in the manifest" for name in sorted(present - expected)]
    for name, (size, sha) in sorted(manifest.files.items()):
        if name in present:
            found += _changed(os.path.join(manifest.folder, name), name, size, sha)
    return found


def _changed(path: str, name: str, size: int, sha: str) -> list[str]:
    if os.path.islink(path) or not os.path.isfile(path):
        return [f"{name}: not a plain file"]
    if os.path.getsize(path) != size:
        return [f"{name}: {os.path.getsize(path)} bytes, expected {size}"]
    is_now = digest(path)["sha256"]
    return [] if is_now == sha else [f"{name}: SHA-256 {is_now}, expected {sha}"]
