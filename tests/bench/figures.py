"""Figures and the Markdown table made of them; nothing here measures."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True)
class Figure:
    """One line of the table: what was measured, in what unit, what we promise, what came out."""

    what: str
    unit: str
    promise: float | None  # an upper bound
    values: tuple[float, ...]

    @property
    def middle(self) -> float:
        """The median of the runs."""
        return median(self.values)

    @property
    def kept(self) -> bool | None:
        """Whether the promise was kept; None where none was given."""
        return None if self.promise is None else self.middle <= self.promise


def number(value: float) -> str:
    """Three digits that count, never in scientific notation."""
    if value >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def ratio(what: str, promise: float | None, upper: Figure, lower: Figure) -> Figure:
    """A figure over another of the same run, each by its median."""
    return Figure(what, "×", promise, (upper.middle / lower.middle,))


def table(figures: Sequence[Figure]) -> str:
    """The Markdown table."""
    lines = ["| What | Promise | Median | Range | Runs | |", "|---|---|---|---|---|---|"]
    verdicts = {None: "", True: "kept", False: "**missed**"}
    for figure in figures:
        promise = "" if figure.promise is None else f"≤ {number(figure.promise)} {figure.unit}"
        span = f"{number(min(figure.values))}–{number(max(figure.values))}"
        cells = (
            figure.what,
            promise,
            f"{number(figure.middle)} {figure.unit}",
            span if len(figure.values) > 1 else "",
            str(len(figure.values)),
            verdicts[figure.kept],
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def replaced(text: str, block: Iterable[str], backend: str) -> str:
    """A document with what stands between a backend's two marks replaced; ValueError without the marks."""
    first, last = (f"<!-- figures of {backend}: {edge} -->" for edge in ("begin", "end"))
    before, begin, rest = text.partition(first)
    _, end, after = rest.partition(last)
    if not begin or not end:
        raise ValueError(f"no {first} … {last} in this document")
    return "\n".join((f"{before}{first}", *block, f"{last}{after}"))
