"""Finds a controller's version by asking, in as few tries as its answers allow; pure: history in, next out.

There is no version query. A controller accepts its own release and two or three before it, and tells
a stranger off in its own way: 24.11 and 25.05 name their version in an error, 25.11 and later answer in
HTTP, all others close without a byte. Each refused try writes lines into the controller's log, so there
should be few.
"""

from __future__ import annotations

from lab.slurm import versions
from lab.slurm.record import dataclass
from lab.slurm.versions import Version

ACCEPTED, TOLD, HTTP, SILENT = "accepted", "told", "http", "silent"


@dataclass(frozen=True)
class Try:
    """One version asked, and what came back."""

    version: Version
    outcome: str
    told: int = 0
    """The controller's own version, where it said so."""


LADDER = (
    versions.NEWEST,
    versions.V23_02,  # any of 23.02, 23.11, 24.05
    versions.V20_11,  # any of 20.11, 21.08, 22.05
    versions.V20_02,
    versions.V26_05,  # 25.11 and later where HTTP is off
    versions.V25_11,
)
"""After silence: each step reaches as many releases as it can."""

CLIMBS = {
    versions.V23_02: (versions.V24_05, versions.V23_11),
    versions.V20_11: (versions.V22_05, versions.V21_08),
}
"""From a step that was accepted to the highest that is: older versions lose files and marks."""

NEWEST_FIRST = (versions.V26_11, versions.V26_05, versions.V25_11)
"""What an HTTP-speaking controller may accept."""


def next_try(history: tuple[Try, ...], first: Version | None = None) -> Version | None:
    """The next version to ask for, or None when the search is over."""
    if not history:
        return first or LADDER[0]
    tried = {entry.version: entry for entry in history}
    accepted = [entry.version for entry in history if entry.outcome == ACCEPTED]
    if accepted:
        if accepted[0] == first:
            return None  # remembered or prescribed: good enough
        climb = CLIMBS.get(accepted[0], ()) if len(accepted) == 1 else ()
        return _first_untried(climb, tried)
    for entry in history:
        if entry.outcome == TOLD:
            own = versions.by_number(entry.told)
            return own if own is not None and own not in tried else None
    if any(entry.outcome == HTTP for entry in history):
        return _first_untried(NEWEST_FIRST, tried)
    return _first_untried(LADDER, tried)


def _first_untried(candidates: tuple[Version, ...], tried: dict[Version, Try]) -> Version | None:
    for version in candidates:
        if version not in tried:
            return version
    return None
