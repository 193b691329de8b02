"""Selects the kernel modules of a bootstrap and restricts modprobe's tables to them; pure functions."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

_SUFFIX = re.compile(r"\.ko(\.(xz|zst|gz))?$")


def module_name(path: str) -> str:
    """The kernel's name for a module file."""
    return _SUFFIX.sub("", path.rsplit("/", 1)[-1]).replace("-", "_")


def parse_dep(text: str) -> dict[str, tuple[str, ...]]:
    """Parses modules.dep: maps each module's path to the paths of the modules that it needs."""
    found: dict[str, tuple[str, ...]] = {}
    for line in text.splitlines():
        path, colon, needs = line.partition(":")
        if colon:
            found[path.strip()] = tuple(needs.split())
    return found


def choose(dep: Mapping[str, tuple[str, ...]], drivers: Iterable[str]) -> list[str]:
    """The paths of modules given by name or path prefix, with all their dependencies.

    Warewulf: wwbootstrap matches each entry of `drivers` against modules.dep.
    """
    words = [word.strip() for word in drivers if word.strip()]
    names = {module_name(word) for word in words if "/" not in word}
    prefixes = tuple(word.lstrip("/") for word in words if "/" in word)
    chosen = [path for path in dep if module_name(path) in names or path.startswith(prefixes or ("\0",))]
    found: set[str] = set()
    while chosen:
        path = chosen.pop()
        if path not in found and path in dep:
            found.add(path)
            chosen.extend(dep[path])
    return sorted(found)


def restricted_dep(dep: Mapping[str, tuple[str, ...]], chosen: Sequence[str]) -> str:
    """modules.dep, restricted to the chosen modules."""
    return "".join(f"{path}: {' '.join(dep[path])}".rstrip() + "\n" for path in chosen)


def restricted_table(text: str, chosen: Iterable[str]) -> str:
    """modules.alias or modules.symbols, restricted to the chosen modules."""
    names = {module_name(path) for path in chosen}
    lines = [line for line in text.splitlines() if line.startswith("#") or line.rsplit(" ", 1)[-1] in names]
    return "".join(f"{line}\n" for line in lines)


def restricted_order(text: str, chosen: Iterable[str]) -> str:
    """modules.order, restricted to the chosen modules; it lists names without compression suffix."""
    names = {module_name(path) for path in chosen}
    return "".join(f"{line}\n" for line in text.splitlines() if module_name(line) in names)
