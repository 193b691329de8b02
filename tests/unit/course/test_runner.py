"""Start states: the shortest way there, what is kept, what is made anew, and what is forgotten."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from lab.backends.base import HANDOUT
from lab.checks.api import Outcome, Verdict
from lab.checks.judgement import Judgement
from lab.cluster.readiness import Expectation, ProbeResult, Reading
from lab.course.catalog import Catalog, Exercise, load
from lab.course.progress import ProgressFile
from lab.course.runner import Course, resolve_reset_target
from lab.errors import LabError, UsageError
from lab.model import ClusterSpec, Root
from tests.unit.checks_world import small_spec
from tests.unit.course.test_catalog import INDEX, write


def short(name: str) -> str:
    """A state's name without its digests."""
    return name.rsplit("-", 2)[0]


@dataclass
class FakeKeeper:
    """A lab whose state is the list of solutions typed since it was handed out."""

    spec: ClusterSpec = field(default_factory=small_spec)
    state: tuple[str, ...] = ("a learner's mess",)
    kept: dict[str, tuple[str, ...]] = field(default_factory=dict)
    did: list[str] = field(default_factory=list)
    readings: tuple[Reading, ...] = ()  # what the next reset ends with

    image: str = "image-1"

    def base_id(self) -> str:
        return self.image

    def states(self) -> tuple[str, ...]:
        return tuple(self.kept)

    def save_state(self, name: str) -> None:
        self.did.append(f"keep {short(name)}")
        self.kept[name] = self.state

    def delete_states(self, names: Sequence[str]) -> None:
        self.did += [f"drop {short(name)}" for name in names]
        for name in names:
            del self.kept[name]

    def restore(self, name: str, *, ephemeral_identity: bool = False) -> None:
        self.did.append(f"restore {short(name)}{' borrowed' if ephemeral_identity else ''}")
        self.state = self.kept[name]

    def recreate(self) -> None:
        self.did.append("recreate")
        self.kept.clear()
        self.state = ()

    def reset(self, node: str, /) -> tuple[Reading, ...]:
        self.did.append(f"reset {node}")
        return self.readings


class Stand:
    """A course over three exercises, each of which starts where the one before ends."""

    def __init__(self, root: Path, data: Path) -> None:
        self.root = root
        self.keeper = FakeKeeper()
        self.progress = ProgressFile(data, "lab")
        self.unsolvable = ""
        self.prepared: list[str] = []

    @property
    def catalog(self) -> Catalog:
        return load(self.root)

    @property
    def course(self) -> Course:
        return Course(
            self.catalog,
            self.progress,
            self.keeper,
            solve=self.solve,
            judge=self.judge,
            say=lambda _: None,
            prepare=self.prepare,
        )

    def solve(self, exercise: Exercise) -> None:
        self.keeper.did.append(f"solve {exercise.name}")
        self.keeper.state = (*self.keeper.state, exercise.name)

    def prepare(self, exercise: Exercise) -> None:
        self.prepared.append(f"{exercise.name} after {','.join(self.keeper.state)}")

    def judge(self, exercise: Exercise) -> Judgement:
        good = exercise.name != self.unsolvable and exercise.name in self.keeper.state
        outcome = Outcome.PASSED if good else Outcome.FAILED
        verdict = Verdict("c", "It holds.", "only", outcome, actual="" if good else "nothing")
        return Judgement(exercise.name, exercise.title, (), (verdict,), 0)

    def start(self, name: str) -> list[str]:
        course = self.course
        self.keeper.did.clear()
        course.start(course.plan(course.catalog.get(name)))
        return self.keeper.did


@pytest.fixture
def stand(tmp_path: Path) -> Stand:
    root = tmp_path / "exercises"
    root.mkdir()
    (root / "index.toml").write_text(INDEX)
    write(root, "one")
    write(root, "two", start="after:one")
    write(root, "three", start="after:two")
    return Stand(root, tmp_path / "data")


def test_where_nothing_is_kept_the_lab_is_made_anew(stand: Stand) -> None:
    assert stand.start("one") == ["recreate"]
    assert stand.keeper.state == ()


def test_the_handout_is_the_backends_to_keep(stand: Stand) -> None:
    stand.keeper.kept[HANDOUT] = ()
    assert stand.start("one") == ["restore handout"]
    assert stand.keeper.state == ()


def test_a_later_start_state_is_replayed_once_and_then_restored(stand: Stand) -> None:
    stand.keeper.kept[HANDOUT] = ()
    assert stand.start("three") == [
        "restore handout borrowed",
        "solve one",
        "keep after-one",
        "solve two",
        "keep after-two",
        "restore after-two",
    ]
    assert stand.keeper.state == ("one", "two")
    stand.keeper = FakeKeeper(state=("a mess",), kept=stand.keeper.kept)
    assert stand.start("three") == ["restore after-two"]
    assert stand.keeper.state == ("one", "two")
    assert stand.start("two") == ["restore after-one"]


def test_what_an_exercise_gives_is_there_before_it_is_solved_and_when_it_begins(stand: Stand) -> None:
    stand.keeper.kept[HANDOUT] = ()
    stand.start("three")
    assert stand.prepared == ["one after ", "two after one", "three after one,two"]
    stand.prepared.clear()
    stand.start("three")
    assert stand.prepared == ["three after one,two"]


def test_starting_makes_the_exercise_the_current_one(stand: Stand) -> None:
    stand.start("two")
    assert stand.progress.lab().current == "two"


def test_the_plan_says_what_it_will_do_and_what_is_lost(stand: Stand) -> None:
    stand.keeper.kept[HANDOUT] = ()
    course = stand.course
    plan = course.plan(course.catalog.get("two"))
    assert (
        plan.summary
        == "restore the snapshot handout, then type the solution of one (takes minutes; the result is saved)"
    )
    assert "sms, login, c1, c2 will be lost" in course.loss().sentence
    assert stand.keeper.did == []


@pytest.mark.parametrize("change", ["solution", "version", "file", "spec", "image"])
def test_only_what_depends_on_a_change_is_made_anew(stand: Stand, change: str) -> None:
    stand.keeper.kept[HANDOUT] = ()
    stand.start("three")
    two = stand.root / "two"
    if change == "solution":
        (two / "solution.sh").write_text("#: step only on sms as user1\nfalse\n")
    elif change == "version":
        toml = two / "exercise.toml"
        toml.write_text(toml.read_text().replace("version = 1", "version = 2"))
    elif change == "file":
        (two / "files").mkdir()
        (two / "files" / "given").write_text("x")
    elif change == "spec":
        stand.keeper.spec = replace(stand.keeper.spec, root=Root.OVERLAY)
    else:
        stand.keeper.image = "image-2"
    begin = (
        ["restore after-one borrowed"]
        if change in ("solution", "version", "file")
        else ["restore handout borrowed", "solve one"]
    )
    assert stand.start("three")[: len(begin)] == begin
    assert "solve two" in stand.keeper.did
    replaced = change in ("solution", "version", "file")
    assert ("drop after-two" in stand.keeper.did) == replaced, (
        "what another cluster needs is not ours to drop"
    )


def test_the_states_of_one_lab_are_there_for_every_lab_of_that_shape(stand: Stand) -> None:
    stand.keeper.kept[HANDOUT] = ()
    stand.start("three")
    stand.keeper.spec = replace(stand.keeper.spec, lab="somebody-elses")
    assert stand.start("three") == ["restore after-two"]


def test_texts_and_checks_may_change_without_replaying(stand: Stand) -> None:
    stand.start("three")
    (stand.root / "two" / "README.md").write_text("# other words\n")
    (stand.root / "two" / "hints.md").write_text("## only\n\nOther.\n")
    assert stand.start("three") == ["restore after-two"]


def test_where_a_backend_keeps_nothing_the_replayed_lab_is_the_start(stand: Stand) -> None:
    stand.keeper.kept[HANDOUT] = ()
    stand.keeper.save_state = lambda name: stand.keeper.did.append(f"cannot keep {short(name)}")  # type: ignore[method-assign]
    assert stand.start("two") == ["restore handout borrowed", "solve one", "cannot keep after-one"]
    assert stand.keeper.state == ("one",)


def test_a_solution_that_does_not_solve_is_an_error_with_evidence(stand: Stand) -> None:
    stand.keeper.kept[HANDOUT] = ()
    stand.unsolvable = "one"
    with pytest.raises(LabError, match="solution of one did not solve it") as caught:
        stand.start("two")
    assert "failed: It holds. found nothing" in caught.value.evidence
    assert list(stand.keeper.kept) == [HANDOUT]
    assert stand.progress.lab().current == "two"
    assert caught.value.hint == "lab start one, then: lab solve one; afterwards: lab start two"


@pytest.mark.parametrize("command", ["start", "reset"])
@pytest.mark.parametrize("hint", ["", "lab console c1"])
def test_what_was_asked_for_is_the_current_exercise_even_if_a_node_does_not_come_up(
    stand: Stand, monkeypatch: pytest.MonkeyPatch, command: str, hint: str
) -> None:
    stand.start("one")
    stand.progress.judged("two", solved=True, steps=["only"])
    stand.keeper.kept[HANDOUT] = ()

    def restore(*_: object, **__: object) -> None:
        raise LabError("node c1 was not up after 180 s", hint=hint)

    monkeypatch.setattr(stand.keeper, "restore", restore)
    course = stand.course
    with pytest.raises(LabError) as caught:
        getattr(course, command)(course.plan(course.catalog.get("two")))
    assert caught.value.hint == "; afterwards: ".join(filter(None, [hint, f"lab {command} two"]))
    assert stand.progress.lab().current == "two"
    assert stand.progress.record("two").state == "solved", (
        "nothing is forgotten before the start state is there"
    )


def test_carrying_on_with_an_exercise_whose_files_cannot_be_given_makes_it_the_current_one(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    def prepare(_: Exercise) -> None:
        raise LabError("no room")

    monkeypatch.setattr(stand, "prepare", prepare)
    course = stand.course
    with pytest.raises(LabError, match="no room") as caught:
        course.continue_with(course.catalog.get("two"))
    assert caught.value.hint == "lab start --keep two"
    assert stand.progress.lab().current == "two"


def test_reset_goes_back_and_forgets_but_only_this_exercise(stand: Stand) -> None:
    stand.start("one")
    stand.progress.judged("one", solved=True, steps=["only"])
    stand.progress.judged("two", solved=True, steps=["only"])
    course = stand.course
    for _ in range(2):  # two resets equal one
        course.reset(course.plan(course.catalog.get("one")))
        assert stand.progress.record("one").state == "begun"
        assert stand.progress.record("two").state == "solved"
        assert stand.keeper.state == ()


def test_reset_of_a_node_touches_nothing_else(stand: Stand) -> None:
    assert not stand.course.reset_node("c1")
    assert stand.keeper.did == ["reset c1"]


def test_a_node_that_drains_itself_again_is_not_called_ready(stand: Stand) -> None:
    found = Reading("c1", "in Slurm", ProbeResult.NO, "idle+drain: NHC: /tmp is full", Expectation.LEFT)
    stand.keeper.readings = (found,)
    assert stand.course.reset_node("c1") == "in Slurm idle+drain: NHC: /tmp is full"


def test_carrying_on_leaves_the_lab_alone(stand: Stand) -> None:
    course = stand.course
    _, two, _ = course.catalog.exercises
    course.continue_with(two)
    assert stand.progress.lab().current == "two"
    assert stand.prepared == ["two after a learner's mess"]
    assert stand.keeper.did == []


def test_reset_tells_exercises_from_nodes(stand: Stand) -> None:
    spec, catalog = small_spec(), stand.catalog
    found = resolve_reset_target("two", spec, catalog)
    assert isinstance(found, Exercise)
    assert resolve_reset_target("c1", spec, catalog) == "c1"
    with pytest.raises(UsageError, match="'c9' is neither"):
        resolve_reset_target("c9", spec, catalog)
