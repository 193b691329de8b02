"""No two labs have an object of the same name, whatever the labs and their nodes are called."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lab.backends.docker.engine import container_name
from lab.backends.libvirt.engine import domain_name
from lab.backends.object_names import object_name, part_of

NAMES = st.from_regex(r"\A[a-c][a-c1-]{0,5}\Z")


@given(st.tuples(NAMES, NAMES), st.tuples(NAMES, NAMES))
def test_different_pairs_have_different_names(one: tuple[str, str], other: tuple[str, str]) -> None:
    assert (object_name(*one) == object_name(*other)) == (one == other)
    assert part_of(object_name(*one), one[0]) == one[1]


def test_both_engines_use_these_names() -> None:
    for name in (container_name, domain_name):
        assert name("hq", "y-c1") == "rackling-hq-y_c1"
        assert name("hq-y", "c1") == "rackling-hq-y-c1"
