"""A real lab for the proof of the exercises, driven by the command a learner types."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lab.cli.app import App
from lab.cli.context import ExerciseContext
from lab.course.catalog import Exercise
from lab.course.lint import Wrong
from lab.course.script import Block
from lab.course.solving import type_blocks
from lab.course.variables import fill_text
from lab.model import Role

PLAIN = {"NO_COLOR": "1", "LAB_PROGRESS": "plain"}
LAB = [sys.executable, "-m", "lab.cli.main"]
SECONDS = 900.0  # one command may take in containers; a chain of solutions is typed within one
LINES = 25  # of a console


def today() -> int:
    """The day's number; LAB_TEST_DAY repeats what an earlier day had its turn for."""
    return int(os.environ.get("LAB_TEST_DAY") or datetime.now(tz=UTC).toordinal())


def scripts(exercise: Exercise, wrong: Wrong) -> tuple[tuple[str, tuple[Block, ...]], ...]:
    """What is typed for a wrong way, under the name of the file that an error would name."""
    own = (wrong.script.name, wrong.blocks())
    return (("solution.sh", exercise.solution_until(wrong.after)), own) if wrong.after else (own,)


@dataclass(frozen=True)
class Lab:
    """A lab by its name, driven as from a terminal; its learner's files are the test's own."""

    name: str
    environ: dict[str, str]
    seconds: float = SECONDS

    @classmethod
    def called(cls, name: str, environ: Mapping[str, str], learner: Path) -> Lab:
        """A lab of this process's own, not made yet; limits follow its backend's pace."""
        told = {**environ, "XDG_DATA_HOME": str(learner)}
        return cls(f"{name}{os.getpid()}", told, SECONDS * App(told).backend.timeout_scale)

    def run(self, *words: str, code: int = 0) -> str:
        """Runs `lab WORDS…` without a terminal, and wants that exit status."""
        done = self._ask(*words)
        told = f"lab {' '.join(words)}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        assert done.returncode == code, f"{told}\n{self._remains()}"
        return done.stdout

    def _ask(self, *words: str) -> subprocess.CompletedProcess[str]:
        command = [*LAB, words[0], "-l", self.name, *words[1:]]
        return subprocess.run(
            command, capture_output=True, text=True, timeout=self.seconds, check=False, env=self.environ
        )

    def _remains(self) -> str:
        """How the nodes stand and what they wrote last: when this is read, the lab is gone."""
        seen = self._ask("status")
        if seen.returncode:
            return seen.stderr
        nodes = [node.name for node in ExerciseContext(App(self.environ), self.name).spec.nodes]
        consoles = [
            f"--- console of {node}\n{self._ask('console', node, '-n', str(LINES)).stdout}" for node in nodes
        ]
        return "\n".join([seen.stdout, seen.stderr, *consoles])

    def check(self, exercise: Exercise, *more: str, code: int) -> dict[str, dict[str, Any]]:
        """The outcome of every check, by its name."""
        found = json.loads(self.run("check", exercise.name, "--json", *more, code=code))
        return {check["id"]: check for step in found["steps"] for check in step["checks"]}

    def reboot(self, nodes: tuple[str, ...]) -> None:
        """Pulls the plugs of nodes and puts them back: the SMS's first, then all others' at once."""
        others = [node for node in nodes if node != "sms"]
        if "sms" in nodes:
            self.run("reset", "sms", "-y")
        if others:
            self.run("power", "reset", *others)

    def type(self, exercise: Exercise, wrong: Wrong) -> str:
        """Types a wrong way, after the part of the solution it begins with, and returns what was shown."""
        app = App(self.environ)
        seen: list[str] = []
        with app.cluster(ExerciseContext(app, self.name).spec) as cluster:
            for name, blocks in scripts(exercise, wrong):
                type_blocks(cluster, name, blocks, show=seen.append, say=lambda _: None)
        return "".join(seen)

    def fill(self, text: str) -> str:
        """A text with this lab's values."""
        return fill_text(text, ExerciseContext(App(self.environ), self.name).spec)

    def lacks(self, exercise: Exercise) -> list[str]:
        """What the exercise needs and this lab's backend cannot do."""
        backend = App(self.environ).backend
        runner = ["runner"] if Role.RUNNER in exercise.roles and backend.name != "docker" else []
        missing = backend.probe().missing if exercise.capabilities else ()
        return [*runner, *(need for need in exercise.capabilities if need in missing)]

    def provide(self, exercise: Exercise) -> None:
        """Adds the runner, or makes a lab with the software, that the exercise needs; a lab has neither."""
        if Role.RUNNER in exercise.roles:
            self.run("up", "--set", "runner.count=1", "-y")
        if exercise.software and not ExerciseContext(App(self.environ), self.name).spec.jupyter:
            self.run("down", "-y")
            self.run("up", "--set", "jupyter=true")
