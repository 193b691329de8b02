"""The catalogue: order, every problem at once, former names, start chains."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.course.catalog import Catalog, load, survey
from lab.errors import LabError, UsageError
from lab.model import Role
from lab.paths import data_folder

INDEX = """
schema = 1
[[chapter]]
id = "first"
title = "First"
about = "About."
exercises = ["one", "two"]
[[chapter]]
id = "second"
title = "Second"
about = "About."
exercises = ["three"]
"""

EXERCISE = """
title = "{title}"
teaches = "Something"
minutes = 5
version = 1
roles = ["sms"]
start = "{start}"
{more}
[[steps]]
id = "only"
title = "The only step"
"""

CHECK = """
from lab.checks import ClusterView, check

@check(step="only")
def holds(cluster: ClusterView) -> None:
    \"\"\"It holds.\"\"\"
"""


def write(root: Path, name: str, *, start: str = "handout", more: str = "", text: str | None = None) -> Path:
    folder = root / name
    folder.mkdir()
    content = EXERCISE.format(title=name.title(), start=start, more=more) if text is None else text
    (folder / "exercise.toml").write_text(content)
    (folder / "check.py").write_text(CHECK)
    (folder / "README.md").write_text(f"# {name}\n")
    (folder / "solution.sh").write_text("#: step only on sms as user1\ntrue\n")
    (folder / "hints.md").write_text("## only\n\nLook.\n\n---\n\nLook closer.\n")
    return folder


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "index.toml").write_text(INDEX)
    write(tmp_path, "one")
    write(tmp_path, "two", start="after:one", more='prerequisites = ["one"]\nformerly = ["zwei"]')
    write(tmp_path, "three", start="after:two", more='capabilities = ["kernel-version"]')
    return tmp_path


@pytest.fixture
def catalog(root: Path) -> Catalog:
    return load(root)


def test_exercises_stand_in_the_order_of_the_index(catalog: Catalog) -> None:
    assert [exercise.name for exercise in catalog.exercises] == ["one", "two", "three"]
    assert [chapter.id for chapter in catalog.chapters] == ["first", "second"]
    first = catalog.get("one")
    assert (first.minutes, first.roles, first.builds_on) == (5, (Role.SMS,), None)
    assert catalog.get("three").capabilities == ("kernel-version",)


def test_what_an_exercise_holds_is_read_on_demand(catalog: Catalog) -> None:
    exercise = catalog.get("one")
    assert [item.name for item in exercise.checks()] == ["holds"]
    assert exercise.hints() == {"only": ("Look.", "Look closer.")}
    assert exercise.solution()[0].commands == ("true",)
    assert exercise.readme() == "# one\n"


def test_a_part_of_the_solution_ends_with_the_last_block_of_its_step(root: Path) -> None:
    with (root / "one" / "exercise.toml").open("a") as file:
        file.write('[[steps]]\nid = "more"\ntitle = "More"\n')
    blocks = [
        ("only", "sms", "one"),
        ("only", "c1", "two"),
        ("more", "sms", "three"),
        ("only", "sms", "four"),
    ]
    script = "".join(f"#: step {step} on {node} as user1\n{word}\n" for step, node, word in blocks)
    (root / "one" / "solution.sh").write_text(script)
    exercise = load(root).get("one")
    parts = {step: exercise.solution_until(step) for step in ("only", "more")}
    assert [block.commands for block in parts["only"]] == [("one",), ("two",), ("four",)]
    assert parts["more"] == exercise.solution()
    with pytest.raises(UsageError, match="no step 'mroe'"):
        exercise.solution_until("mroe")


def test_former_names_and_dashes_are_understood(catalog: Catalog) -> None:
    assert catalog.get("zwei").name == "two"
    assert catalog.get(" Two ").name == "two"


def test_an_unknown_name_gets_the_nearest(catalog: Catalog) -> None:
    with pytest.raises(UsageError, match=r"no exercise 'thre'; did you mean three\?"):
        catalog.get("thre")


def test_an_unknown_step_gets_the_steps(catalog: Catalog) -> None:
    with pytest.raises(UsageError, match=r"no step 'onyl'; did you mean only\?") as caught:
        catalog.get("one").step("onyl")
    assert "only" in caught.value.hint


def test_the_chain_is_what_must_be_solved_before(catalog: Catalog) -> None:
    assert [exercise.name for exercise in catalog.chain(catalog.get("three"))] == ["one", "two"]
    assert catalog.chain(catalog.get("one")) == ()


def test_the_following_exercise_crosses_chapters_and_ends(catalog: Catalog) -> None:
    following = catalog.following(catalog.get("two"))
    assert following is not None
    assert following.name == "three"
    assert catalog.following(following) is None


def test_all_problems_are_reported_at_once(root: Path) -> None:
    (root / "one" / "exercise.toml").write_text(
        'titel = "x"\nteaches = ""\nminutes = "5"\nversion = 0\nroles = ["smss"]\nstart = "later"\n'
        'prerequisites = ["three", "nobody"]\n'
        '[[steps]]\nid = "Bad Id"\ntitle = "T"\n[[links]]\ntitle = "L"\nurl = "file:///etc/passwd"\n'
    )
    (root / "two" / "exercise.toml").write_text("not toml")
    _, problems = survey(root)
    text = "\n".join(problems)
    for part in (
        "one/exercise.toml: title is missing",
        "one/exercise.toml: unknown key 'titel'; did you mean title?",
        "one/exercise.toml: teaches is empty",
        "one/exercise.toml: minutes must be a whole number, not '5'",
        "one/exercise.toml: version must be at least 1, not 0",
        "one/exercise.toml: roles: unknown 'smss'; did you mean sms?",
        "one/exercise.toml: start must be 'handout' or 'after:EXERCISE', not 'later'",
        "one/exercise.toml: three comes later in index.toml",
        "one/exercise.toml: no exercise 'nobody'",
        "id must be lower-case letters",
        "only https links are allowed, not 'file:///etc/passwd'",
        "two/exercise.toml: ",
        "three/exercise.toml: no exercise 'two'",
    ):
        assert part in text
    with pytest.raises(LabError, match="have errors") as caught:
        load(root)
    assert len(caught.value.evidence.splitlines()) == len(problems)


@pytest.mark.parametrize("name", ["../outside", "/etc", "One", "a b", ".hidden", ""])
def test_names_that_could_leave_the_folder_are_refused(root: Path, name: str) -> None:
    (root / "index.toml").write_text(INDEX.replace('"three"', f'"{name}"'))
    _, problems = survey(root)
    assert any("is not a valid exercise name" in problem for problem in problems)


def test_names_are_unique_former_ones_included(root: Path) -> None:
    (root / "index.toml").write_text(INDEX.replace('"three"', '"three", "zwei"'))
    write(root, "zwei")
    _, problems = survey(root)
    assert "zwei: more than one exercise has this name" in problems


def test_two_steps_of_one_name_are_a_problem(root: Path) -> None:
    with (root / "one" / "exercise.toml").open("a") as file:
        file.write('[[steps]]\nid = "only"\ntitle = "Again"\n')
    _, problems = survey(root)
    assert problems == ["one/exercise.toml: two steps have the same id"]


def test_a_missing_folder_and_a_wrong_schema_are_problems(root: Path) -> None:
    (root / "index.toml").write_text(INDEX.replace("schema = 1", "schema = 2").replace('"one"', '"nowhere"'))
    _, problems = survey(root)
    assert "index.toml: schema must be 1" in problems
    assert "nowhere/exercise.toml: missing" in problems


def test_a_script_with_a_flaw_names_file_and_line(root: Path) -> None:
    (root / "one" / "solution.sh").write_text("true\n#: stpe only\n")
    with pytest.raises(LabError, match=r"solution\.sh of exercise one has errors") as caught:
        load(root).get("one").solution()
    assert "solution.sh:1: a command or wait before the first" in caught.value.evidence
    assert "solution.sh:2: unknown directive: #: stpe only" in caught.value.evidence


def test_the_shipped_exercises_are_well_formed() -> None:
    assert load(data_folder("exercises")).exercises[0].name == "login_node"
