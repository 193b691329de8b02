"""Defines a fact: a command, and a pure function from its exit status and output to a value."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from lab.errors import LabError

T = TypeVar("T")
_PAIR = re.compile(r"(?:^|(?<=\s))([A-Za-z][A-Za-z0-9_:]*)=")
SHOWN = 5


@dataclass(frozen=True)
class Fact(Generic[T]):
    """A command and the parser of its exit status and output."""

    command: str
    parse: Callable[[int, str], T]
    instead: str = ""  # a command for people, where the command itself is a program of many lines

    @property
    def shown(self) -> str:
        """The command that a person may type to see the same."""
        return self.instead or self.command

    def read(self, status: int, output: str) -> T:
        """Parses an answer; a LabError for every answer that the parser cannot read."""
        try:
            return self.parse(status, output)
        except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError) as flaw:
            raise FactError(f"`{self.shown}` printed what cannot be read", status, output) from flaw


class FactError(LabError):
    """A command did not print what its parser expects; holds its exit status and output."""

    def __init__(self, message: str, status: int, output: str) -> None:
        tail = "\n".join(output.strip().splitlines()[-SHOWN:])
        super().__init__(message, evidence=tail or "(no output)")
        self.status = status
        self.output = output


def require_success(command: str, status: int, output: str) -> None:
    """Raises a FactError if the exit status of a command is not 0."""
    if status != 0:
        raise FactError(f"`{command}` ended with status {status}", status, output)


def split_fields(line: str, count: int, command: str, separator: str = "|") -> list[str]:
    """Splits a line into exactly `count` fields; the last may contain the separator."""
    fields = line.split(separator, count - 1)
    if len(fields) != count:
        raise FactError(f"`{command}` printed a line that does not have {count} fields", 0, line)
    return [field.strip() for field in fields]


def pairs(line: str) -> dict[str, str]:
    """Reads `Key=value Key=value`, where values may hold blanks; if a key is repeated, the first counts.

    Slurm prints free text, such as a node's comment, at the end of the line, and it may look like a key.
    """
    found = list(_PAIR.finditer(line))
    ends = [match.start() for match in found[1:]] + [len(line)][: len(found)]
    values: dict[str, str] = {}
    for match, end in zip(found, ends, strict=True):
        values.setdefault(match.group(1), line[match.end() : end].strip())
    return values
