"""The checks about an image that is admitted to a closed site, against a scripted node."""

from __future__ import annotations

import json

import pytest

from lab.checks.api import Outcome
from tests.unit.checks_world import World
from tests.unit.exercises.test_login import judge, outcomes
from tests.unit.exercises.test_security import passes

BUILDER = "256 SHA256:aaaa builder (ED25519)\n"
STRANGER = "256 SHA256:bbbb release-team (ED25519)\n"
FILES = {"image": {"size": 9, "sha256": "0" * 64}}
NONE = json.dumps({"status": 19, "error": {"message": "no release", "evidence": [], "hint": ""}})
FLAWED = json.dumps({"status": 18, "error": {"message": "changed", "evidence": ["image: SHA-256 1"]}})


def listed(*names: str) -> str:
    return json.dumps({"status": 0, "releases": [{"role": "rescue", "release": name} for name in names]})


def shown(name: str) -> str:
    return json.dumps({"status": 0, "release": name, "commit": "2d6f", "files": FILES})


def solved() -> World:
    world = World().says("sms", "^cat /srv/by_phone.txt", "read out:\nSHA256:aaaa\n")
    world.says("sms", "^grep -oE .*allowed_signers", BUILDER)
    world.says("sms", "^nodeimage show rescue", shown("may"))
    world.says("sms", "^nodeimage verify rescue may", '{"status": 0}')
    return world.says("sms", "^nodeimage list rescue", listed("may"))


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
        ("^nodeimage show", NONE, 19, "may_is_active", "none"),
        ("^nodeimage show", shown("june"), 0, "may_is_active", "june"),
        ("^nodeimage verify", FLAWED, 18, "may_is_active", "SHA-256"),
        ("^nodeimage list", listed("may", "june"), 0, "nothing_else_was_admitted", "june"),
    ],
)
def test_what_is_wrong_is_named(pattern: str, output: str, status: int, check: str, part: str) -> None:
    found = judge("closed_site", solved().says("sms", pattern, output, status))
    assert outcomes(found, Outcome.FAILED) == [check]
    assert part in found[check].actual
