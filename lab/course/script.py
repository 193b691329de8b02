"""Reads solutions, hints and code blocks: what to type on which node, and how to answer questions."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

STEP = re.compile(r"#:\s*step\s+(\S+)\s+on\s+(\S+)\s+as\s+(\S+)\s*$")
WAIT = re.compile(r"#:\s*wait\s+(.+?)\s+within\s+(\d+)\s*$")
ANSWER = re.compile(r"#:\s*answer\s+(\S+)\s+to\s+(.+?)\s*$")
HEREDOC = re.compile(r"<<-?\s*(['\"]?)([A-Za-z_][A-Za-z0-9_]*)\1")


class Expect(Enum):
    """Which exit status a command must have."""

    SUCCESS = "success"
    FAILURE = "failure"
    ANY = "any"


MARKS = {"#: expect-fail": Expect.FAILURE, "#: may-fail": Expect.ANY}


@dataclass(frozen=True)
class Asked:
    """Part of a question that a command may ask, and the answer to type."""

    question: str
    answer: str


@dataclass(frozen=True)
class Typed:
    """One command to type; `line` is its line in the file."""

    text: str
    line: int
    expect: Expect = Expect.SUCCESS
    asked: tuple[Asked, ...] = ()


@dataclass(frozen=True)
class Wait:
    """A shell condition that must become true before the next command."""

    condition: str
    seconds: int
    line: int


Action = Typed | Wait


@dataclass(frozen=True)
class Block:
    """What is typed on one node as one user; a step may have several blocks."""

    step: str
    node: str
    user: str
    actions: tuple[Action, ...]

    @property
    def commands(self) -> tuple[str, ...]:
        """The commands, without the waits."""
        return tuple(action.text for action in self.actions if isinstance(action, Typed))


@dataclass(frozen=True)
class Flaw:
    """An error in a script, and its line."""

    line: int
    message: str


class _Reader:
    """Reads a script from top to bottom."""

    def __init__(self, text: str) -> None:
        self.lines = text.splitlines()
        self.at = 0
        self.blocks: list[Block] = []
        self.flaws: list[Flaw] = []
        self.expect = Expect.SUCCESS
        self.asked: tuple[Asked, ...] = ()

    def read(self) -> None:
        while self.at < len(self.lines):
            line, number = self.lines[self.at].strip(), self.at + 1
            self.at += 1
            if line.startswith("#:"):
                self._directive(line, number)
            elif line and not line.startswith("#"):
                self._act(Typed(self._whole_command(), number, self.expect, self.asked))
                self.expect, self.asked = Expect.SUCCESS, ()
        if self.expect is not Expect.SUCCESS or self.asked:
            self.flaws.append(
                Flaw(
                    len(self.lines),
                    "`#: expect-fail`, `#: may-fail` or `#: answer` without a command after it",
                )
            )

    def _directive(self, line: str, number: int) -> None:
        if found := STEP.fullmatch(line):
            self.blocks.append(Block(found[1], found[2], found[3], ()))
        elif found := WAIT.fullmatch(line):
            self._act(Wait(found[1], int(found[2]), number))
        elif line in MARKS:
            self.expect = MARKS[line]
        elif found := ANSWER.fullmatch(line):
            self.asked = (*self.asked, Asked(found[2], found[1]))
        else:
            self.flaws.append(Flaw(number, f"unknown directive: {line}"))

    def _act(self, action: Action) -> None:
        if not self.blocks:
            self.flaws.append(Flaw(action.line, "a command or wait before the first `#: step … on … as …`"))
            return
        last = self.blocks[-1]
        self.blocks[-1] = Block(last.step, last.node, last.user, (*last.actions, action))

    def _whole_command(self) -> str:
        start = self.at - 1
        self.at, unended = _end_of_command(self.lines, start)
        if unended:
            self.flaws.append(Flaw(start + 1, f"here-document without its end {unended}"))
        return "\n".join(self.lines[start : self.at])


def _end_of_command(lines: Sequence[str], start: int) -> tuple[int, str]:
    """Finds the line after a command, continued lines and here-documents included.

    Also returns the end word of a here-document that does not end, else "".
    """
    at = start + 1
    while lines[at - 1].endswith("\\") and at < len(lines):
        at += 1
    for _, word in HEREDOC.findall("\n".join(lines[start:at])):
        while at < len(lines) and lines[at].strip() != word:
            at += 1
        if at == len(lines):
            return at, word
        at += 1
    return at, ""


def split_commands(text: str) -> tuple[str, ...]:
    """Splits shell text into commands, each with its continued lines and here-documents."""
    lines, at, found = text.splitlines(), 0, []
    while at < len(lines):
        start = at
        at, _ = _end_of_command(lines, start)
        found.append("\n".join(lines[start:at]).strip())
    return tuple(filter(None, found))


def parse_script(text: str) -> tuple[tuple[Block, ...], tuple[Flaw, ...]]:
    """Reads a `solution.sh`; returns its blocks and its errors."""
    reader = _Reader(text)
    reader.read()
    return tuple(reader.blocks), tuple(reader.flaws)


def parse_hints(text: str) -> dict[str, tuple[str, ...]]:
    """Reads a `hints.md`: for each step (`## step`) its hints, separated by `---`."""
    found: dict[str, tuple[str, ...]] = {}
    for part in re.split(r"^## +", text, flags=re.MULTILINE)[1:]:
        heading, _, body = part.partition("\n")
        hints = (hint.lstrip("\n").rstrip() for hint in re.split(r"^---\s*$", body, flags=re.MULTILINE))
        found[heading.strip()] = tuple(hint for hint in hints if hint)
    return found


@dataclass(frozen=True)
class Fence:
    """A fenced code block; `info` is the text after the opening fence."""

    info: str
    body: str
    line: int


def parse_fences(text: str) -> tuple[Fence, ...]:
    """Returns the fenced code blocks of a Markdown text."""
    fences: list[Fence] = []
    opened: tuple[str, int, list[str]] | None = None
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.startswith("```"):
            if opened:
                opened[2].append(line)
        elif opened:
            fences.append(Fence(opened[0], "\n".join(opened[2]), opened[1]))
            opened = None
        else:
            opened = (line[3:].strip(), number, [])
    return tuple(fences)
