"""What the documents say is so: commands, exit statuses, tasks, exercises, links."""

from __future__ import annotations

import ast
import re
import shlex
import tomllib
from pathlib import Path

import click
import pytest

from lab.cli import main
from lab.errors import Exit
from tests.bench.figures import replaced
from tests.portal.browser.typed import SCRIPT
from tests.reference import commands as reference_of_commands
from tests.reference import lab_toml
from tests.reference.page import with_reference

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
QUICKSTART = (ROOT / "quickstart").read_text(encoding="utf-8")
DOCS = ROOT / "docs"
PAGES = sorted(
    [
        *ROOT.glob("*.md"),
        *DOCS.glob("*.md"),
        *ROOT.glob("containers/*/README.md"),
        *ROOT.glob("deploy/*.md"),
        *ROOT.glob("deploy/*/README.md"),
        *ROOT.glob("lab/*/README.md"),
    ]
)
GENERATED = {"commands.md": reference_of_commands.reference, "own-clusters.md": lab_toml.reference}
README_LINES = 130


def page_name(page: Path) -> str:
    """A page by its path in the checkout."""
    return str(page.relative_to(ROOT))


def lab() -> click.Group:
    """The group that `lab` is."""
    (group,) = [value for value in vars(main).values() if isinstance(value, click.Group)]
    return group


def commands() -> dict[str, click.Command]:
    """Every subcommand of lab, loaded."""
    group = lab()
    context = click.Context(group)
    found = {name: group.get_command(context, name) for name in group.list_commands(context)}
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


def test_readme_is_short() -> None:
    assert len(README.splitlines()) <= README_LINES


@pytest.mark.parametrize("name", GENERATED)
def test_generated_references_are_up_to_date(name: str) -> None:
    """`nox -s docs` writes them."""
    text = (DOCS / name).read_text(encoding="utf-8")
    assert text == with_reference(text, GENERATED[name]())


def test_the_reference_holds_every_command() -> None:
    text = (DOCS / "commands.md").read_text(encoding="utf-8")
    assert [name for name in commands() if f"\n#### lab {name}\n" not in text] == []


def test_every_page_is_reached_from_readme() -> None:
    assert [page.name for page in DOCS.glob("*.md") if f"(docs/{page.name})" not in README] == []


def test_every_command_and_option_has_help() -> None:
    context = click.Context(click.Group())
    mute = [name for name, command in commands().items() if not command.get_short_help_str().strip()]
    for name, command in commands().items():
        options = [p for p in command.get_params(context) if isinstance(p, click.Option) and not p.hidden]
        mute += [f"{name} {option.opts[0]}" for option in options if not option.help]
    assert not mute


def test_exit_statuses_are_those_of_the_program() -> None:
    told = {
        int(row[0]): row[1] for row in rows((DOCS / "commands.md").read_text(encoding="utf-8"), "Exit status")
    }
    assert told == {code.value: code.name.lower().replace("_", " ") for code in Exit}


def test_quickstart_becomes_lab_setup_with_options_that_it_takes() -> None:
    main = QUICKSTART.partition(" main\n")[2]
    words = re.findall(r'^ *set -- "\$LAB" (.*)$', main, flags=re.MULTILINE)
    assert words == ["setup"]
    options = re.findall(r' set -- "\$@" (-[a-z-]+)', main)
    assert options == ["--backend", "-y", "--no-proof"]
    taken = {opt for param in commands()["setup"].params for opt in (*param.opts, *param.secondary_opts)}
    assert set(options) <= taken


def typed_lines(page: Path) -> list[str]:
    """Command lines of the page's shell blocks, joined where a backslash goes on, without comments."""
    text = page.read_text(encoding="utf-8")
    blocks = re.findall(r"^```(?:sh(?: host)?)?\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
    lines = re.sub(r"\\\n\s*", " ", "\n".join(blocks)).splitlines()
    return [re.sub(r"\s+#.*", "", line).strip() for line in lines]


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_every_shown_lab_command_is_one_that_lab_takes(page: Path) -> None:
    """Commands, subcommands and options, in shell blocks."""
    group = lab()
    for line in typed_lines(page):
        if not line.startswith("lab ") or "[OPTIONS]" in line or "…" in line:
            continue
        _check_line(group, shlex.split(line)[1:], line)


def _check_line(command: click.Command, words: list[str], line: str) -> None:
    """Parses a line as click does, down to the last subcommand; click's UsageError says what is wrong."""
    context = click.Context(command)
    _, rest, _ = command.make_parser(context).parse_args(list(words))
    if isinstance(command, click.Group):
        below = command.get_command(context, rest[0]) if rest else None
        assert below is not None, line
        _check_line(below, rest[1:], line)


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_every_named_lab_command_exists(page: Path) -> None:
    """In running text, such as `lab up`."""
    named = re.findall(r"`lab (?:--backend [a-z]+ )?([a-z]+)\b[^`/]*`", page.read_text(encoding="utf-8"))
    assert set(named) <= set(commands()), page.name


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


def test_the_tutorial_is_about_the_exercise_that_setup_proves() -> None:
    index = tomllib.loads((ROOT / "exercises/index.toml").read_text(encoding="utf-8"))
    assert f"lab start {index['chapter'][0]['exercises'][0]}\n" in README


def test_the_tutorial_types_what_the_first_solution_types() -> None:
    """Its `sudo` lines, with the values that a learner fills in left open."""
    solution = (ROOT / "exercises/login_node/solution.sh").read_text(encoding="utf-8")
    tutorial = README.partition("\n## Uninstall")[0]
    typed = re.findall(r"^sudo (?:.*\\\n)*.*$", tutorial, flags=re.MULTILINE)
    commands = [re.sub(r"\\\n\s*|\s+#.*", "", line) for line in typed]
    open_values = [re.sub(r"(--ipaddr|--hwaddr)=\S+", r"\1=…", line) for line in commands]
    assert len(open_values) == 3
    assert set(open_values) <= set(re.sub(r"(--ipaddr|--hwaddr)=\S+", r"\1=…", solution).splitlines())


@pytest.mark.parametrize("backend", ["docker", "libvirt", "libvirt with KVM"])
def test_the_figures_have_a_place(backend: str) -> None:
    figures = (DOCS / "figures.md").read_text(encoding="utf-8")
    assert "\nNEW\n" in replaced(figures, ["NEW"], backend)


def anchors(page: Path) -> set[str]:
    """What `#…` of a link may name in a page: its headings, as web pages of Markdown name them."""
    heads = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {
        re.sub(r"[^\w\- ]", "", re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", head)).lower().replace(" ", "-")
        for head in heads
    }


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_links_to_our_own_files_lead_somewhere(page: Path) -> None:
    broken = []
    for target, anchor in re.findall(
        r"\]\((?!https?:)([^)#\s]*)#?([^)\s]*)\)", page.read_text(encoding="utf-8")
    ):
        place = page.parent / target if target else page
        if not place.exists() or (anchor and anchor not in anchors(place)):
            broken.append(f"{target}#{anchor}")
    assert broken == []


def test_a_browser_types_what_the_portals_page_says() -> None:
    assert f"```sh\n{SCRIPT}```" in (DOCS / "portal.md").read_text(encoding="utf-8")


def test_ci_runs_the_readmes_test_command() -> None:
    assert "./quickstart test" in README
    assert (ROOT / ".ci/run").read_text(encoding="utf-8").splitlines()[-1] == "exec ./quickstart test"


def test_what_shows_a_row_of_the_pipeline_is_there() -> None:
    """Each row names tests or exercises that exist, or says plainly that nothing shows it."""
    table = rows(
        (DOCS / "pipeline.md").read_text(encoding="utf-8"),
        "From a commit to a node: what is there, and what shows it",
    )
    assert [int(row[0]) for row in table] == list(range(1, 25))
    for number, _, here, shown in table:
        named = re.findall(r"`([^`]+)`", shown)
        assert named or re.search(r"\*\*Nothing|no program of ours", here), number
        assert all((ROOT / path).exists() for path in named), number
