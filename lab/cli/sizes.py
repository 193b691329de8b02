"""Offers the sizes that nodes have in the tutorial, where the host has the room."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lab.model import ClusterSpec

USUAL, TUTORIAL = 1024, 5912  # MiB of a compute node: by default, and in the tutorial
FULL = 2
"""Nodes that may fill their memory at once. The limit of a container costs nothing until it is used."""
MEMINFO = Path("/proc/meminfo")


def offer(spec: ClusterSpec, made: Collection[str], available: int) -> str:
    """The offer of the tutorial's sizes to nodes made now, with the command; "" if it does not apply.

    `available` is the host's free memory in MiB. Machines are not offered it: they keep what they once used.
    """
    from lab.model import Role

    nodes = [node for node in spec.nodes if node.role is Role.COMPUTE and node.name in made]
    groups = dict.fromkeys(node.name.rstrip("0123456789") for node in nodes if node.memory == USUAL)
    if spec.backend != "docker" or not groups or available < FULL * TUTORIAL:
        return ""
    sets = " ".join(f"--set {group}.memory={TUTORIAL}" for group in groups)
    return (
        f"compute nodes have {USUAL} MiB of memory, the tutorial's {TUTORIAL}; this host has room for that:\n"
        f"  lab up -l {spec.lab} {sets}"
    )


def available_memory(meminfo: Path = MEMINFO) -> int:
    """Memory of this host that programs can have, in MiB; 0 if unknown."""
    try:
        lines = meminfo.read_text(encoding="utf-8").splitlines()
        return next(int(line.split()[1]) >> 10 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, ValueError, IndexError, StopIteration):
        return 0
