"""The shipped exercises obey the rules for authors; no engine is needed."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from lab.cli.main import SECTIONS
from lab.course.catalog import Exercise, load
from lab.course.lint import problems, wrongs
from lab.course.script import Typed, parse_fences
from lab.model import Role
from lab.paths import data_folder
from tests.exercises.labs import scripts

ROOT = data_folder("exercises")
EXERCISES = load(ROOT).exercises
COMMANDS = {name for section in SECTIONS.values() for name in section}


def named(exercise: Exercise) -> str:
    return exercise.name


def test_nothing_is_wrong_with_the_shipped_exercises() -> None:
    assert problems(ROOT) == []


@pytest.mark.parametrize("exercise", EXERCISES, ids=named)
def test_what_is_typed_on_the_host_is_a_command_of_ours(exercise: Exercise) -> None:
    for fence in parse_fences(exercise.readme()):
        if fence.info == "sh host":
            for line in fence.body.splitlines():
                words = line.split()
                assert words[0] == "lab", line
                assert words[1] in COMMANDS, line


@pytest.mark.parametrize("exercise", EXERCISES, ids=named)
def test_looks_and_texts_name_commands_of_ours_that_exist(exercise: Exercise) -> None:
    texts = [exercise.readme(), *(hint for hints in exercise.hints().values() for hint in hints)]
    texts.append((exercise.folder / "check.py").read_text(encoding="utf-8"))
    for text in texts:
        for word in re.findall(r"[`\"]lab ([a-z]+)|^ {4}lab ([a-z]+)", text, flags=re.MULTILINE):
            assert "".join(word) in COMMANDS


@pytest.mark.parametrize("exercise", EXERCISES, ids=named)
def test_solutions_use_nodes_of_the_roles_they_name(exercise: Exercise) -> None:
    for block in exercise.solution():
        role = Role(block.node) if block.node in {role.value for role in Role} else Role.COMPUTE
        assert role in exercise.roles


@pytest.mark.parametrize("exercise", EXERCISES, ids=named)
def test_long_waits_are_waits_not_commands(exercise: Exercise) -> None:
    typed = [a.text for block in exercise.solution() for a in block.actions if isinstance(a, Typed)]
    assert not [command for command in typed if re.match(r"sleep\b", command)]


@pytest.mark.parametrize("exercise", EXERCISES, ids=named)
def test_the_last_hint_of_a_step_is_the_answer(exercise: Exercise) -> None:
    """It holds commands to copy, set off by four blanks, or it is all a person can do there."""
    for hints in exercise.hints().values():
        assert re.search(r"^    \S", hints[-1], flags=re.MULTILINE)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The shipped exercises, to be spoiled."""
    return Path(shutil.copytree(ROOT, tmp_path / "exercises", ignore=shutil.ignore_patterns("__pycache__")))


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


@pytest.mark.parametrize(
    ("file", "old", "new", "problem"),
    [
        ("README.md", "# Provision a", "# Provisioning a", "README.md:1: the first line must be the title"),
        ("README.md", "## Watch it boot", "## Watch", "README.md: there must be a heading for each step"),
        (
            "README.md",
            "wwsh node list\n```",
            "wwsh node lst\n```",
            "the solution does not type this on sms: wwsh node lst",
        ),
        ("README.md", "```sh sms", "```sh c1", "the solution does not type this on c1: wwsh node list"),
        ("README.md", "```output", "```text", "a code block is `sh NODE`"),
        ("README.md", "{{login.ip}}", "{{login.address}}", "there is no variable 'login.address'"),
        ("README.md", "# What you", "# [x](javascript:alert(1)) What you", "not javascript:"),
        ("README.md", "Finally,", "See <http://example.org>. Finally,", "not http:"),
        ("hints.md", "## look", "## lok", "hints.md: unknown step 'lok'"),
        ("hints.md", "## look", "## lok", "step look needs at least 2 hints"),
        ("solution.sh", "#: step look", "#: step lok", "solution.sh: unknown step 'lok'"),
        ("solution.sh", "#: step look", "#: step lok", "solution.sh: no commands for step look"),
        ("solution.sh", "#: may-fail", "#: may fail", "unknown directive: #: may fail"),
        (
            "check.py",
            '@check(step="boot", needs=[login_answers])',
            '@check(step="bot")',
            "unknown step 'bot'",
        ),
        ("check.py", 'step="look"', 'step="boot"', "check.py: no check for step look"),
        ("check.py", '@check(step="register")', "@check(stp=1)", "check.py: TypeError"),
        ("wrong.toml", "misread_mac.sh", "gone.sh", "wrong.toml: gone.sh: missing"),
        ("wrong.toml", "misread_mac.sh", "gone.sh", "wrong/misread_mac.sh: wrong.toml does not use it"),
        ("wrong.toml", '"files_are_assigned"', '"no_such"', "wrong.toml: there is no check 'no_such'"),
        (
            "wrong.toml",
            'after = "register"',
            'after = "registre"',
            "wrong.toml: after: unknown step 'registre'",
        ),
        ("wrong.toml", 'after = "register"', 'after = ""', "wrong.toml: after is empty"),
        ("wrong.toml", "story =", "stories =", "wrong.toml: unknown key 'stories'; did you mean story?"),
        ("exercise.toml", "minutes = 20", 'minutes = "20"', "minutes must be a whole number"),
    ],
)
def test_a_spoiled_exercise_is_found_out(copy: Path, file: str, old: str, new: str, problem: str) -> None:
    replace(copy / "login_node" / file, old, new)
    found = problems(copy)
    assert any(problem in line for line in found), found


def test_missing_and_stray_files_are_found(copy: Path) -> None:
    (copy / "login_node" / "hints.md").unlink()
    (copy / "login_node" / "notes.txt").write_text("x")
    (copy / "login_node" / "files").mkdir()
    (copy / "login_node" / "files" / "given").symlink_to("/etc/passwd")
    (copy / "left_over").mkdir()
    found = problems(copy)
    assert "left_over: is not in index.toml" in found
    assert "login_node/hints.md: missing" in found
    assert "login_node/notes.txt: unexpected file" in found
    assert "login_node/files/given: points outside the folder" in found


def test_a_wrong_way_begins_with_the_solution_up_to_its_step() -> None:
    exercise = next(e for e in EXERCISES if e.name == "login_node")
    ways = {wrong.script.stem: wrong for wrong in wrongs(exercise.folder, [])}
    begun = scripts(exercise, ways["no_bootstrap"])
    assert begun == (
        ("solution.sh", exercise.solution()[:1]),
        ("no_bootstrap.sh", ways["no_bootstrap"].blocks()),
    )
    assert [name for name, _ in scripts(exercise, ways["misread_mac"])] == ["misread_mac.sh"]


def test_no_wrong_way_repeats_a_step_of_the_solution_that_it_could_begin_after() -> None:
    for exercise in EXERCISES:
        first = exercise.steps[0].id
        typed = [command for block in exercise.solution_until(first) for command in block.commands]
        for wrong in wrongs(exercise.folder, []):
            own = [command for block in wrong.blocks() for command in block.commands]
            assert own[: len(typed)] != typed, f"{exercise.name}/{wrong.script.name}: use after = {first!r}"


def test_every_exercise_has_wrong_ways_with_a_story() -> None:
    for exercise in EXERCISES:
        found: list[str] = []
        assert all(wrong.story.endswith(".") and wrong.blocks() for wrong in wrongs(exercise.folder, found))
        assert found == []
