"""Names of the releases that the runner delivers."""

from __future__ import annotations

import re

import pytest

from lab.guest.nodeimage.role import NAME
from lab.guest.runner.delivery import named


@pytest.mark.parametrize(
    ("tag", "release"), [("", ""), ("v1", "v1"), ("team/v1+rc.2", "team-v1-rc.2"), ("2026_12", "2026_12")]
)
def test_a_tag_gives_a_name_that_a_release_may_have(tag: str, release: str) -> None:
    assert named(tag) == release
    assert not release or re.fullmatch(NAME, release)
