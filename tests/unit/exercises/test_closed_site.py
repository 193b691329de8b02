"""The checks about an image that is admitted to a closed site, against a scripted node."""

from __future__ import annotations

import pytest

from lab.checks.api import Outcome
from tests.unit.checks_world import World
from tests.unit.exercises.nodeimage_answers import INVALID, UNKNOWN, VALID, listed, refused, shown
from tests.unit.exercises.test_login import judge, outcomes
from tests.unit.exercises.test_security import passes

BUILDER = "256 SHA256:aaaa builder (ED25519)\n"
STRANGER = "256 SHA256:bbbb release-team (ED25519)\n"


def solved() -> World:
    world = World().says("sms", "^cat /srv/by_phone.txt", "read out:\nSHA256:aaaa\n")
    world.says("sms", "^grep -oE .*allowed_signers", BUILDER)
    world.says("sms", "^nodeimage show rescue", shown("may"))
    world.says("sms", "^nodeimage verify rescue may", VALID)
    return world.says("sms", "^nodeimage list rescue", listed("rescue", "may"))


def test_it_passes_when_solved() -> None:
    assert passes("closed_site", solved())


def test_at_first_nobody_is_trusted() -> None:
    found = judge(
        "closed_site", solved().says("sms", "^grep -oE", "(stdin) is not a public key file.\n", 255)
    )
    assert outcomes(found, Outcome.FAILED) == ["only_the_builder_is_trusted"]
    assert outcomes(found, Outcome.PASSED) == []


@pytest.mark.parametrize(
    ("pattern", "output", "status", "check", "part"),
    [
        ("^grep -oE", STRANGER, 0, "only_the_builder_is_trusted", "release-team"),
        ("^grep -oE", BUILDER + STRANGER, 0, "only_the_builder_is_trusted", "SHA256:bbbb"),
        ("^cat /srv/by_phone.txt", "", 1, "only_the_builder_is_trusted", "builder"),
        ("^nodeimage show", refused(UNKNOWN, "no release"), UNKNOWN, "may_is_active", "none"),
        ("^nodeimage show", shown("june"), 0, "may_is_active", "june"),
        (
            "^nodeimage verify",
            refused(INVALID, "changed", "image: SHA-256 1"),
            INVALID,
            "may_is_active",
            "SHA-256",
        ),
        ("^nodeimage list", listed("rescue", "may", "june"), 0, "nothing_else_was_admitted", "june"),
    ],
)
def test_what_is_wrong_is_named(pattern: str, output: str, status: int, check: str, part: str) -> None:
    found = judge("closed_site", solved().says("sms", pattern, output, status))
    assert outcomes(found, Outcome.FAILED) == [check]
    assert part in found[check].actual
