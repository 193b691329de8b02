"""Reads the subset of TOML in which image.toml is written; Python has a reader of its own from 3.11 on only.

Tables, bare and quoted keys, strings on one line, whole numbers, truth values, and arrays of those. What it
accepts means the same in TOML; what else TOML has is refused with the line, on every version of Python.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Union

Value = Union[str, int, bool, list[str], list[int], list[bool]]

_SPACE = re.compile(r"[ \t]*")
_LINE_END = re.compile(r"[ \t]*(?:#[^\x00-\x08\x0a-\x1f\x7f]*)?(?:\r?\n|\Z)")
_BETWEEN = re.compile(r"(?:[ \t]|\r?\n|#[^\x00-\x08\x0a-\x1f\x7f]*(?=\r?\n|\Z))*")
_HEADER = re.compile(r"\[[ \t]*([A-Za-z0-9_-]+(?:[ \t]*\.[ \t]*[A-Za-z0-9_-]+)*)[ \t]*\]")
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_BASIC = re.compile(r'"((?:[^"\\\x00-\x08\x0a-\x1f\x7f]|\\["\\bfnrt]|\\u[0-9A-Fa-f]{4})*)"')
_LITERAL = re.compile(r"'([^'\x00-\x08\x0a-\x1f\x7f]*)'")
_INTEGER = re.compile(r"[+-]?(?:0|[1-9](?:_?[0-9])*)(?![0-9A-Za-z_.:+-])")
_TRUTH = re.compile(r"(?:true|false)(?![A-Za-z0-9_-])")
_ESCAPE = re.compile(r"\\(u[0-9A-Fa-f]{4}|.)")
_PLAIN = {'"': '"', "\\": "\\", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}


class TomlError(ValueError):
    """The text is not in the subset; `line` counts from 1."""

    def __init__(self, line: int, text: str) -> None:
        super().__init__(text)
        self.line = line


@dataclass(frozen=True)
class Entry:
    """A value and the line of its key."""

    value: Value
    line: int


Tables = dict[str, dict[str, Entry]]
"""Maps the dotted name of a table, or an empty string for the top, to its keys."""


def parse(text: str) -> Tables:
    """All tables of a document. Raises TomlError."""
    return _Reader(text).read()


class _Reader:
    """Reads a document from its begin to its end."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._tables: Tables = {"": {}}

    def read(self) -> Tables:
        """The whole document."""
        table = ""
        while True:
            self._take(_BETWEEN)
            if self._at == len(self._text):
                return self._tables
            if self._peek() == "[":
                table = self._header()
            else:
                self._pair(table)
            if self._take(_LINE_END) is None:
                raise self._error("only a comment may follow on this line")

    def _header(self) -> str:
        line = self._line()
        found = self._take(_HEADER)
        if found is None:
            raise self._error("not a table: write [name] or [name.part]")
        name = re.sub(r"[ \t]", "", found[1])
        if name in self._tables or self._is_value(name):
            raise TomlError(line, f"{name} is there twice")
        self._tables[name] = {}
        return name

    def _is_value(self, name: str) -> bool:
        """Whether a table's name, or the begin of it, is a key that has a value."""
        parts = name.split(".")
        return any(
            parts[count] in self._tables.get(".".join(parts[:count]), {}) for count in range(len(parts))
        )

    def _pair(self, table: str) -> None:
        line = self._line()
        key = self._key()
        self._take(_SPACE)
        if self._peek() != "=":
            raise self._error(f"expected = after {key}")
        self._at += 1
        self._take(_SPACE)
        path = f"{table}.{key}" if table else key
        if key in self._tables[table] or any(f"{name}.".startswith(f"{path}.") for name in self._tables):
            raise TomlError(line, f"{path} is there twice")
        self._tables[table][key] = Entry(self._value(), line)

    def _key(self) -> str:
        bare = self._take(_BARE)
        if bare is not None:
            return bare[0]
        if self._peek() in ("'", '"'):
            return self._string()
        raise self._error("expected a key or a table")

    def _value(self) -> Value:
        if self._peek() != "[":
            return self._scalar()
        self._at += 1
        found: list[Union[str, int, bool]] = []
        while True:
            self._take(_BETWEEN)
            if self._peek() == "]":
                self._at += 1
                break
            found.append(self._scalar())
            self._take(_BETWEEN)
            if self._peek() == ",":
                self._at += 1
            elif self._peek() != "]":
                raise self._error("expected , or ] in an array")
        if len({type(one) for one in found}) > 1:
            raise self._error("the values of an array must be of one kind")
        return found  # type: ignore[return-value]  # of one kind, as was just seen

    def _scalar(self) -> Union[str, int, bool]:
        if self._peek() in ("'", '"'):
            return self._string()
        truth = self._take(_TRUTH)
        if truth is not None:
            return truth[0] == "true"
        number = self._take(_INTEGER)
        if number is not None:
            return int(number[0].replace("_", ""))
        raise self._error("expected a string in quotes, a whole number, true, false or an array of those")

    def _string(self) -> str:
        if self._text.startswith(('"""', "'''"), self._at):
            raise self._error("strings over several lines are not read here: use one line with \\n")
        literal = self._take(_LITERAL)
        if literal is not None:
            return literal[1]
        basic = self._take(_BASIC)
        if basic is None:
            raise self._error("a string does not end on its line, or has an unknown escape")
        return _ESCAPE.sub(self._unescaped, basic[1])

    def _unescaped(self, found: re.Match[str]) -> str:
        if len(found[1]) == 1:
            return _PLAIN[found[1]]
        number = int(found[1][1:], 16)
        if 0xD800 <= number < 0xE000:
            raise self._error(f"\\{found[1]} is no character")
        return chr(number)

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1]

    def _take(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        found = pattern.match(self._text, self._at)
        if found is not None:
            self._at = found.end()
        return found

    def _line(self) -> int:
        return self._text.count("\n", 0, self._at) + 1

    def _error(self, text: str) -> TomlError:
        return TomlError(self._line(), text)
