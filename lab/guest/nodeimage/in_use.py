"""Finds what still uses a tree: mounts below it, and processes that have it as their root."""

from __future__ import annotations

import os
import re

from lab.guest.nodeimage.errors import IN_USE, NodeImageError

_OCTAL = re.compile(r"\\([0-7]{3})")


def refuse(tree: str) -> None:
    """Raises NodeImageError while a container runs in the tree or anything is mounted below it."""
    inside = processes(tree)
    if inside:
        raise NodeImageError(
            IN_USE,
            f"a container still runs in {tree}: its files may change while they are packed",
            evidence="\n".join(f"process {number}: {name}" for number, name in inside[:10]),
            hint="machinectl list, then machinectl poweroff NAME",
        )
    below = mounts(tree)
    if below:
        raise NodeImageError(
            IN_USE,
            f"something is mounted below {tree}, and would be mistaken for a part of it",
            evidence="\n".join(below[:10]),
            hint="umount " + " ".join(reversed(below)),
        )


def mounts(tree: str) -> list[str]:
    """The mount points below a tree: proc_pid_mountinfo(5), fifth field, with octal escapes."""
    prefix = os.path.realpath(tree).rstrip("/") + "/"
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        points = [_OCTAL.sub(lambda one: chr(int(one[1], 8)), line.split()[4]) for line in file]
    return sorted(point for point in points if point.startswith(prefix))


def processes(tree: str) -> list[tuple[int, str]]:
    """Numbers and names of the processes whose root is the tree, in whatever mount namespace.

    The folder is recognized by device and inode: the path of a root in another namespace says nothing.
    """
    wanted = os.stat(tree)
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                root = os.stat(f"/proc/{name}/root")
            except OSError:
                continue  # it has ended, or belongs to another user, whose container is not ours to judge
            if (root.st_dev, root.st_ino) == (wanted.st_dev, wanted.st_ino):
                found.append((int(name), _name(name)))
    return sorted(found)


def _name(number: str) -> str:
    try:
        with open(f"/proc/{number}/comm", encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return "?"
