"""Expands Slurm's host lists: `c[1-4,08-10],login`.

The grammar is that of `hostlist_create` in src/common/hostlist.c: comma-separated names, each with any number
of bracketed ranges; a range keeps the leading zeros of its first number.
"""

from __future__ import annotations

LIMIT = 65536
"""The most names in a list. No cluster has more nodes, so a longer list is a mistake or an attack."""


class HostlistError(ValueError):
    """The text is not a host list."""


def expand(text: str, *, limit: int = LIMIT) -> tuple[str, ...]:
    """All names of a list, in order. Raises `HostlistError`."""
    names: list[str] = []
    for part in _split(text):
        if not part:
            raise HostlistError(f"an empty name in {text!r}")
        names.extend(_expand_one(part, limit))
        if len(names) > limit:
            raise HostlistError(f"more than {limit} names in {text!r}")
    return tuple(names)


def _split(text: str) -> list[str]:
    """Splits the list at the commas outside brackets."""
    parts, depth, start = [], 0, 0
    for position, char in enumerate(text):
        if char == "[":
            depth += 1
        elif char == "]":
            depth -= 1
        if depth not in (0, 1):
            raise HostlistError(f"brackets do not match in {text!r}")
        if char == "," and not depth:
            parts.append(text[start:position])
            start = position + 1
    if depth:
        raise HostlistError(f"brackets do not match in {text!r}")
    return [*parts, text[start:]]


def _expand_one(text: str, limit: int) -> list[str]:
    """Expands one name. The last bracket varies fastest."""
    names = [""]
    rest = text
    while rest:
        head, opened, rest = rest.partition("[")
        inside, _, rest = rest.partition("]") if opened else ("", "", "")
        numbers = _numbers(inside, text, limit) if opened else [""]
        if len(names) * len(numbers) > limit:
            raise HostlistError(f"more than {limit} names in {text!r}")
        names = [f"{name}{head}{number}" for name in names for number in numbers]
    return names


def _numbers(inside: str, text: str, limit: int) -> list[str]:
    found: list[str] = []
    for part in inside.split(","):
        first, dash, last = part.partition("-")
        last = last if dash else first
        # isdigit alone accepts superscripts and the digits of other scripts.
        if not (first.isascii() and first.isdigit() and last.isascii() and last.isdigit()):
            raise HostlistError(f"{part!r} is not a range in {text!r}")
        if len(first) > 9 or len(last) > 9 or int(last) < int(first):
            raise HostlistError(f"{part!r} runs backwards or too far in {text!r}")
        if len(found) + int(last) - int(first) >= limit:
            raise HostlistError(f"more than {limit} names in {text!r}")
        found.extend(str(number).zfill(len(first)) for number in range(int(first), int(last) + 1))
    return found
