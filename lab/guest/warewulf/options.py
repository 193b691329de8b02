"""Parses options mixed with words as Perl's Getopt::Long does for Warewulf, which switches `bundling` on."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from lab.guest.warewulf.errors import WarewulfError

Warn = Callable[[str], None]
_INTEGER = re.compile(r"^[-+]?[0-9]+$")


class OptionError(WarewulfError):
    """The command line is invalid; the text tells users why."""


@dataclass(frozen=True)
class Option:
    """One option: its key, its names (letter or word), and whether it takes no value, or maybe a number."""

    key: str
    names: tuple[str, ...]
    flag: bool = False
    count: bool = False


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


def parse(
    options: Sequence[Option], line: Sequence[str], warn: Warn, *, pass_through: bool = False
) -> Parsed:
    """Separates options from words, wherever they stand in the line; `--` ends the options.

    An option with an empty value is left out with a warning: guides leave options empty that they do not
    need. An unknown option, which Getopt::Long only tells of, raises OptionError; with `pass_through` it is
    a word.
    """
    return _Reader(options, line, warn, pass_through=pass_through).read()


@dataclass(frozen=True)
class _Given:
    """An option as written: its name, and the value in the same word, after a `=` or after its letter."""

    option: Option
    name: str
    attached: str | None


class _Reader:
    """Reads one line from left to right; the rules are those of Getopt::Long's FindOption."""

    def __init__(
        self, options: Sequence[Option], line: Sequence[str], warn: Warn, *, pass_through: bool
    ) -> None:
        self._names = {name: option for option in options for name in option.names}
        self._rest = list(line)
        self._warn = warn
        self._pass_through = pass_through
        self._words: list[str] = []
        self._values: dict[str, tuple[str, ...]] = {}

    def read(self) -> Parsed:
        """The whole line."""
        while self._rest:
            word = self._rest.pop(0)
            if word == "--":
                self._words += ["--", *self._rest] if self._pass_through else self._rest
                break
            if len(word) < 2 or word[0] != "-" or not self._take(word):
                self._words.append(word)
        return Parsed(tuple(self._words), self._values)

    def _take(self, word: str) -> bool:
        """Stores the option that a word begins with; False if the word is to be passed on."""
        given = self._long(word[2:]) if word.startswith("--") else self._letter(word[1:])
        if given is None:
            return False
        value = self._value(given)
        if value == "":
            # Getopt::Long says so of `--name=`, too, and goes on without the option.
            self._warn(f"Option {given.name} requires an argument; it was left out")
        elif value is not None:
            key = given.option.key
            self._values[key] = (*self._values.get(key, ()), value)
        return value is not None

    def _long(self, text: str) -> _Given | None:
        """`--name` or `--name=value`; a name may be shortened and is the same in any case."""
        name, equals, value = text.partition("=")
        name = name.lower()
        hits = [name] if name in self._names else [one for one in self._names if one.startswith(name)]
        options = {self._names[one].key for one in hits}
        if len(options) > 1 and not self._pass_through:
            raise OptionError(f"Option {name} is ambiguous ({', '.join(sorted(hits))})")
        if len(options) != 1:
            self._unknown(name)
            return None
        return _Given(self._names[hits[0]], name, value if equals else None)

    def _letter(self, text: str) -> _Given | None:
        """`-x`, `-xVALUE`, `-x=VALUE`, or several flags as `-xyz`."""
        name, more = text[0], text[1:]
        option = self._names.get(name)
        if option is None:
            self._unknown(name if len(text) == 1 or text[1] == "=" else text)
            return None
        if option.flag:
            if more:
                self._rest.insert(0, f"-{more}")
            return _Given(option, name, None)
        # Warewulf's help writes `-l=cluster`, which its parser reads as the value `=cluster`.
        return _Given(option, name, more.removeprefix("=") if more else None)

    def _unknown(self, name: str) -> None:
        if not self._pass_through:
            raise OptionError(f"Unknown option: {name.partition('=')[0]}")

    def _value(self, given: _Given) -> str | None:
        """The value of an option, which may be the next word; None if the option is to be passed on."""
        if given.option.flag:
            if given.attached is None:
                return "1"
            if self._pass_through:
                return None
            raise OptionError(f"Option {given.name} does not take an argument")
        if given.attached is not None:
            return given.attached
        if given.option.count:
            return self._rest.pop(0) if self._rest and _INTEGER.match(self._rest[0]) else "0"
        if not self._rest:
            raise OptionError(f"Option {given.name} requires an argument")
        return self._rest.pop(0)
