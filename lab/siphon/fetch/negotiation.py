"""Finds the protocol version of a controller by trying versions, in as few attempts as its answers allow.

No request asks for the version. A controller accepts its own release and two or three earlier ones. It
refuses other versions in one of three ways: 24.11 and 25.05 send an error with their own version, 25.11 and
later answer in HTTP, all others close the connection without an answer. Each refused attempt writes lines to
the controller's log.
"""

from __future__ import annotations

from lab.siphon.protocol import versions
from lab.siphon.protocol.versions import Version

ACCEPTED, REPORTED, HTTP, SILENT = "accepted", "refused", "answered in HTTP", "closed without an answer"


class Attempt:
    """One version that was tried, and its outcome."""

    __slots__ = ("outcome", "reported_version", "version")

    def __init__(self, version: Version, outcome: str, reported_version: int = 0) -> None:
        self.version = version
        self.outcome = outcome
        # The controller's own version number if the outcome is REPORTED.
        self.reported_version = reported_version


PROBE_ORDER = (
    versions.NEWEST,
    versions.V23_02,  # accepted by 23.02, 23.11 and 24.05
    versions.V20_11,  # accepted by 20.11, 21.08 and 22.05
    versions.V20_02,
    versions.V26_05,  # 25.11 and later with HTTP disabled
    versions.V25_11,
)
"""The order after silence: each version is accepted by as many untested releases as possible."""

UPGRADES = {
    versions.V23_02: (versions.V24_05, versions.V23_11),
    versions.V20_11: (versions.V22_05, versions.V21_08),
}
"""Better versions to try after one was accepted: an older version omits files and execute flags."""

NEWEST_FIRST = (versions.V26_11, versions.V26_05, versions.V25_11)
"""The versions that a controller may accept if it answers in HTTP."""


def next_version(history: tuple[Attempt, ...], first: Version | None = None) -> Version | None:
    """The next version to try after these attempts, beginning with `first`; None at the end of the search."""
    if not history:
        return first or PROBE_ORDER[0]
    tried = {attempt.version for attempt in history}
    accepted = [attempt.version for attempt in history if attempt.outcome == ACCEPTED]
    if accepted:
        if accepted[0] == first:
            return None  # remembered from the last run or set by the user
        upgrades = UPGRADES.get(accepted[0], ()) if len(accepted) == 1 else ()
        return _first_untried(upgrades, tried)
    for attempt in history:
        if attempt.outcome == REPORTED:
            own = versions.by_number(attempt.reported_version)
            return own if own is not None and own not in tried else None
    if any(attempt.outcome == HTTP for attempt in history):
        return _first_untried(NEWEST_FIRST, tried)
    return _first_untried(PROBE_ORDER, tried)


def _first_untried(candidates: tuple[Version, ...], tried: set[Version]) -> Version | None:
    return next((version for version in candidates if version not in tried), None)
