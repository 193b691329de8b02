"""Where nodeimage keeps trees, proofs and images (the state), and releases; one lock a role."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from lab.guest.nodeimage.errors import BUSY, UNKNOWN, USAGE, NodeImageError
from lab.guest.nodeimage.role import FILE, NAME, load
from lab.guest.system import System

STATE = "/var/lib/nodeimage"
RELEASES = "/srv/nodeimage"
CURRENT = "current"
"""The link to the active release, so no release may have this name."""


@dataclass(frozen=True)
class Places:
    """The two folders that everything lies in, as absolute paths."""

    state: str
    releases: str

    @property
    def trees(self) -> str:
        """The base trees, one folder a digest."""
        return os.path.join(self.state, "trees")

    def role(self, name: str, *parts: str) -> str:
        """A path in a role's folder of the state."""
        return os.path.join(self.state, "roles", name, *parts)

    def served(self, name: str, *parts: str) -> str:
        """A path in a role's folder of releases."""
        return os.path.join(self.releases, name, *parts)


def role_name(word: str) -> str:
    """The name of a role, from its name or from its folder."""
    if os.path.isfile(os.path.join(word, FILE)):
        return load(word).name
    return checked(word, "role")


def checked(word: str, what: str) -> str:
    """A name of a role or release. Raises NodeImageError for what could be a path or an option."""
    if NAME.fullmatch(word) and word != CURRENT:
        return word
    kind = UNKNOWN if os.path.isdir(word) else USAGE
    rule = (
        "it is the link to the active release"
        if word == CURRENT
        else "letters, digits, dots, dashes, underscores"
    )
    raise NodeImageError(kind, f"{word!r} is no name of a {what}: {rule}", hint="nodeimage list")


@contextmanager
def locked(folder: str, name: str) -> Iterator[None]:
    """Holds a role's lock; the kernel releases it when the process ends, however it ends."""
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, ".lock")
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise NodeImageError(
            BUSY, f"another nodeimage works on {name}", hint=f"wait for it; fuser -v {path} shows it"
        ) from None
    finally:
        os.close(descriptor)


def read_json(path: str) -> dict[str, Any]:
    """A JSON object that nodeimage wrote; empty if it is missing or broken, which is no proof of anything."""
    try:
        with open(path, "rb") as file:
            return parsed_json(file.read())
    except OSError:
        return {}


def parsed_json(data: bytes) -> dict[str, Any]:
    """A JSON object, or an empty one for anything else."""
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def write_json(system: System, path: str, value: object) -> None:
    """Replaces a JSON file at once."""
    system.write(system.inside(path), json_bytes(value))


def json_bytes(value: object) -> bytes:
    """JSON for people and programs: the same value gives the same bytes."""
    return (json.dumps(value, indent=2, sort_keys=True, ensure_ascii=True) + "\n").encode()
