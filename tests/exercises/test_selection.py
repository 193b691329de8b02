"""Which exercises a proof run takes, and which worker takes them; no engine is needed."""

from __future__ import annotations

import subprocess
import sys

import pytest

from lab.course.lint import wrongs
from tests.exercises.conftest import BY_DAY, CATALOG, FIRST, LONG, ByChain, in_turn, smoke


def scope(test: str) -> str:
    return str(ByChain.__new__(ByChain)._split_scope(f"tests/exercises/test_proof.py::{test}"))


def test_a_chain_of_exercises_is_one_workers() -> None:
    for exercise in CATALOG.exercises:
        before = CATALOG.chain(exercise)
        first = exercise if len(before) >= LONG else (*before, exercise)[0]
        assert scope(f"test_an_exercise_is_proven[{exercise.name}]") == first.name
    others = {scope("test_any_exercise_is_solved_after_any_other"), scope("test_x[no_exercise]")}
    assert len(others) == 2


def test_the_quick_selection_has_some_of_each_chapter_within_a_week_and_needs_little_replaying() -> None:
    days = [smoke(CATALOG, day) for day in range(739000, 739007)]
    for quick in days:
        assert quick[:FIRST] == CATALOG.exercises[:FIRST]
        for exercise in quick:
            assert set(CATALOG.chain(exercise)) <= set(quick), (
                "else solutions are typed that nobody asked for"
            )
    for chapter in CATALOG.chapters:
        if any(one.builds_on is None and not one.software for one in chapter.exercises):
            assert any(exercise.chapter == chapter.id for quick in days for exercise in quick)


def test_each_wrong_way_has_its_turn_within_a_week() -> None:
    for exercise in CATALOG.exercises:
        ways = wrongs(exercise.folder, [])
        days = [in_turn(ways, day) for day in range(739000, 739007)]
        assert {len(turn) for turn in days} == {min(BY_DAY, len(ways))}
        assert {way.script for turn in days for way in turn} == {way.script for way in ways}


def collected(*options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-q", "--collect-only", "-p", "no:cacheprovider", *options]
    return subprocess.run(
        [*command, "tests/exercises/test_proof.py"], capture_output=True, text=True, check=False
    )


@pytest.mark.timeout(120)
def test_a_chapter_is_chosen_by_its_name_and_a_slip_is_told() -> None:
    chapter = CATALOG.chapters[0]
    found = collected("--chapter", chapter.id).stdout
    assert [e.name for e in CATALOG.exercises if f"[{e.name}]" in found] == [
        e.name for e in chapter.exercises
    ]
    slip = collected("--chapter", "lgoin")
    assert slip.returncode != 0
    assert "no chapter lgoin" in slip.stdout + slip.stderr
