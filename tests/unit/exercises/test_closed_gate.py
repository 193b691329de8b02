"""The checks about a gate that must not open, against a scripted head node."""

from __future__ import annotations

import pytest

from lab.checks.api import Outcome
from tests.unit.checks_world import World
from tests.unit.exercises.test_login import judge, outcomes
from tests.unit.exercises.test_security import passes

GOOD, BAD, UNTESTED = "a" * 40, "b" * 40, "c" * 40
RELEASES = "/srv/images/burnin"
STAMP = f"role=burnin\nref=main\ncommit={GOOD}"
LETTING_ALL_PASS = {"bad_image": f"{RELEASES}/{BAD[:12]}/image.gz", "bad_said": "remote: released: x   "}


def trial(**parts: str) -> str:
    """What a trial prints of a gate that is closed, a stamp in the image and none on the SMS."""
    said = "remote: FAILED: tests/00_check.sh   \nremote: the pipeline has failed with status 1"
    found = {
        "clone": "",
        "good_commit": GOOD, "good_said": "remote: the pipeline has passed",
        "good_image": f"{RELEASES}/{GOOD[:12]}/image.gz", "good_stamp": STAMP, "good_here": "",
        "bad_commit": BAD, "bad_said": said, "bad_image": "", "bad_stamp": "", "bad_here": "",
        **parts,
    }  # fmt: skip
    return "".join(f"@@trial {name.replace('_', '-')}\n{text}\n" for name, text in found.items())


def solved(**parts: str) -> World:
    world = World().says("sms", "^unshare", trial(**parts), 1)
    world.says("sms", "log -1", f"{UNTESTED} A short burn-in\n")
    return world.says("sms", "^ls -d", "").says("sms", "^cat /etc/image-release", "cat: no such file\n", 1)


def test_it_passes_when_solved() -> None:
    assert passes("closed_gate", solved())


def test_at_first_everything_is_wrong_for_a_reason_of_its_own() -> None:
    world = solved(**LETTING_ALL_PASS, good_stamp="", good_here=STAMP)
    world.says("sms", "^ls -d", f"{RELEASES}/{UNTESTED[:12]}\n{RELEASES}/{UNTESTED[:12]}\n")
    world.says("sms", "^cat /etc/image-release", f"{STAMP}\n")
    found = judge("closed_gate", world)
    assert outcomes(found, Outcome.FAILED) == [
        "failing_test_stops_it",
        "what_got_through_is_gone",
        "sms_has_no_stamp",
    ]
    assert outcomes(found, Outcome.PASSED) == []
    assert found["what_got_through_is_gone"].actual == f"{RELEASES}/{UNTESTED[:12]} (A short burn-in)"


@pytest.mark.parametrize(
    ("parts", "check", "part"),
    [
        (LETTING_ALL_PASS, "failing_test_stops_it", "it was released; the push said: released: x"),
        (
            {"good_image": "", "good_said": "remote: FAILED: tests/x.sh   \nremote: the pipeline has failed"},
            "passing_commit_is_released",
            "there is none; the push said: FAILED: tests/x.sh; the pipeline has failed",
        ),
        ({"good_stamp": ""}, "image_names_its_commit", "no stamp"),
        ({"good_stamp": f"commit={BAD}"}, "image_names_its_commit", f"of another commit: commit={BAD}"),
        ({"good_here": STAMP}, "sms_has_no_stamp", "after a push: role=burnin"),
    ],
)
def test_what_is_wrong_is_named(parts: dict[str, str], check: str, part: str) -> None:
    found = judge("closed_gate", solved(**parts))
    assert outcomes(found, Outcome.FAILED) == [check]
    assert part in found[check].actual


def test_a_learners_own_trial_is_to_be_withdrawn_too() -> None:
    found = judge("closed_gate", solved().says("sms", "^ls -d", f"{RELEASES}/{BAD[:12]}\n"))
    assert outcomes(found, Outcome.FAILED) == ["what_got_through_is_gone"]
    assert found["what_got_through_is_gone"].actual == f"{RELEASES}/{BAD[:12]}"


def test_a_repository_that_cannot_be_cloned_is_told_with_its_error() -> None:
    world = solved().says("sms", "^unshare", "@@trial clone\nfatal: Remote branch main not found\n", 1)
    found = judge("closed_gate", world)
    assert outcomes(found, Outcome.PASSED) == ["what_got_through_is_gone"]
    assert "Remote branch main not found" in found["failing_test_stops_it"].actual


def test_a_node_without_room_for_a_trial_is_our_fault() -> None:
    world = solved().says("sms", "^unshare", "mount: permission denied\n", 70)
    with pytest.raises(AssertionError, match="the trial ended with status 70"):
        judge("closed_gate", world)
