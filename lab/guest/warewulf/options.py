"""Parses options mixed with words as Perl's Getopt::Long does for Warewulf."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lab.guest.warewulf.errors import WarewulfError


class OptionError(WarewulfError):
    """The command line is invalid; the text tells users why."""


@dataclass(frozen=True)
class Option:
    """One option: its key, its names (one letter or a word), and whether it takes no value."""

    key: str
    names: tuple[str, ...]
    flag: bool = False


@dataclass(frozen=True)
class Parsed:
    """A parsed line: plain words, and the values of each option in their order."""

    words: tuple[str, ...]
    values: Mapping[str, tuple[str, ...]]

    def has(self, key: str) -> bool:
        """Whether the option was given."""
        return key in self.values

    def one(self, key: str, default: str = "") -> str:
        """The last value of the option."""
        return self.values[key][-1] if key in self.values else default

    def listed(self, key: str) -> tuple[str, ...]:
        """All values of the option, split at commas, without blanks."""
        return tuple(
            word.strip() for value in self.values.get(key, ()) for word in value.split(",") if word.strip()
        )


def parse(options: Sequence[Option], line: Sequence[str]) -> Parsed:
    """Separates options from words, wherever they stand in the line; `--` ends the options."""
    words: list[str] = []
    values: dict[str, tuple[str, ...]] = {}
    rest = list(line)
    while rest:
        word = rest.pop(0)
        if word == "--":
            words.extend(rest)
            break
        if len(word) < 2 or word[0] != "-":
            words.append(word)
            continue
        option, value = _recognised(options, word)
        if option.flag:
            value = "1"
        elif value is None:
            if not rest:
                raise OptionError(f"Option {word.lstrip('-')} requires an argument")
            value = rest.pop(0)
        values[option.key] = (*values.get(option.key, ()), value)
    return Parsed(tuple(words), values)


def _recognised(options: Sequence[Option], word: str) -> tuple[Option, str | None]:
    name, equals, value = word.lstrip("-").partition("=")
    long = [n for option in options for n in option.names if len(n) > 1 and n.startswith(name)]
    for option in options:
        if name in option.names:
            return option, value if equals else None
    if len(name) > 1 and len(long) == 1:
        return next(o for o in options if long[0] in o.names), value if equals else None
    if len(name) > 1 and len(long) > 1:
        raise OptionError(f"Option {name} is ambiguous ({', '.join(sorted(long))})")
    for option in options:
        # -Deth0: the value follows the letter directly.
        if not word.startswith("--") and not option.flag and word[1] in option.names:
            return option, word[2:]
    raise OptionError(f"Unknown option: {name}")
