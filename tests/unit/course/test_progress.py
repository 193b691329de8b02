"""Progress: kept, atomic, per lab, through renames and damage."""

from __future__ import annotations

import csv
import io
import json
import threading
from pathlib import Path

import pytest

from lab.course.progress import ProgressFile, as_csv, as_data


class Ticks:
    """A clock that says 1, 2, 3 …"""

    def __init__(self) -> None:
        self.tick = 0

    def __call__(self) -> str:
        self.tick += 1
        return f"t{self.tick}"


@pytest.fixture
def progress(tmp_path: Path) -> ProgressFile:
    return ProgressFile(tmp_path, "lab", clock=Ticks())


def test_nothing_is_known_at_first_and_nothing_is_written_by_looking(tmp_path: Path) -> None:
    progress = ProgressFile(tmp_path / "none", "lab")
    assert progress.lab().current == ""
    assert progress.record("one").state == "new"
    assert not (tmp_path / "none").exists()


def test_an_exercise_is_begun_judged_and_solved(progress: ProgressFile) -> None:
    progress.begin("one")
    assert progress.lab().current == "one"
    assert progress.record("one").state == "begun"
    progress.judged("one", solved=False, steps=["a"])
    progress.judged("one", solved=True, steps=["a", "b"])
    progress.judged("one", solved=True, steps=["a", "b"])
    record = progress.record("one")
    assert (record.state, record.checks_run) == ("solved", 3)
    assert record.started == "t1"
    assert record.solved == "t3"  # the first time, not the last
    assert record.steps == {"a": "t2", "b": "t3"}
    assert record.last_check == "t4"


def test_what_was_solved_stays_solved_when_a_check_fails_later(progress: ProgressFile) -> None:
    progress.judged("one", solved=True, steps=["a"])
    progress.judged("one", solved=False, steps=[])
    assert progress.record("one").state == "solved"
    assert progress.record("one").steps == {"a": "t1"}


def test_hints_are_counted_up_to_the_last(progress: ProgressFile) -> None:
    assert [progress.hint("one", (), "a", 3) for _ in range(5)] == [1, 2, 3, 3, 3]
    assert progress.hint("one", (), "b", 2) == 1
    assert progress.record("one").hints == {"a": 3, "b": 1}


def test_a_solution_typed_for_the_learner_is_not_the_learners(progress: ProgressFile) -> None:
    progress.shown("one")
    progress.judged("one", solved=True, steps=["a"])
    assert progress.record("one").state == "shown"
    progress.forget("one")
    assert progress.record("one").state == "new"
    progress.judged("one", solved=True, steps=["a"])
    assert progress.record("one").state == "solved"


def test_labs_do_not_share_progress(tmp_path: Path) -> None:
    ProgressFile(tmp_path, "red").begin("one")
    blue = ProgressFile(tmp_path, "blue")
    assert blue.record("one").state == "new"
    blue.begin("two")
    assert ProgressFile(tmp_path, "red").lab().current == "one"
    assert set(blue.labs()) == {"red", "blue"}


def test_progress_survives_a_rename(progress: ProgressFile) -> None:
    progress.begin("old")
    progress.judged("old", solved=True, steps=["a"])
    assert progress.record("new", ["old"]).state == "solved"
    progress.judged("new", ["old"], solved=False, steps=[])
    assert set(progress.lab().exercises) == {"new"}
    assert progress.lab().current == "new"
    assert progress.record("new").solved == "t2"


@pytest.mark.parametrize(
    "damage", ["", "{", "[]", '{"schema": 1}', '{"schema": 1, "labs": {"lab": 3}}', "\x00" * 40]
)
def test_a_damaged_file_costs_the_last_note_only(tmp_path: Path, damage: str) -> None:
    warnings: list[str] = []
    progress = ProgressFile(tmp_path, "lab", warn=warnings.append)
    progress.begin("one")
    progress.hint("one", (), "a", 3)
    progress.path.write_text(damage)
    assert progress.record("one").state == "begun"
    assert "cannot be read" in warnings[0]
    progress.hint("one", (), "a", 3)
    assert progress.record("one").hints == {"a": 1}
    assert (tmp_path / "progress.json.damaged").read_text() == damage


def test_every_cut_of_the_file_is_survived(tmp_path: Path) -> None:
    progress = ProgressFile(tmp_path, "lab")
    progress.begin("one")
    progress.begin("two")
    whole = progress.path.read_text()
    for length in range(0, len(whole) - 2, 7):
        progress.path.write_text(whole[:length])
        assert progress.record("one").state == "begun"


def test_a_newer_file_is_not_destroyed(tmp_path: Path) -> None:
    progress = ProgressFile(tmp_path, "lab")
    newer = json.dumps({"schema": 99, "labs": {}})
    progress.path.write_text(newer)
    progress.begin("one")
    assert (tmp_path / "progress.json.damaged").read_text() == newer


def test_no_note_is_lost_between_commands_at_once(tmp_path: Path) -> None:
    def work(number: int) -> None:
        ProgressFile(tmp_path, "lab").begin(f"e{number}")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(ProgressFile(tmp_path, "lab").lab().exercises) == 12


def test_others_cannot_read_the_folder(tmp_path: Path) -> None:
    progress = ProgressFile(tmp_path / "data", "lab")
    progress.begin("one")
    assert (tmp_path / "data").stat().st_mode & 0o077 == 0


def test_it_is_exported_as_data_and_for_a_spreadsheet(progress: ProgressFile) -> None:
    progress.begin("one")
    progress.hint("one", (), "a", 3)
    data = json.loads(json.dumps(as_data(progress.labs())))
    assert data["schema"] == 1
    assert data["labs"]["lab"]["exercises"]["one"]["state"] == "begun"
    rows = list(csv.DictReader(io.StringIO(as_csv(progress.labs()))))
    assert rows[0]["exercise"] == "one"
    assert rows[0]["hints_taken"] == "1"
    assert rows[0]["solution_shown"] == "no"
