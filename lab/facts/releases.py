"""Facts about releases of images: which there are, which one is active, and what nodes were sent of them."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import Any

from lab.facts.fact import Fact, FactError
from lab.hostile_json import read_json, text_of

UNKNOWN = 19  # exit status of nodeimage: there is no such release
INVALID = 18  # the release is not what was signed
LOG = "/var/log/nginx/access.log"


@dataclass(frozen=True)
class Release:
    """A release as its manifest tells of it; `size` is that of its image, in bytes."""

    name: str
    commit: str
    size: int


def release(role: str, name: str) -> Fact[Release | None]:
    """A release, or None if there is none of that name."""
    return _shown(f"nodeimage show {shlex.quote(role)} {shlex.quote(name)} --json")


def active(role: str) -> Fact[Release | None]:
    """The active release, or None if none is."""
    return _shown(f"nodeimage show {shlex.quote(role)} --json")


def names(role: str) -> Fact[tuple[str, ...]]:
    """The names of all releases of a role, oldest first."""
    command = f"nodeimage list {shlex.quote(role)} --json"

    def parse(status: int, output: str) -> tuple[str, ...]:
        return tuple(text_of(one["release"]) for one in _told(command, status, output, (0,))["releases"])

    return Fact(command, parse)


def _shown(command: str) -> Fact[Release | None]:
    def parse(status: int, output: str) -> Release | None:
        if status == UNKNOWN:
            return None
        found = _told(command, status, output, (0,))
        image = found["files"]["image"]
        return Release(text_of(found["release"]), text_of(found["commit"]), int(image["size"]))

    return Fact(command, parse)


def flaw(role: str, name: str) -> Fact[str]:
    """What of a release is not as it was signed; empty if all is."""
    command = f"nodeimage verify {shlex.quote(role)} {shlex.quote(name)} --json"

    def parse(status: int, output: str) -> str:
        found = _told(command, status, output, (0, INVALID))
        if status == 0:
            return ""
        error = found["error"]
        return "; ".join([text_of(error["message"]), *map(text_of, error["evidence"])])

    return Fact(command, parse)


def _told(command: str, status: int, output: str, good: tuple[int, ...]) -> dict[str, Any]:
    """The JSON object that nodeimage printed, among whatever it wrote beside it."""
    if status not in good:
        raise FactError(f"`{command}` ended with status {status}", status, output)
    lines = [line for line in output.splitlines() if line.startswith("{")]
    found = read_json(lines[-1] if lines else "")
    if not isinstance(found, dict):
        raise FactError(f"`{command}` printed no object", status, output)
    return found


def sent_to(address: str) -> Fact[tuple[int, ...]]:
    """How many bytes the web server sent to a node, by each request that it answered, in order.

    The log has nginx's format `combined`: status and $body_bytes_sent follow the request.
    """
    command = f"grep -aF {shlex.quote(address + ' ')} {LOG}"

    def parse(status: int, output: str) -> tuple[int, ...]:
        if status > 1:  # 1: no such line
            raise FactError(f"`{command}` ended with status {status}", status, output)
        sizes = []
        for line in output.splitlines():
            parts = line.split('"')
            words = parts[2].split() if line.startswith(address + " ") and len(parts) > 2 else []
            if len(words) == 2 and words[0] == "200" and words[1].isdecimal():
                sizes.append(int(words[1]))
        return tuple(sizes)

    return Fact(command, parse)
