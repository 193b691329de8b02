"""What a fact is: a command, and a pure function from its status and output to a value."""

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


class FactError(LabError):
    """A command did not print what it should have; `status` and `output` are what it gave."""

    def __init__(self, message: str, status: int, output: str) -> None:
        tail = "\n".join(output.strip().splitlines()[-SHOWN:])
        super().__init__(message, evidence=tail or "(no output)")
        self.status = status
        self.output = output


def require_success(command: str, status: int, output: str) -> None:
    """Raises a FactError unless the command said that it succeeded."""
    if status != 0:
        raise FactError(f"`{command}` ended with status {status}", status, output)


def split_fields(line: str, count: int, command: str, separator: str = "|") -> list[str]:
    """Splits a line into exactly `count` fields; the last may contain the separator."""
    fields = line.split(separator, count - 1)
    if len(fields) != count:
        raise FactError(f"`{command}` printed a line without its {count} fields", 0, line)
    return [field.strip() for field in fields]


def pairs(line: str) -> dict[str, str]:
    """Reads `Key=value Key=value`, where values may hold blanks; of a key that comes twice, the first.

    What people may write, such as a node's comment, stands last in Slurm's lines, and may look like a key.
    """
    found = list(_PAIR.finditer(line))
    ends = [match.start() for match in found[1:]] + [len(line)][: len(found)]
    values: dict[str, str] = {}
    for match, end in zip(found, ends, strict=True):
        values.setdefault(match.group(1), line[match.end() : end].strip())
    return values
