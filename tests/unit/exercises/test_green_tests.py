"""The checks about a branch whose tests were committed first, against a scripted runner and head node."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from lab.checks.api import Outcome
from lab.model import ClusterSpec, Role
from tests.unit.checks_world import World, small_spec
from tests.unit.exercises.nodeimage_answers import INVALID, VALID, refused
from tests.unit.exercises.test_login import judge, outcomes
from tests.unit.exercises.test_security import passes

RED, TIP = "1" * 40, "2" * 40


def with_runner() -> ClusterSpec:
    spec = small_spec()
    runner = replace(spec.node("login"), name="runner", role=Role.RUNNER)
    return replace(spec, nodes=(*spec.nodes, runner))


def record(number: int, commit: str, *failed: str, ref: str = "hardening", outcome: str = "") -> str:
    """A pipeline as the runner keeps it (lab/guest/runner/results.py)."""
    told = outcome or ("failed" if failed else "passed")
    found = {"number": number, "ref": ref, "commit": commit, "outcome": told, "failed": failed}
    return json.dumps({**found, "subject": "{ a brace"}, indent=2) + "\n"


def solved(*records: str) -> World:
    """A pipeline failed, and the one of the tip passed; `cat` gives 10 before 2."""
    world = World(spec=with_runner())
    known = records or (record(10, TIP), record(2, RED, "test-tree"), record(3, RED, ref="main"))
    world.says("runner", "^cat /var/lib/runner/results", "".join(known))
    world.says("runner", "rev-parse refs/heads/hardening$", f"{TIP}\n")
    world.says("runner", "diff --name-only refs/lesson/start", "")
    return world.says("sms", f"^nodeimage verify compute {TIP[:12]}", VALID)


def test_it_passes_when_solved() -> None:
    assert passes("green_tests", solved())


def test_at_first_no_pipeline_has_run() -> None:
    found = judge("green_tests", solved().says("runner", "^cat /var/lib/runner/results", "", 1))
    assert outcomes(found, Outcome.FAILED) == ["tests_were_seen_to_fail", "pipeline_is_green"]
    assert outcomes(found, Outcome.PASSED) == []
    assert found["pipeline_is_green"].actual == "none"


@pytest.mark.parametrize(
    ("records", "check", "actual"),
    [
        ((record(1, TIP),), "tests_were_seen_to_fail", "passed"),
        ((record(1, RED, "build-tree"), record(2, TIP)), "tests_were_seen_to_fail", "failed, passed"),
        ((record(1, RED, "test-tree", ref="main"), record(2, TIP)), "tests_were_seen_to_fail", "passed"),
        ((record(1, TIP, "test-tree"),), "pipeline_is_green", "failed: test-tree"),
        ((record(1, RED, "test-tree"), record(2, RED)), "pipeline_is_green", "none"),
        (
            (record(9, TIP), record(10, TIP, "test-tree", "pack-image")),
            "pipeline_is_green",
            "failed: test-tree, pack-image",
        ),
        ((record(1, RED, "test-tree"), record(2, TIP, outcome="running")), "pipeline_is_green", "running: "),
    ],
)
def test_pipelines_are_judged_by_the_last_one_of_the_tip(
    records: tuple[str, ...], check: str, actual: str
) -> None:
    found = judge("green_tests", solved(*records))
    assert outcomes(found, Outcome.FAILED) == [check]
    assert found[check].actual == actual


def test_changed_tests_are_named() -> None:
    world = solved().says("runner", "diff --name-only", "compute/tests/test_hardening.py\n.gitlab-ci.yml\n")
    found = judge("green_tests", world)
    assert outcomes(found, Outcome.FAILED) == ["tests_are_those_that_were_agreed"]
    changed = found["tests_are_those_that_were_agreed"].actual
    assert changed == "compute/tests/test_hardening.py, .gitlab-ci.yml"


def test_a_release_that_is_not_what_was_signed_is_told() -> None:
    world = solved().says("sms", "^nodeimage verify", refused(INVALID, "no release"), INVALID)
    found = judge("green_tests", world)
    assert outcomes(found, Outcome.FAILED) == ["release_is_on_the_sms"]
    assert "no release" in found["release_is_on_the_sms"].actual
