"""Slurm's host lists: `c[1-4,08-10],login` to names, and back.

The grammar is that of `hostlist_create` in src/common/hostlist.c: comma-separated names, each with any number
of bracketed ranges; a range keeps the zeros of its first number.
"""

from __future__ import annotations

LIMIT = 65536
"""No cluster has more nodes; a list that says so is a mistake or an attack."""


class HostlistError(ValueError):
    """The text is no host list."""


def expand(text: str, *, limit: int = LIMIT) -> tuple[str, ...]:
    """Every name of a list, in its order."""
    names: list[str] = []
    for part in _split(text):
        if not part:
            raise HostlistError(f"an empty name in {text!r}")
        names.extend(_expand_one(part, limit))
        if len(names) > limit:
            raise HostlistError(f"more than {limit} names in {text!r}")
    return tuple(names)


def _split(text: str) -> list[str]:
    """The list at its commas, those in brackets left alone."""
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
    """One name with its brackets; the last bracket counts fastest."""
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
        # isdigit alone takes superscripts and other scripts' digits.
        if not (first.isascii() and first.isdigit() and last.isascii() and last.isdigit()):
            raise HostlistError(f"{part!r} is no range in {text!r}")
        if len(first) > 9 or len(last) > 9 or int(last) < int(first):
            raise HostlistError(f"{part!r} runs backwards or too far in {text!r}")
        if len(found) + int(last) - int(first) >= limit:
            raise HostlistError(f"more than {limit} names in {text!r}")
        found.extend(str(number).zfill(len(first)) for number in range(int(first), int(last) + 1))
    return found


def collapse(names: tuple[str, ...] | list[str]) -> str:
    """The shortest list we can write for these names, in their order; `expand` gives them back."""
    parts: list[str] = []
    position = 0
    while position < len(names):
        stem, digits = _stem(names[position])
        end = position + 1
        numbers = [digits]
        while digits and end < len(names):
            next_stem, next_digits = _stem(names[end])
            if next_stem != stem or not next_digits or not _fits(next_digits, numbers):
                break
            numbers.append(next_digits)
            end += 1
        parts.append(f"{stem}[{_ranges(numbers)}]" if len(numbers) > 1 else names[position])
        position = end
    return ",".join(parts)


def _stem(name: str) -> tuple[str, str]:
    stem = name.rstrip("0123456789")
    digits = name[len(stem) :]
    return (stem, digits) if len(digits) <= 9 else (name, "")


def _fits(digits: str, numbers: list[str]) -> bool:
    """Whether a number can be written in one bracket with these: only zero-padding sets widths apart."""
    return len(digits) == len(numbers[-1]) or not (digits.startswith("0") or numbers[-1].startswith("0"))


def _ranges(numbers: list[str]) -> str:
    runs: list[tuple[str, str]] = []
    for number in numbers:
        if runs and number == str(int(runs[-1][1]) + 1).zfill(len(runs[-1][0])):
            runs[-1] = (runs[-1][0], number)
        else:
            runs.append((number, number))
    return ",".join(first if first == last else f"{first}-{last}" for first, last in runs)
