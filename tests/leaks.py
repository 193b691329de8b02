"""What a lab could leave behind on the host, as one comparable picture: taken before and after a test."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path


@dataclass(frozen=True)
class Picture:
    """Names of everything of a kind that a lab makes; two pictures of a clean host are equal."""

    containers: frozenset[str]
    volumes: frozenset[str]
    images: frozenset[str]
    links: frozenset[str]
    namespaces: frozenset[str]
    mounts: frozenset[str]
    processes: frozenset[str]
    locks: frozenset[str]

    def new_since(self, before: Picture) -> dict[str, list[str]]:
        """What is here and was not before, by kind."""
        found = {}
        for kind in fields(self):
            extra = getattr(self, kind.name) - getattr(before, kind.name)
            if extra:
                found[kind.name] = sorted(extra)
        return found


LABS = tuple(f"{name}{os.getpid()}" for name in ("it", "ittwo", "itkill"))
"""The labs of the integration tests; other labs may come and go meanwhile, those of other test runs too."""
ENGINE_LINK = re.compile(r"docker0|br-[0-9a-f]{12}|veth[0-9a-f]{7}")  # of somebody's ordinary containers
ENGINE = re.compile(r" /(var/lib|run)/docker/")


def take() -> Picture:
    """Looks at the host now: the engine's objects of our labs, and everything else of the host's."""
    return Picture(
        containers=_of_labs("ps", "-a", "-q", "--no-trunc"),
        volumes=_of_labs("volume", "ls", "-q") | _volumes_by_name() | _locks(),
        images=_of_labs("images", "-q", "--no-trunc"),
        links=frozenset(name for name in _links() if not ENGINE_LINK.match(name)),
        namespaces=_lines(["ip", "netns", "list"], lambda line: line.split()[0]),
        mounts=frozenset(
            line.split()[1]
            for line in Path("/proc/mounts").read_text().splitlines()
            if not ENGINE.search(line)
        ),
        processes=_orphans(),
        locks=frozenset(str(path) for path in Path("/run").glob("netns/*")),
    )


def _orphans() -> frozenset[str]:
    """Processes of containers that the engine no longer has, by their number."""
    known = _docker("ps", "-a", "-q", "--no-trunc")
    found = set()
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            group = (entry / "cgroup").read_text()
        except OSError:
            continue
        container = re.search(r"docker[/-]([0-9a-f]{64})", group)
        if container and container[1] not in known:
            found.add(entry.name)
    return frozenset(found)


def _links() -> frozenset[str]:
    return _lines(["ip", "-o", "link", "show"], lambda line: line.split(":")[1].strip())


def _of_labs(*words: str) -> frozenset[str]:
    return frozenset().union(*(_docker(*words, "--filter", f"label=rackling.lab={lab}") for lab in LABS))


def _volumes_by_name() -> frozenset[str]:
    """Those that have lost their labels, too."""
    names = _docker("volume", "ls", "-q")
    return frozenset(name for name in names for lab in LABS if name.startswith(f"rackling-{lab}-"))


def _locks() -> frozenset[str]:
    """Volumes by which commands have locked labs."""
    return frozenset().union(
        *(_docker("volume", "ls", "-q", "--filter", f"label=rackling.locked={lab}") for lab in LABS)
    )


def _docker(*words: str) -> frozenset[str]:
    return _lines(["docker", *words], str.strip)


def _lines(command: list[str], read: Callable[[str], str]) -> frozenset[str]:
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    return frozenset(read(line) for line in done.stdout.splitlines() if line.strip())
