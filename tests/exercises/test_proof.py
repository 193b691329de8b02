"""Every exercise proven on a real lab: unsolved fails, wrong ways fail as told, the solution passes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from lab.catalog import Exercise, load
from lab.cli.app import App
from lab.cli.desk import Desk, type_blocks
from lab.handout import fill_text
from lab.paths import data_folder
from lab.shape import Wrong, wrongs

pytestmark = [pytest.mark.engine, pytest.mark.timeout(1200)]

EXERCISES = load(data_folder("exercises")).exercises
LAB = [sys.executable, "-m", "lab.cli.main"]
NAME = f"proof{os.getpid()}"
BRIEFLY = ("--patience", "0.1")  # what is not solved need not be waited for


@dataclass(frozen=True)
class Lab:
    """A lab by its name, driven as from a terminal; its learner's files are the test's own."""

    name: str
    environ: dict[str, str]

    def run(self, *words: str, code: int = 0) -> str:
        """Runs `lab WORDS…` without a terminal, and wants that exit status."""
        done = subprocess.run(
            [*LAB, words[0], "-l", self.name, *words[1:]],
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
            env=self.environ,
        )
        told = f"lab {' '.join(words)}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        assert done.returncode == code, told
        return done.stdout

    def check(self, exercise: Exercise, *more: str, code: int) -> dict[str, dict[str, Any]]:
        """The outcome of every check, by its name."""
        found = json.loads(self.run("check", exercise.name, "--json", *more, code=code))
        return {check["id"]: check for step in found["steps"] for check in step["checks"]}

    def type(self, wrong: Wrong) -> str:
        """Types a wrong way, and returns what was to be seen."""
        app = App(self.environ)
        seen: list[str] = []
        with app.cluster(Desk(app, self.name).spec) as cluster:
            type_blocks(cluster, wrong.script.name, wrong.blocks(), show=seen.append, say=lambda _: None)
        return "".join(seen)

    def fill(self, text: str) -> str:
        """A text with this lab's values."""
        return fill_text(text, Desk(App(self.environ), self.name).spec)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A fresh lab for the course, gone afterwards."""
    home = tmp_path_factory.mktemp("learner")
    environ = dict(os.environ, NO_COLOR="1", XDG_DATA_HOME=str(home), LAB_PROGRESS="plain")
    found = Lab(NAME, environ)
    try:
        found.run("up")
        yield found
    finally:
        found.run("down", "-y")


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


@pytest.mark.parametrize("exercise", EXERCISES, ids=lambda exercise: exercise.name)
def test_an_exercise_is_proven(lab: Lab, exercise: Exercise) -> None:
    lab.run("start", exercise.name, "-y")
    reasons = unsolved(lab.check(exercise, *BRIEFLY, code=1))
    assert reasons
    assert len(set(reasons.values())) == len(reasons), "each check fails for a reason of its own"
    for wrong in wrongs(exercise.folder, []):
        prove_wrong(lab, exercise, wrong)
        lab.run("reset", exercise.name, "-y")
    lab.run("solve", exercise.name)
    lab.check(exercise, code=0)
    for node in exercise.reboots:
        lab.run("reset", node, "-y")
        lab.check(exercise, code=0)
    lab.run("reset", exercise.name, "-y")
    assert set(unsolved(lab.check(exercise, *BRIEFLY, code=1))) == set(reasons)


def prove_wrong(lab: Lab, exercise: Exercise, wrong: Wrong) -> None:
    """A wrong way fails the checks it should, and they say what is wrong."""
    seen = lab.type(wrong)
    found = lab.check(exercise, *BRIEFLY, code=1)
    failing = {name: check for name, check in found.items() if check["outcome"] == "failed"}
    assert not [name for name, check in found.items() if check["outcome"] == "broken"]
    assert set(wrong.fails) <= set(failing), f"{wrong.story}\n{seen}\n{json.dumps(found, indent=1)}"
    for name in wrong.fails:
        check = failing[name]
        message = " ".join([check["expected"], check["actual"], check["look"], check["hint"]])
        for part in wrong.message:
            assert lab.fill(part) in message, f"{wrong.story}: {name}: {message}"
