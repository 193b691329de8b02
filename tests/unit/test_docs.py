"""What the documents say is so: commands, exit statuses, tasks, exercises, links."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path

import click
import pytest

from lab.errors import Exit
from tests.bench.figures import replaced

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
QUICKSTART = (ROOT / "quickstart").read_text(encoding="utf-8")
PAGES = sorted(ROOT.glob("*.md"))


def commands() -> dict[str, click.Command]:
    """Every subcommand of lab, loaded."""
    from lab.cli import main

    groups = [value for value in vars(main).values() if isinstance(value, click.Group)]
    assert len(groups) == 1, "lab.cli.main defines one group"
    context = click.Context(groups[0])
    found = {name: groups[0].get_command(context, name) for name in groups[0].list_commands(context)}
    assert found
    assert None not in found.values(), f"listed, but cannot be loaded: {found}"
    return {name: command for name, command in found.items() if command}


def rows(text: str, heading: str) -> list[list[str]]:
    """Cells of the first table under a heading, its two head lines left out."""
    section = text.split(f"# {heading}\n", maxsplit=1)[1]
    lines = re.findall(r"^\|.*\|$", section.split("\n#", maxsplit=1)[0], flags=re.MULTILINE)
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def sessions() -> set[str]:
    """Names of nox's sessions, read from the source."""
    tree = ast.parse((ROOT / "noxfile.py").read_text(encoding="utf-8"))
    return {
        node.name
        for node in tree.body
        if isinstance(node, ast.FunctionDef)
        and any("nox.session" in ast.unparse(mark) for mark in node.decorator_list)
    }


def test_readme_table_holds_every_command_and_no_other() -> None:
    listed = [row[0].strip("`").removeprefix("lab ") for row in rows(README, "Commands")]
    assert sorted(listed) == sorted(commands())


def test_every_command_and_option_has_help() -> None:
    context = click.Context(click.Group())
    mute = [name for name, command in commands().items() if not command.get_short_help_str().strip()]
    for name, command in commands().items():
        options = [p for p in command.get_params(context) if isinstance(p, click.Option) and not p.hidden]
        mute += [f"{name} {option.opts[0]}" for option in options if not option.help]
    assert not mute


def test_exit_statuses_are_those_of_the_program() -> None:
    told = {int(row[0]): row[1] for row in rows(README, "Exit status")}
    assert told == {code.value: code.name.lower().replace("_", " ") for code in Exit}


def test_quickstart_types_commands_that_exist() -> None:
    """Each `expect N command …` in the script names a command, and options that it takes."""
    typed = re.findall(r"^ +expect \d+ (.*)$", QUICKSTART, flags=re.MULTILINE)
    typed += re.findall(
        r'(?:"\$LAB"|lab_of_proof) ([a-z].*?)(?: >>.*| \|\|.*|</dev/null.*)?$', QUICKSTART, flags=re.MULTILINE
    )
    typed = [line for line in typed if not line.startswith('"$@"')]
    assert len(typed) > 6
    known = commands()
    for line in typed:
        name, *words = line.split()
        assert name in known, line
        taken = {opt for param in known[name].params for opt in param.opts}
        assert {word for word in words if word.startswith("-")} <= taken, line


def test_readme_types_lab_commands_that_exist() -> None:
    """In code blocks and in running text."""
    known = commands()
    typed = re.findall(r"^lab ([a-z]+)", README, flags=re.MULTILINE) + re.findall(r"`lab ([a-z]+)", README)
    assert set(typed) <= set(known)


def test_every_session_is_documented_and_every_documented_one_exists() -> None:
    listed = {row[0].strip("`") for row in rows(CONTRIBUTING, "Set up")}
    named = {word.removeprefix("nox -s ") for word in listed if word.startswith("nox -s ")}
    defaults = {"lint", "tests"}
    assert named | defaults | {"images", "firstrun"} == sessions()
    for page in PAGES:
        mentioned = set(re.findall(r"nox -s ([a-z_]+)", page.read_text(encoding="utf-8")))
        assert mentioned <= sessions(), page.name


def test_every_exercise_is_in_the_index_once() -> None:
    index = tomllib.loads((ROOT / "exercises/index.toml").read_text(encoding="utf-8"))
    listed = [name for chapter in index["chapter"] for name in chapter["exercises"]]
    folders = {path.parent.name for path in ROOT.glob("exercises/*/exercise.toml")}
    assert sorted(listed) == sorted(folders)


def test_the_exercise_quickstart_proves_exists() -> None:
    found = re.search(r"^EXERCISE=(\w+)$", QUICKSTART, flags=re.MULTILINE)
    assert found
    assert (ROOT / "exercises" / found[1] / "exercise.toml").is_file()


def test_the_tutorial_types_what_the_first_solution_types() -> None:
    """Its `sudo` lines, with the values that a learner fills in left open."""
    solution = (ROOT / "exercises/login_node/solution.sh").read_text(encoding="utf-8")
    tutorial = README.partition("\n## Taking it away")[0]
    typed = re.findall(r"^sudo (?:.*\\\n)*.*$", tutorial, flags=re.MULTILINE)
    commands = [re.sub(r"\\\n\s*|\s+#.*", "", line) for line in typed]
    open_values = [re.sub(r"(--ipaddr|--hwaddr)=\S+", r"\1=…", line) for line in commands]
    assert len(open_values) == 3
    assert set(open_values) <= set(re.sub(r"(--ipaddr|--hwaddr)=\S+", r"\1=…", solution).splitlines())


@pytest.mark.parametrize("backend", ["docker", "libvirt", "libvirt with KVM"])
def test_readme_has_a_place_for_the_figures(backend: str) -> None:
    assert "\nNEW\n" in replaced(README, ["NEW"], backend)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_to_our_own_files_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text(encoding="utf-8"))
    assert [target for target in targets if not (page.parent / target).exists()] == []


def test_ci_runs_the_readmes_test_command() -> None:
    assert "./quickstart test" in README
    assert (ROOT / ".ci/run").read_text(encoding="utf-8").splitlines()[-1] == "exec ./quickstart test"
