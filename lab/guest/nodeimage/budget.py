"""What an image takes of a node's memory once it is unpacked, and where that lies in the tree."""

from __future__ import annotations

import os
import stat
from collections import defaultdict
from collections.abc import Sequence

from lab.guest.archive.tree import Item
from lab.guest.nodeimage.errors import BUDGET, NodeImageError
from lab.guest.nodeimage.output import size_text

PAGE = 4096
"""tmpfs and rootfs keep files in whole pages."""
SHOWN = 10


def unpacked(items: Sequence[Item]) -> int:
    """Bytes of memory that the files' contents take in a root file system in memory."""
    return sum(_pages(item) for item in items)


def check(items: Sequence[Item], budget: int | None, role: str) -> int:
    """The unpacked size. Raises NodeImageError with the largest folders if it is over the budget."""
    size = unpacked(items)
    if budget is not None and size > budget:
        rows = [f"{size_text(used):>12}  /{os.fsdecode(path)}" for path, used in largest(items)]
        raise NodeImageError(
            BUDGET,
            f"the image of {role} takes {size_text(size)} unpacked, and its budget is {size_text(budget)}",
            evidence="\n".join(["the largest folders:", *rows]),
            hint="leave paths out ([image] exclude), or raise [image] memory in image.toml",
        )
    return size


def largest(items: Sequence[Item]) -> list[tuple[bytes, int]]:
    """The folders that take most, each with everything below it, largest first.

    A folder that hardly holds more than one folder in it is left out in favour of that one.
    """
    sizes: dict[bytes, int] = defaultdict(int)
    for item in items:
        used = _pages(item)
        path = os.path.dirname(item.entry.path) if used else b""
        while path:
            sizes[path] += used
            path = os.path.dirname(path)
    biggest_child: dict[bytes, int] = defaultdict(int)
    for path, used in sizes.items():
        parent = os.path.dirname(path)
        biggest_child[parent] = max(biggest_child[parent], used)
    telling = [(path, used) for path, used in sizes.items() if biggest_child[path] * 10 < used * 9]
    return sorted(telling, key=lambda one: (-one[1], one[0]))[:SHOWN]


def _pages(item: Item) -> int:
    if not stat.S_ISREG(item.entry.mode):
        return 0
    return -(-item.entry.size // PAGE) * PAGE
