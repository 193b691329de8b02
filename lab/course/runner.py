"""Brings the lab from any state to an exercise's start state, and resets exercises."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from lab.backends.base import HANDOUT
from lab.checks.judgement import Judgement, one_line
from lab.cluster.readiness import ProbeResult, Reading
from lab.course.catalog import PREPARATION, Catalog, Exercise
from lab.course.progress import ProgressFile
from lab.errors import LabError, UsageError
from lab.model import ClusterSpec, Role

Say = Callable[[str], None]


class LabStates(Protocol):
    """What the course needs of a lab: saved states, power, and waiting until the nodes are ready."""

    @property
    def spec(self) -> ClusterSpec:
        """The specification of the cluster."""

    def base_id(self) -> str:
        """Identifies the image of the SMS: start states made with another image do not fit."""

    def states(self) -> tuple[str, ...]:
        """Lists what this lab can be restored to: its snapshots and the start states of all labs."""

    def save_state(self, name: str) -> None:
        """Saves the present state, made under an ephemeral identity, for all labs."""

    def delete_states(self, names: Sequence[str]) -> None:
        """Deletes start states."""

    def restore(self, name: str, *, ephemeral_identity: bool = False) -> object:
        """Restores a saved state, and waits until the nodes are ready.

        With `ephemeral_identity`, the lab has temporary keys and passwords until the next restore, so
        that a state made now holds no lab's secrets.
        """

    def recreate(self) -> None:
        """Removes the lab, creates it again, and waits until it is ready."""

    def reset(self, node: str, /) -> Sequence[Reading]:
        """Makes one machine anew and has Slurm give it jobs; returns how it is then."""


@dataclass(frozen=True)
class StartPlan:
    """How the start state of an exercise will be made."""

    exercise: Exercise
    state: str  # name of the snapshot that holds the start state
    restore: str | None  # the saved state to begin with; None: create the lab again
    replay: tuple[Exercise, ...]  # exercises whose solutions are typed after that

    @property
    def summary(self) -> str:
        """The plan in one clause, for a question."""
        begin = f"restore the snapshot {self.restore}" if self.restore else "create the lab again"
        if not self.replay:
            return begin
        names = ", ".join(exercise.name for exercise in self.replay)
        return f"{begin}, then type the solution of {names} (takes minutes; the result is saved)"


@dataclass(frozen=True)
class DataLoss:
    """What a learner loses by a start or a reset."""

    nodes: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """The loss in one sentence, for the question."""
        return (
            f"All changes on {', '.join(self.nodes)} will be lost and open shells there will end; "
            "progress and transcripts are kept."
        )


class Course:
    """Starts, resets and continues the exercises of one lab."""

    def __init__(
        self,
        catalog: Catalog,
        progress: ProgressFile,
        lab: LabStates,
        *,
        solve: Callable[[Exercise], None],
        judge: Callable[[Exercise], Judgement],
        say: Say,
        prepare: Callable[[Exercise], None] = lambda _: None,
    ) -> None:
        self.catalog = catalog
        self.progress = progress
        self._lab = lab
        self._solve = solve
        self._judge = judge
        self._say = say
        self._prepare = prepare  # gives the learner the files of an exercise
        self._cluster_digest = _digest(replace(lab.spec, lab=""), lab.base_id())[:6]

    def plan(self, exercise: Exercise) -> StartPlan:
        """Plans how to make the start state of an exercise; changes nothing."""
        chain = self.catalog.chain(exercise)
        states = [HANDOUT, *(self.state_after(done) for done in chain)]
        kept = set(self._lab.states())
        for position in range(len(chain), -1, -1):
            if states[position] in kept:
                return StartPlan(exercise, states[-1], states[position], chain[position:])
        return StartPlan(exercise, states[-1], None, chain)

    def loss(self) -> DataLoss:
        """Says what the learner loses by `start` and `reset`."""
        return DataLoss(tuple(node.name for node in self._lab.spec.nodes))

    def start(self, plan: StartPlan) -> None:
        """Records that the learner works on the exercise, and makes its start state."""
        with self._working_on(plan.exercise, f"lab start {plan.exercise.name}"):
            self._make_start_state(plan)

    def reset(self, plan: StartPlan) -> None:
        """Makes the start state, and deletes the progress in the exercise."""
        with self._working_on(plan.exercise, f"lab reset {plan.exercise.name}"):
            self._make_start_state(plan)
        self.progress.forget(plan.exercise.name, plan.exercise.formerly)
        self.progress.begin(plan.exercise.name, plan.exercise.formerly)

    def continue_with(self, exercise: Exercise) -> None:
        """Records that the learner works on an exercise, and leaves the lab as it is."""
        with self._working_on(exercise, f"lab start --keep {exercise.name}"):
            self._prepare(exercise)

    def reset_node(self, node: str) -> str:
        """Returns one node to its start; other nodes are not affected. Says what is still amiss, or ""."""
        found = self._lab.reset(node)
        return "; ".join(f"{r.probe} {r.evidence}" for r in found if r.answer is not ProbeResult.YES)

    def state_after(self, exercise: Exercise) -> str:
        """Names the snapshot of the state that an exercise's solution leaves.

        The name holds two digests: of the cluster and its images, and of the scripts and files that lead
        to the state. A change therefore makes only those states again that depend on it. Neither digest
        holds the lab's name, so that every lab can use the state.
        """
        made: list[object] = []
        for done in (*self.catalog.chain(exercise), exercise):
            made += [done.name, done.version]
            scripts = [done.folder / name for name in ("solution.sh", PREPARATION)]
            for path in (*filter(Path.exists, scripts), *_files(done.folder / "files")):
                made += [path.name, path.read_bytes()]
        return f"{self._prefix(exercise)}{_digest(*made)[:12]}"

    def _prefix(self, exercise: Exercise) -> str:
        return f"after-{exercise.name}-{self._cluster_digest}-"

    @contextmanager
    def _working_on(self, exercise: Exercise, again: str) -> Iterator[None]:
        """Makes it the current exercise even if what follows fails; the error ends with how to repeat it."""
        self.progress.begin(exercise.name, exercise.formerly)
        try:
            yield
        except LabError as problem:
            problem.hint = f"{problem.hint}; afterwards: {again}" if problem.hint else again
            raise

    def _make_start_state(self, plan: StartPlan) -> None:
        if plan.restore is None:
            self._say("creating the lab again")
            self._lab.recreate()
        else:
            self._say(f"restoring {plan.restore}")
            self._lab.restore(plan.restore, ephemeral_identity=bool(plan.replay))
        for exercise in plan.replay:
            self._replay(exercise)
        # A restored lab has lost what was only in memory, and learners are to begin with the same state
        # each time. A backend that cannot save states has to go on with the replayed one.
        if plan.replay and plan.state in self._lab.states():
            self._say(f"restoring {plan.state}")
            self._lab.restore(plan.state)
        self._prepare(plan.exercise)

    def _replay(self, exercise: Exercise) -> None:
        self._prepare(exercise)
        self._say(f"typing the solution of {exercise.name}")
        self._solve(exercise)
        judgement = self._judge(exercise)
        if not judgement.solved:
            raise LabError(
                f"the solution of {exercise.name} did not solve it, so the next exercise cannot start",
                evidence=unsolved(judgement),
                hint=f"lab start {exercise.name}, then: lab solve {exercise.name}",
            )
        state = self.state_after(exercise)
        self._lab.save_state(state)
        prefix = self._prefix(exercise)
        self._lab.delete_states(
            [old for old in self._lab.states() if old.startswith(prefix) and old != state]
        )


def unsolved(judgement: Judgement) -> str:
    """Lists the checks that failed or are broken, one per line, as evidence."""
    lines = [
        f"{verdict.outcome.value}: {verdict.sentence} found {one_line(verdict.actual)}"
        for verdict in judgement.verdicts
        if verdict.actual
    ]
    return "\n".join(lines) or "no check was run"


def _digest(*made: object) -> str:
    """Makes a digest of values from their `repr`, which differs for different values here."""
    return hashlib.sha256(repr(made).encode()).hexdigest()


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file()) if folder.is_dir() else []


def resolve_reset_target(name: str, spec: ClusterSpec, catalog: Catalog) -> Exercise | str:
    """Decides whether `lab reset NAME` means an exercise or a node; an exercise comes first."""
    if catalog.has(name.replace("-", "_")):
        return catalog.get(name)
    if any(node.name == name for node in spec.nodes):
        return name
    known = ", ".join(node.name for node in spec.nodes if node.role is not Role.SMS)
    raise UsageError(
        f"{name!r} is neither an exercise nor a node",
        hint=f"nodes: {spec.sms.name}, {known}; exercises: lab exercises",
    )
