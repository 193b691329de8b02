"""Reads TOML tables and collects every problem instead of stopping at the first."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

from lab.errors import did_you_mean

Table = Mapping[str, object]
NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")


def read_toml(path: Path, problems: list[str]) -> Table:
    """Reads a TOML file; a missing or invalid file adds a problem and reads as an empty table."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        problems.append(f"{path.parent.name}/{path.name}: missing")
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        problems.append(f"{path.parent.name}/{path.name}: {error}")
    return {}


class TableReader:
    """Reads the keys of a TOML table; adds a problem for every wrong, missing or unknown key."""

    def __init__(self, where: str, content: Table, problems: list[str]) -> None:
        self.where = where
        self.problems = problems
        self._content = content
        self._asked: list[str] = []

    def _get(self, key: str, kind: type, *, required: bool) -> object | None:
        self._asked.append(key)
        value = self._content.get(key)
        if value is None:
            if required:
                self.problems.append(f"{self.where}: {key} is missing")
            return None
        if not isinstance(value, kind) or isinstance(value, bool):
            self.problems.append(f"{self.where}: {key} must be a {_kind(kind)}, not {value!r}")
            return None
        return value

    def text(self, key: str, *, required: bool = True) -> str:
        """A string that is not empty; "" where it may be missing and is."""
        value = cast("str | None", self._get(key, str, required=required))
        if value is not None and not value.strip():
            self.problems.append(f"{self.where}: {key} is empty")
        return value or ""

    def integer(self, key: str) -> int:
        """Reads a required whole number of at least 1."""
        value = cast("int | None", self._get(key, int, required=True))
        if value is not None and value < 1:
            self.problems.append(f"{self.where}: {key} must be at least 1, not {value}")
        return value or 0

    def pattern(self, key: str, pattern: re.Pattern[str], wanted: str) -> str:
        """Reads a required string that matches a pattern; `wanted` says in words what is valid."""
        value = self.text(key)
        if value and not pattern.fullmatch(value):
            self.problems.append(f"{self.where}: {key} must be {wanted}, not {value!r}")
        return value

    def name(self, key: str) -> str:
        """Reads a required name."""
        return self.pattern(key, NAME, "lower-case letters, digits and underscores")

    def texts(self, key: str, *, required: bool = True) -> tuple[str, ...]:
        """Reads a list of strings."""
        items = cast("list[object]", self._get(key, list, required=required) or [])
        wrong = [item for item in items if not isinstance(item, str)]
        if wrong:
            self.problems.append(f"{self.where}: {key} must be a list of strings, not {wrong[0]!r}")
        return tuple(item for item in items if isinstance(item, str))

    def choices(self, key: str, known: Sequence[str], *, required: bool = True) -> tuple[str, ...]:
        """Reads a list whose items must be among the known ones."""
        items = self.texts(key, required=required)
        for item in items:
            if item not in known:
                self.problems.append(f"{self.where}: {key}: unknown {item!r}{did_you_mean(item, known)}")
        return tuple(item for item in items if item in known)

    def tables(self, key: str, *, required: bool = True) -> tuple[Table, ...]:
        """Reads a list of tables."""
        items = cast("list[object]", self._get(key, list, required=required) or [])
        if any(not isinstance(item, dict) for item in items):
            self.problems.append(f"{self.where}: {key} must be a list of tables")
        return tuple(cast("Table", item) for item in items if isinstance(item, dict))

    def no_others(self) -> None:
        """Adds a problem for every key that was not read."""
        for key in self._content:
            if key not in self._asked:
                self.problems.append(f"{self.where}: unknown key {key!r}{did_you_mean(key, self._asked)}")


def _kind(kind: type) -> str:
    return {str: "string", int: "whole number", list: "list"}[kind]
