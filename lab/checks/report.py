"""The outcome of a run of checks: counted, written for a terminal, and as data."""

from __future__ import annotations

import textwrap
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lab.checks.api import Outcome, Verdict
from lab.errors import Exit

MARKS = {Outcome.PASSED: "✓", Outcome.FAILED: "✗", Outcome.BLOCKED: "○", Outcome.BROKEN: "!"}
PLAIN_MARKS = {Outcome.PASSED: "ok", Outcome.FAILED: "no", Outcome.BLOCKED: "--", Outcome.BROKEN: "??"}
COLOURS = {
    Outcome.PASSED: "\x1b[32m",
    Outcome.FAILED: "\x1b[31m",
    Outcome.BLOCKED: "\x1b[2m",
    Outcome.BROKEN: "\x1b[35m",
}
DIM = COLOURS[Outcome.BLOCKED]
LONGEST = 600  # characters of a node's text shown in one line


@dataclass(frozen=True)
class Step:
    """A step's name and title, as the report shows them."""

    id: str
    title: str


@dataclass(frozen=True)
class Judgement:
    """All verdicts of one exercise."""

    exercise: str
    title: str
    steps: tuple[Step, ...]
    verdicts: tuple[Verdict, ...]
    seconds: float

    def count(self, *outcomes: Outcome) -> int:
        """How many verdicts have one of these outcomes."""
        return sum(verdict.outcome in outcomes for verdict in self.verdicts)

    def of(self, step: str) -> tuple[Verdict, ...]:
        """The verdicts that belong to a step."""
        return tuple(verdict for verdict in self.verdicts if verdict.step == step)

    @property
    def solved(self) -> bool:
        """Whether something was judged and all of it holds."""
        return bool(self.verdicts) and self.count(Outcome.PASSED) == len(self.verdicts)

    @property
    def solved_steps(self) -> tuple[str, ...]:
        """The steps all of whose checks hold."""
        return tuple(
            step.id
            for step in self.steps
            if self.of(step.id) and all(v.outcome is Outcome.PASSED for v in self.of(step.id))
        )

    @property
    def code(self) -> Exit:
        """What `lab check` exits with: a broken check outranks an unsolved one; nothing judged is unknown."""
        if not self.verdicts:
            return Exit.UNKNOWN
        if self.count(Outcome.BROKEN):
            return Exit.BROKEN
        return Exit.OK if self.solved else Exit.NOT_SOLVED


def harmless(text: str) -> str:
    """Shows control and direction characters as escapes, so that a node cannot drive the terminal."""
    return "".join(_shown(character) for character in text)


def _shown(character: str) -> str:
    if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp"):
        return character.encode("unicode_escape").decode("ascii")
    return character


def one_line(text: str) -> str:
    """Makes a node's text fit for one line of a report: harmless, and cut when very long."""
    flat = harmless(" / ".join(line.rstrip() for line in text.strip().splitlines()))
    return flat if len(flat) <= LONGEST else flat[:LONGEST] + " …"


@dataclass(frozen=True)
class Style:
    """What the terminal can show."""

    colour: bool = False
    unicode: bool = True
    width: int | None = None  # columns; None: lines are left as long as they are

    def mark(self, outcome: Outcome) -> str:
        """The sign before a check's sentence."""
        sign = (MARKS if self.unicode else PLAIN_MARKS)[outcome]
        return self.paint(COLOURS[outcome], sign)

    def paint(self, colour: str, text: str) -> str:
        """Colours a text where colours are wanted."""
        return f"{colour}{text}\x1b[0m" if self.colour else text

    def fold(self, text: str, first: str, rest: str) -> list[str]:
        """Breaks a text between words where the terminal ends; what follows stands under its beginning."""
        if self.width is None:
            return [first + text]
        return textwrap.wrap(
            text,
            max(self.width, 40),
            initial_indent=first,
            subsequent_indent=rest,
            break_long_words=False,
            break_on_hyphens=False,
        ) or [first]

    def bold(self, text: str) -> str:
        """Sets a text off where that is possible."""
        return self.paint("\x1b[1m", text)


def render(judgement: Judgement, style: Style) -> str:
    """Writes the report for a person: every step, every check, and what to do next."""
    lines = [style.bold(f"{judgement.exercise}: {judgement.title}")]
    if not judgement.verdicts:
        return "\n".join([*lines, "", "Nothing was judged: this exercise has no checks."])
    for step in judgement.steps:
        verdicts = judgement.of(step.id)
        passed = sum(verdict.outcome is Outcome.PASSED for verdict in verdicts)
        lines += ["", f"{style.bold(step.title)}  [{step.id}]  {passed} of {len(verdicts)}"]
        reasons = [_waits(verdict, judgement.verdicts) for verdict in verdicts]
        for verdict, reason, following in zip(verdicts, reasons, [*reasons, ""][1:], strict=True):
            lines += _render_verdict(verdict, style)
            if reason != following:  # neighbours that wait for the same share a line
                lines += [style.paint(DIM, line) for line in style.fold(reason, " " * 6, " " * 8) if reason]
    return "\n".join([*lines, "", *_conclusion(judgement, style)])


def _render_verdict(verdict: Verdict, style: Style) -> list[str]:
    first, *more = style.fold(verdict.sentence, " " * 4, " " * 4)
    lines = [f"  {style.mark(verdict.outcome)} {first.lstrip()}", *more]
    if verdict.outcome is Outcome.FAILED:
        for name, text in _details(verdict):
            lines += style.fold(text, f"      {name:<9} ", " " * 16) if text else []
    elif verdict.outcome is Outcome.BROKEN:
        lines += style.fold(one_line(verdict.actual), " " * 6, " " * 8)
        lines.append("      This is the lab's fault, not yours; LAB_DEBUG=1 shows where.")
    return lines


def _details(verdict: Verdict) -> list[tuple[str, str]]:
    where = f" (on {verdict.node})" if verdict.node and not verdict.look.startswith("lab ") else ""
    return [
        ("expected", one_line(verdict.expected)),
        ("found", one_line(verdict.actual)),
        ("see it", verdict.look + where if verdict.look else where.strip(" ()")),
        ("think", verdict.hint),
    ]


def _waits(verdict: Verdict, among: Sequence[Verdict]) -> str:
    """What a blocked check waits for: the checks at the root of it, those between left out; else nothing."""
    if verdict.outcome is not Outcome.BLOCKED:
        return ""
    known = {other.check: other for other in among}
    roots: dict[str, str] = {}
    pending = list(verdict.because)
    while pending:
        name = pending.pop(0)
        found = known.get(name)
        if found is not None and found.outcome is Outcome.BLOCKED:
            pending = [*found.because, *pending]
        else:
            roots[name] = found.sentence.rstrip(".") if found else name
    return "waits for " + " and ".join(f"“{sentence}”" for sentence in roots.values())


def _conclusion(judgement: Judgement, style: Style) -> list[str]:
    total, passed = len(judgement.verdicts), judgement.count(Outcome.PASSED)
    took = f"({judgement.seconds:.1f} s)"
    if judgement.solved:
        done = style.paint(COLOURS[Outcome.PASSED], f"Solved: all {total} checks hold.")
        return [f"{done} {took}"]
    left = judgement.count(Outcome.FAILED)
    parts = [f"{passed} of {total} checks hold {took}"]
    if left:
        parts.append(f"{left} to work on")
    if judgement.count(Outcome.BLOCKED):
        waiting = judgement.count(Outcome.BLOCKED)
        parts.append(f"{waiting} wait{'s' if waiting == 1 else ''} for {'that' if left == 1 else 'them'}")
    if judgement.count(Outcome.BROKEN):
        parts.append(f"{judgement.count(Outcome.BROKEN)} could not be judged")
    first = next((v for v in judgement.verdicts if v.outcome is Outcome.FAILED), None)
    lines = style.fold("; ".join(parts) + ".", "", "")
    if first is not None:
        power = first.look.startswith("lab power ")  # not a matter of the exercise
        lines.append(f"hint: {first.look if power else f'lab hint {judgement.exercise} {first.step}'}")
    return lines


def as_data(judgement: Judgement) -> dict[str, object]:
    """Writes the report as plain data for `--json`."""
    return {
        "schema": 1,
        "exercise": judgement.exercise,
        "solved": judgement.solved,
        "seconds": round(judgement.seconds, 3),
        "counts": {outcome.value: judgement.count(outcome) for outcome in Outcome},
        "steps": [
            {
                "id": step.id,
                "title": step.title,
                "passed": sum(v.outcome is Outcome.PASSED for v in judgement.of(step.id)),
                "checks": [_verdict_data(verdict) for verdict in judgement.of(step.id)],
            }
            for step in judgement.steps
        ],
    }


def _verdict_data(verdict: Verdict) -> Mapping[str, object]:
    return {
        "id": verdict.check,
        "sentence": verdict.sentence,
        "outcome": verdict.outcome.value,
        "expected": verdict.expected,
        "actual": verdict.actual,
        "node": verdict.node,
        "look": verdict.look,
        "hint": verdict.hint,
        "blocked_by": list(verdict.because),
        "seconds": round(verdict.seconds, 3),
    }
