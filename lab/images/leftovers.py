"""Bounds the folder where downloaded trees and package stores wait: one file each, and nothing half made."""

from __future__ import annotations

import re
import shutil
from collections.abc import Set as AbstractSet
from contextlib import suppress
from pathlib import Path

from lab.images.recipe import KEY_DIGITS

DAY = 86400.0
HALF_MADE = DAY  # seconds after which nobody goes on with it: no build takes so long
UNKNOWN = 30 * DAY  # another version of lab on this account may have recipes that we do not
MADE = re.compile(rf"(.+)-[0-9a-f]{{{KEY_DIGITS}}}\.tar")


def put(unfinished: Path, target: Path, name: str) -> None:
    """Gives a finished tar file its place; former ones of that name go."""
    unfinished.rename(target)
    for old in target.parent.glob(f"{name}-{'[0-9a-f]' * KEY_DIGITS}.tar"):
        if old != target:
            old.unlink(missing_ok=True)


def remove_leftovers(cache: Path, known: AbstractSet[str], now: float) -> None:
    """Removes what killed builds left, and what no recipe has wanted for long.

    `known` are the names of all trees and stores; `now` is in seconds since 1970. What is made anew replaces
    its former file already (`put`).
    """
    for path in cache.iterdir():
        with suppress(OSError):
            if now - path.lstat().st_mtime > _seconds(path.name, known):
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


def _seconds(name: str, known: AbstractSet[str]) -> float:
    """How long a file or folder of the cache may stay."""
    if name.endswith(".part") or name.startswith("rackling-"):
        return HALF_MADE
    made = MADE.fullmatch(name)
    return UNKNOWN if made and made[1] not in known else float("inf")
