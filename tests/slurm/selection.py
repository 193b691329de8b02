"""Which releases the quick selection of a day meets."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

ALWAYS = "trixie"
"""The release of the lab itself."""


def releases_of_day(day: date, releases: Sequence[str]) -> tuple[str, str]:
    """The lab's own release, and of the others one a day in turn."""
    others = [name for name in releases if name != ALWAYS]
    return ALWAYS, others[day.toordinal() % len(others)]
