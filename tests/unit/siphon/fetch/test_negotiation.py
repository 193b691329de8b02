"""The search for a controller's version."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lab.siphon.fetch import negotiation
from lab.siphon.fetch.negotiation import Attempt
from lab.siphon.protocol import versions


@given(
    st.sampled_from(versions.VERSIONS),
    st.booleans(),
    st.booleans(),
    st.none() | st.sampled_from(versions.VERSIONS),
)
def test_the_search_always_ends_with_the_best_version(
    own: versions.Version, http: bool, telling: bool, first: versions.Version | None
) -> None:
    """For every release, its window, its manners and whatever was remembered."""
    width = 3 if own.number >= versions.V24_11.number else 2
    history: tuple[Attempt, ...] = ()
    while (version := negotiation.next_version(history, first)) is not None:
        assert version not in [entry.version for entry in history]
        if own.number - (width << 8) <= version.number <= own.number:
            entry = Attempt(version, negotiation.ACCEPTED)
        elif own.number >= versions.V25_11.number and http:
            entry = Attempt(version, negotiation.HTTP)
        elif versions.V24_11.number <= own.number < versions.V25_11.number and telling:
            entry = Attempt(version, negotiation.REPORTED, own.number)
        else:
            entry = Attempt(version, negotiation.SILENT)
        history = (*history, entry)
        assert len(history) <= 9
    accepted = [entry.version for entry in history if entry.outcome == negotiation.ACCEPTED]
    silent_new = own.number in (versions.V24_11.number, versions.V25_05.number) and not telling
    if silent_new:
        return  # no release is like this; the search only has to end
    assert accepted
    if accepted[0] != first:
        assert max(accepted, key=lambda v: v.number) is own
