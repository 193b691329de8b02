"""Brings the lab to an exercise's start state, from any state, and back there again."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from lab.backends.base import HANDOUT
from lab.checks.report import Judgement, one_line
from lab.course.catalog import PREPARATION, Catalog, Exercise
from lab.course.progress import ProgressFile
from lab.errors import LabError, UsageError
from lab.model import ClusterSpec, Role

Say = Callable[[str], None]


class LabStates(Protocol):
    """What the course asks of a lab: its states, its power, and waiting until it is well."""

    @property
    def spec(self) -> ClusterSpec:
        """What the cluster is."""

    def origin(self) -> str:
        """What the head node is made of: another one makes other start states."""

    def states(self) -> tuple[str, ...]:
        """Names of the states that this lab can go to: its own snapshots, and start states of all labs."""

    def keep(self, name: str) -> None:
        """Keeps the present state, reached under an ephemeral identity, for all labs."""

    def drop(self, names: Sequence[str]) -> None:
        """Removes start states."""

    def restore(self, name: str, *, ephemeral_identity: bool = False) -> object:
        """Goes to a kept state, and waits until the nodes are up again.

        With `borrowed` under keys and passwords of no lab, until the next time.
        """

    def recreate(self) -> None:
        """Makes the lab anew, as it is handed out, and waits until it is up."""

    def cycle(self, node: str, /) -> object:
        """Pulls the plug of one node, puts it back, and waits until the node is up."""


@dataclass(frozen=True)
class StartPlan:
    """How an exercise's start state will be reached."""

    exercise: Exercise
    state: str  # name of the snapshot that holds the start state
    restore: str | None  # the kept state to begin from; None: make the lab anew
    replay: tuple[Exercise, ...]  # solutions typed from there on

    @property
    def summary(self) -> str:
        """The plan in one sentence."""
        begin = f"restore the snapshot {self.restore!r}" if self.restore else "make the lab anew"
        if not self.replay:
            return begin
        names = ", ".join(exercise.name for exercise in self.replay)
        return f"{begin}, then type the solution of {names} (minutes; the result is kept)"


@dataclass(frozen=True)
class DataLoss:
    """What a learner loses by it; the transcripts are kept."""

    nodes: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """For the question before it happens."""
        return (
            f"Everything changed on {', '.join(self.nodes)} will be lost, and open shells there end; "
            "progress and transcripts are kept."
        )


class Course:
    """The exercises of one lab in motion."""

    def __init__(
        self,
        catalog: Catalog,
        progress: ProgressFile,
        keeper: LabStates,
        *,
        solve: Callable[[Exercise], None],
        judge: Callable[[Exercise], Judgement],
        say: Say,
        prepare: Callable[[Exercise], None] = lambda _: None,
    ) -> None:
        self.catalog = catalog
        self.progress = progress
        self._keeper = keeper
        self._solve = solve
        self._judge = judge
        self._say = say
        self._prepare = prepare  # what an exercise's learner finds besides the state: files
        self._place = _digest(replace(keeper.spec, lab=""), keeper.origin())[:6]

    def plan(self, exercise: Exercise) -> StartPlan:
        """Says how the start state of an exercise would be reached."""
        chain = self.catalog.chain(exercise)
        states = [HANDOUT, *(self.state_after(done) for done in chain)]
        kept = set(self._keeper.states())
        for position in range(len(chain), -1, -1):
            if states[position] in kept:
                return StartPlan(exercise, states[-1], states[position], chain[position:])
        return StartPlan(exercise, states[-1], None, chain)

    def loss(self) -> DataLoss:
        """Says what `start` and `reset` take from the learner."""
        return DataLoss(tuple(node.name for node in self._keeper.spec.nodes))

    def start(self, plan: StartPlan) -> None:
        """Reaches the start state, and makes the exercise the one being worked on."""
        self._reach(plan)
        self.progress.begin(plan.exercise.name, plan.exercise.formerly)

    def reset(self, plan: StartPlan) -> None:
        """Reaches the start state and forgets what was done in the exercise."""
        self._reach(plan)
        self.progress.forget(plan.exercise.name, plan.exercise.formerly)
        self.progress.begin(plan.exercise.name, plan.exercise.formerly)

    def carry_on(self, exercise: Exercise) -> None:
        """Makes an exercise the one being worked on, and leaves the lab as it is."""
        self._prepare(exercise)
        self.progress.begin(exercise.name, exercise.formerly)

    def reset_node(self, node: str) -> None:
        """Power-cycles one node; the others are not touched."""
        self._keeper.cycle(node)

    def carries_on(self, current: Exercise | None, following: Exercise) -> bool:
        """Whether the state that solving `current` leaves is the start state of `following`."""
        return current is not None and following.builds_on == current.name

    def state_after(self, exercise: Exercise) -> str:
        """Names the snapshot of the state an exercise's solution leaves.

        The name holds digests of all that made it, the cluster and its images in one, solutions in the
        other; so that a change only makes what depends on it anew. The lab's name is in neither: a state
        that one lab has made is there for all.
        """
        made: list[object] = []
        for done in (*self.catalog.chain(exercise), exercise):
            made += [done.name, done.version]
            scripts = [done.folder / name for name in ("solution.sh", PREPARATION)]
            for path in (*filter(Path.exists, scripts), *_given(done.folder / "files")):
                made += [path.name, path.read_bytes()]
        return f"{self._begins(exercise)}{_digest(*made)[:12]}"

    def _begins(self, exercise: Exercise) -> str:
        return f"after-{exercise.name}-{self._place}-"

    def _reach(self, plan: StartPlan) -> None:
        if plan.restore is None:
            self._say("making the lab anew")
            self._keeper.recreate()
        else:
            self._say(f"restoring {plan.restore}")
            self._keeper.restore(plan.restore, ephemeral_identity=bool(plan.replay))
        for exercise in plan.replay:
            self._replay(exercise)
        # A restored lab and a replayed one differ in what lived in memory only; the replayed one has to do
        # where a backend can keep nothing.
        if plan.replay and plan.state in self._keeper.states():
            self._say(f"restoring {plan.state}")
            self._keeper.restore(plan.state)
        self._prepare(plan.exercise)

    def _replay(self, exercise: Exercise) -> None:
        self._prepare(exercise)
        self._say(f"typing the solution of {exercise.name}")
        self._solve(exercise)
        judgement = self._judge(exercise)
        if not judgement.solved:
            raise LabError(
                f"the solution of {exercise.name} did not solve it, so what comes after cannot start",
                evidence=unsolved(judgement),
                hint=f"lab start {exercise.name}, then: lab solve {exercise.name}",
            )
        state = self.state_after(exercise)
        self._keeper.keep(state)
        begins = self._begins(exercise)
        self._keeper.drop([old for old in self._keeper.states() if old.startswith(begins) and old != state])


def unsolved(judgement: Judgement) -> str:
    """Lists the checks that failed or broke, one a line, as evidence."""
    lines = [
        f"{verdict.outcome.value}: {verdict.sentence} found {one_line(verdict.actual)}"
        for verdict in judgement.verdicts
        if verdict.actual
    ]
    return "\n".join(lines) or "no check was run"


def _digest(*made: object) -> str:
    """Of values by their `repr`, which tells every value of ours from every other."""
    return hashlib.sha256(repr(made).encode()).hexdigest()


def _given(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file()) if folder.is_dir() else []


def resolve_reset_target(name: str, spec: ClusterSpec, catalog: Catalog) -> Exercise | str:
    """Tells whether `lab reset NAME` means an exercise or a node; an exercise's name wins."""
    if catalog.has(name.replace("-", "_")):
        return catalog.get(name)
    if any(node.name == name for node in spec.nodes):
        return name
    known = ", ".join(node.name for node in spec.nodes if node.role is not Role.SMS)
    raise UsageError(
        f"{name!r} is neither an exercise nor a node",
        hint=f"nodes: {spec.sms.name}, {known}; exercises: lab exercises",
    )
