"""Every exercise proven on a real lab: unsolved fails, wrong ways fail as told, the solution passes."""

from __future__ import annotations

import json
import os
import random
import secrets
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from lab.course.catalog import Exercise, load
from lab.course.lint import Wrong
from lab.paths import data_folder
from tests.exercises.labs import Lab

pytestmark = pytest.mark.engine

CATALOG = load(data_folder("exercises"))
SOME, FEW = 4, 2  # exercises that are solved in an order of chance; few in the quick selection
BRIEFLY = ("--patience", "0.1")  # what is not solved need not be waited for


def unsolved(found: dict[str, dict[str, Any]]) -> dict[str, str]:
    """Why each failed check fails; all others must be blocked, in the end by one of these."""
    outcomes = {name: check["outcome"] for name, check in found.items()}
    assert set(outcomes.values()) <= {"failed", "blocked"}, outcomes
    for name, check in found.items():
        if outcomes[name] == "blocked":
            assert check["blocked_by"]
            assert all(outcomes[need] in ("failed", "blocked") for need in check["blocked_by"])
    return {
        name: f"{check['expected']} | {check['actual']}"
        for name, check in found.items()
        if outcomes[name] == "failed"
    }


@pytest.mark.parametrize("proven", CATALOG.exercises, ids=lambda exercise: exercise.name)
def test_an_exercise_is_proven(
    lab: Lab, proven: Exercise, ways: Callable[[Exercise], Sequence[Wrong]]
) -> None:
    exercise = proven  # the parameter's own name tells conftest.py what a test proves
    if lacking := lab.lacks(exercise):
        pytest.skip(f"this backend has no {', '.join(lacking)}")
    lab.provide(exercise)
    lab.run("start", exercise.name, "-y")
    reasons = unsolved(lab.check(exercise, *BRIEFLY, code=1))
    assert reasons
    assert len(set(reasons.values())) == len(reasons), "each check fails for a reason of its own"
    for wrong in ways(exercise):
        prove_wrong(lab, exercise, wrong)
        lab.run("reset", exercise.name, "-y")
    lab.run("solve", exercise.name)
    lab.check(exercise, code=0)
    if exercise.reboots:
        lab.reboot(exercise.reboots)
        lab.check(exercise, code=0)
    lab.run("reset", exercise.name, "-y")
    assert set(unsolved(lab.check(exercise, *BRIEFLY, code=1))) == set(reasons)


def test_any_exercise_is_solved_after_any_other(
    lab: Lab, asked_for: tuple[Exercise, ...], request: pytest.FixtureRequest
) -> None:
    """From whatever state the one before has left; those whose start state would have to be made wait."""
    seed = os.environ.get("LAB_TEST_SEED") or secrets.token_hex(4)
    made = json.loads(lab.run("snapshot", "--list", "--json"))["states"]
    ready = [
        exercise
        for exercise in asked_for
        if not lab.lacks(exercise)
        and (
            exercise.builds_on is None
            or any(state["name"].startswith(f"after-{exercise.builds_on}-") for state in made)
        )
    ]
    some = FEW if request.config.getoption("--smoke") else SOME
    order = random.Random(seed).sample(ready, k=min(some, len(ready)))
    print(f"LAB_TEST_SEED={seed}: {', '.join(exercise.name for exercise in order)}")
    for exercise in order:
        lab.provide(exercise)
        lab.run("start", exercise.name, "-y")
        lab.run("solve", exercise.name)
        lab.check(exercise, code=0)


def prove_wrong(lab: Lab, exercise: Exercise, wrong: Wrong) -> None:
    """A wrong way fails the checks it should, and they say what is wrong."""
    seen = lab.type(exercise, wrong)
    found = lab.check(exercise, *BRIEFLY, code=1)
    failing = {name: check for name, check in found.items() if check["outcome"] == "failed"}
    assert not [name for name, check in found.items() if check["outcome"] == "broken"]
    assert set(wrong.fails) <= set(failing), f"{wrong.story}\n{seen}\n{json.dumps(found, indent=1)}"
    for name in wrong.fails:
        check = failing[name]
        message = " ".join([check["expected"], check["actual"], check["look"], check["hint"]])
        for part in wrong.message:
            assert lab.fill(part) in message, f"{wrong.story}: {name}: {message}"
