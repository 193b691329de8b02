"""The verdicts of all checks of one exercise, counted."""

from __future__ import annotations

from dataclasses import dataclass

from lab.checks.api import Outcome, Verdict
from lab.errors import Exit
from lab.printable import escaped

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
        """Counts the verdicts that have one of these outcomes."""
        return sum(verdict.outcome in outcomes for verdict in self.verdicts)

    def of(self, step: str) -> tuple[Verdict, ...]:
        """Returns the verdicts that belong to a step."""
        return tuple(verdict for verdict in self.verdicts if verdict.step == step)

    @property
    def solved(self) -> bool:
        """Whether at least one check was run and all of them passed."""
        return bool(self.verdicts) and self.count(Outcome.PASSED) == len(self.verdicts)

    @property
    def solved_steps(self) -> tuple[str, ...]:
        """The steps that have checks and whose checks all passed."""
        return tuple(
            step.id
            for step in self.steps
            if self.of(step.id) and all(v.outcome is Outcome.PASSED for v in self.of(step.id))
        )

    @property
    def code(self) -> Exit:
        """The exit status of `lab check`: a broken check outranks a failed one; no checks mean unknown."""
        if not self.verdicts:
            return Exit.UNKNOWN
        if self.count(Outcome.BROKEN):
            return Exit.BROKEN
        return Exit.OK if self.solved else Exit.NOT_SOLVED


def one_line(text: str) -> str:
    """Makes a node's text fit for one line of a report: harmless, and cut when very long."""
    begin = text.strip()[: 2 * LONGEST]
    flat = escaped(" / ".join(line.rstrip() for line in begin.splitlines()))
    return flat if len(flat) <= LONGEST else flat[:LONGEST] + " …"
