"""Writes the verdicts of an exercise for a terminal, and as data."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich.text import Text

from lab.checks.api import Outcome, Verdict
from lab.checks.judgement import Judgement, one_line

MARKS = {Outcome.PASSED: "✓", Outcome.FAILED: "✗", Outcome.BLOCKED: "○", Outcome.BROKEN: "!"}
PLAIN_MARKS = {Outcome.PASSED: "ok", Outcome.FAILED: "no", Outcome.BLOCKED: "--", Outcome.BROKEN: "??"}
COLOURS = {
    Outcome.PASSED: "green",
    Outcome.FAILED: "red",
    Outcome.BLOCKED: "dim",
    Outcome.BROKEN: "magenta",
}
NARROWEST = 40
LONGEST_VALUE = 20_000  # characters of a node's text in JSON


@dataclass(frozen=True)
class Style:
    """What the terminal can show."""

    unicode: bool = True
    width: int | None = None  # columns; None: lines are left as long as they are

    def mark(self, outcome: Outcome) -> Text:
        """Returns the sign before a check's sentence."""
        return Text((MARKS if self.unicode else PLAIN_MARKS)[outcome], COLOURS[outcome])

    def fold(self, text: str, first: str, rest: str, look: str = "") -> list[Text]:
        """Breaks a text between words where the terminal ends, and indents its lines.

        A word that is longer than a line stays whole, so that commands can be copied; rich would break it.
        """
        if self.width is None:
            return [Text(first + text, look)]
        lines = textwrap.wrap(
            text,
            max(self.width, NARROWEST),
            initial_indent=first,
            subsequent_indent=rest,
            break_long_words=False,
            break_on_hyphens=False,
        )
        return [Text(line, look) for line in lines or [first]]


def render(judgement: Judgement, style: Style) -> Text:
    """Writes the report for a person: every step, every check, and what to do next."""
    lines = [Text(f"{judgement.exercise}: {judgement.title}", "bold")]
    if not judgement.verdicts:
        lines += [Text(""), Text("Nothing was checked: this exercise has no checks.")]
        return Text("\n").join(lines)
    for step in judgement.steps:
        verdicts = judgement.of(step.id)
        passed = sum(verdict.outcome is Outcome.PASSED for verdict in verdicts)
        lines += [
            Text(""),
            Text.assemble((step.title, "bold"), f"  [{step.id}]  {passed} of {len(verdicts)}"),
        ]
        reasons = [_waits(verdict, judgement.verdicts) for verdict in verdicts]
        for verdict, reason, following in zip(verdicts, reasons, [*reasons, ""][1:], strict=True):
            lines += _render_verdict(verdict, style)
            if reason and reason != following:  # neighbours that wait for the same share a line
                lines += style.fold(reason, " " * 6, " " * 8, COLOURS[Outcome.BLOCKED])
    return Text("\n").join([*lines, Text(""), *_conclusion(judgement, style)])


def _render_verdict(verdict: Verdict, style: Style) -> list[Text]:
    first, *more = style.fold(verdict.sentence, " " * 4, " " * 4)
    lines = [Text("  ") + style.mark(verdict.outcome) + Text(f" {first.plain.lstrip()}"), *more]
    if verdict.outcome is Outcome.FAILED:
        for name, text in _details(verdict):
            lines += style.fold(text, f"      {name:<9} ", " " * 16) if text else []
    elif verdict.outcome is Outcome.BROKEN:
        lines += style.fold(one_line(verdict.actual), " " * 6, " " * 8)
        lines.append(Text("      This is the lab's fault, not yours; LAB_DEBUG=1 shows where."))
    return lines


def _details(verdict: Verdict) -> list[tuple[str, str]]:
    where = f" (on {verdict.node})" if verdict.node and not verdict.look.startswith("lab ") else ""
    return [
        ("expected", one_line(verdict.expected)),
        ("found", one_line(verdict.actual)),
        ("see it", one_line(verdict.look + where if verdict.look else where.strip(" ()"))),
        ("think", one_line(verdict.hint)),
    ]


def _waits(verdict: Verdict, among: Sequence[Verdict]) -> str:
    """Names the checks that a blocked check waits for: those that did not pass by themselves."""
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


def _conclusion(judgement: Judgement, style: Style) -> list[Text]:
    total, passed = len(judgement.verdicts), judgement.count(Outcome.PASSED)
    took = f"({judgement.seconds:.1f} s)"
    if judgement.solved:
        all_hold = "the check holds" if total == 1 else f"all {total} checks hold"
        return [Text.assemble((f"Solved: {all_hold}.", COLOURS[Outcome.PASSED]), f" {took}")]
    failed, blocked, broken = map(judgement.count, (Outcome.FAILED, Outcome.BLOCKED, Outcome.BROKEN))
    parts = [f"{passed} of {total} checks hold {took}"]
    if failed:
        parts.append(f"{failed} to work on")
    if blocked:
        parts.append(f"{blocked} wait{'s' if blocked == 1 else ''} for {'that' if failed == 1 else 'them'}")
    if broken:
        parts.append(f"{broken} could not be run")
    lines = style.fold("; ".join(parts) + ".", "", "")
    first = next((v for v in judgement.verdicts if v.outcome is Outcome.FAILED), None)
    if first is not None:
        power = first.look.startswith("lab power ")  # a node without power: a hint would not help
        lines.append(Text(f"hint: {first.look if power else f'lab hint {judgement.exercise} {first.step}'}"))
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
        "expected": verdict.expected[:LONGEST_VALUE],
        "actual": verdict.actual[:LONGEST_VALUE],
        "node": verdict.node,
        "look": verdict.look[:LONGEST_VALUE],
        "hint": verdict.hint[:LONGEST_VALUE],
        "blocked_by": list(verdict.because),
        "seconds": round(verdict.seconds, 3),
    }
