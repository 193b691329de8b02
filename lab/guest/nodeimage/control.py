"""One control of a tree, and how it ended."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Control:
    """A control: its name, the outcome (passed, failed or skipped), and what was expected and found."""

    name: str
    outcome: str
    place: str = ""
    expected: str = ""
    found: str = ""

    def lines(self) -> Iterator[str]:
        """A failed control as people read it."""
        yield f"{self.name} ({self.place})" if self.place else self.name
        yield f"  expected: {self.expected}"
        yield f"  found:    {self.found}"
