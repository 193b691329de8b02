"""Checks the folders of exercises against the rules for authors, and lists every problem."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lab.checks.api import Check
from lab.course.catalog import PREPARATION, Exercise, survey
from lab.course.script import Block, parse_fences, parse_hints, parse_script, split_commands
from lab.course.toml_table import TableReader, read_toml
from lab.course.variables import IN_TEXT

FILES = ("README.md", "exercise.toml", "check.py", "solution.sh", "hints.md")
MAY_BE = ("wrong.toml", PREPARATION)
FOLDERS = ("files", "wrong")
FEWEST_WRONGS = 2
FEWEST_HINTS = 2
SCHEME = re.compile(r"(?:\]\(\s*|<)([a-zA-Z][a-zA-Z0-9+.-]*):|\s([a-zA-Z][a-zA-Z0-9+.-]*)://")
VARIABLE = re.compile(r"[a-z][a-z0-9]*\.(?:mac|ip|external)|(?:internal|external)\.(?:netmask|prefix)")
NOT_TYPED = ("output", "host")


@dataclass(frozen=True)
class Wrong:
    """A wrong or incomplete solution that a learner might try, and what the checks must report for it."""

    story: str
    script: Path
    fails: tuple[str, ...]
    message: tuple[str, ...]
    after: str = ""  # the solution is typed up to the end of this step first

    def blocks(self) -> tuple[Block, ...]:
        """What is typed in place of the rest of the solution."""
        return parse_script(self.script.read_text(encoding="utf-8"))[0]


def problems(root: Path) -> list[str]:
    """Lists every problem of the exercises in a folder."""
    catalog, found = survey(root)
    known = {exercise.name for exercise in catalog.exercises}
    for path in sorted(root.iterdir()):
        if path.name not in known and path.name not in {"index.toml", "README.md", "__pycache__"}:
            found.append(f"{path.name}: is not in index.toml")
    for exercise in catalog.exercises:
        found += [f"{exercise.name}/{problem}" for problem in _exercise(exercise)]
    return found


def wrongs(folder: Path, found: list[str]) -> tuple[Wrong, ...]:
    """Reads an exercise's `wrong.toml`; adds its problems to `found`."""
    path = folder / "wrong.toml"
    if not path.exists():
        return ()
    reader = TableReader("wrong.toml", read_toml(path, found), found)
    read = []
    for item in reader.tables("wrong"):
        table = TableReader("wrong.toml", item, found)
        wrong = Wrong(
            story=table.text("story"),
            script=folder / table.text("script"),
            fails=table.texts("fails"),
            message=table.texts("message"),
            after=table.text("after", required=False),
        )
        table.no_others()
        read.append(wrong)
    reader.no_others()
    return tuple(read)


def _exercise(exercise: Exercise) -> Iterator[str]:
    missing = [name for name in FILES if not (exercise.folder / name).is_file()]
    yield from (f"{name}: missing" for name in missing)
    yield from _unexpected(exercise.folder)
    if missing:
        return
    blocks, flaws = parse_script((exercise.folder / "solution.sh").read_text(encoding="utf-8"))
    yield from (f"solution.sh:{flaw.line}: {flaw.message}" for flaw in flaws)
    yield from _solution(exercise, blocks)
    yield from _preparation(exercise)
    yield from _readme(exercise, blocks)
    yield from _hints(exercise)
    try:
        checks = exercise.checks()
    except (ImportError, SyntaxError, TypeError, NameError, AttributeError) as error:
        yield f"check.py: {type(error).__name__}: {error}"
        return
    yield from _checks(exercise, checks)
    yield from _wrongs(exercise, checks)


def _unexpected(folder: Path) -> Iterator[str]:
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder)
        if "__pycache__" in inside.parts:
            continue
        if not path.resolve().is_relative_to(folder.resolve()):
            yield f"{inside}: points outside the folder"
        elif inside.parts[0] not in (*FILES, *MAY_BE, *FOLDERS):
            yield f"{inside}: unexpected file"


def _solution(exercise: Exercise, blocks: tuple[Block, ...]) -> Iterator[str]:
    steps = [step.id for step in exercise.steps]
    order = list(dict.fromkeys(block.step for block in blocks))
    yield from (f"solution.sh: unknown step {step!r}" for step in order if step not in steps)
    yield from (f"solution.sh: no commands for step {step}" for step in steps if step not in order)
    if set(order) == set(steps) and order != steps:
        yield "solution.sh: the steps are in another order than in exercise.toml"
    yield from (f"solution.sh: a block without commands for step {b.step}" for b in blocks if not b.commands)


def _preparation(exercise: Exercise) -> Iterator[str]:
    path = exercise.folder / PREPARATION
    if not path.exists():
        return
    blocks, flaws = parse_script(path.read_text(encoding="utf-8"))
    yield from (f"{PREPARATION}:{flaw.line}: {flaw.message}" for flaw in flaws)
    if not any(block.commands for block in blocks):
        yield f"{PREPARATION}: no commands"


def _readme(exercise: Exercise, blocks: tuple[Block, ...]) -> Iterator[str]:
    text = exercise.readme()
    if text.splitlines()[:1] != [f"# {exercise.title}"]:
        yield f"README.md:1: the first line must be the title: # {exercise.title}"
    headings = re.findall(r"^## (.+)$", text, flags=re.MULTILINE)
    titles = [step.title for step in exercise.steps]
    if [heading for heading in headings if heading in titles] != titles:
        yield f"README.md: there must be a heading for each step, in order: {', '.join(titles)}"
    yield from _texts("README.md", text)
    typed = {(block.node, _same(command)) for block in blocks for command in block.commands}
    for fence in parse_fences(text):
        kind, _, node = fence.info.partition(" ")
        if fence.info in NOT_TYPED or (kind == "sh" and node in NOT_TYPED):
            continue
        if kind != "sh" or not node:
            kinds = "`sh NODE`, `sh host` or `output`"
            yield f"README.md:{fence.line}: a code block is {kinds}, not {fence.info!r}"
            continue
        for command in split_commands(fence.body):
            if (node, _same(command)) not in typed:
                yield f"README.md:{fence.line}: the solution does not type this on {node}: {command}"


def _same(command: str) -> str:
    """Writes the variables of a command as solutions do, so that both compare equal."""
    return IN_TEXT.sub(lambda match: "$" + match[1].replace(".", "_").upper(), command)


def _texts(name: str, text: str) -> Iterator[str]:
    for scheme in map("".join, SCHEME.findall(text)):
        if scheme.lower() != "https":
            yield f"{name}: only https links are allowed, not {scheme}:"
    for value in re.findall(r"\{\{(.*?)\}\}", text):
        if not VARIABLE.fullmatch(value.strip()):
            yield f"{name}: there is no variable {value.strip()!r}"


def _hints(exercise: Exercise) -> Iterator[str]:
    text = (exercise.folder / "hints.md").read_text(encoding="utf-8")
    hints = parse_hints(text)
    steps = [step.id for step in exercise.steps]
    yield from (f"hints.md: unknown step {step!r}" for step in hints if step not in steps)
    for step in steps:
        if len(hints.get(step, ())) < FEWEST_HINTS:
            yield f"hints.md: step {step} needs at least {FEWEST_HINTS} hints, from a nudge to the answer"
    yield from _texts("hints.md", text)


def _checks(exercise: Exercise, checks: tuple[Check, ...]) -> Iterator[str]:
    steps = [step.id for step in exercise.steps]
    yield from (
        f"check.py: {c.name} belongs to the unknown step {c.step!r}" for c in checks if c.step not in steps
    )
    used = {check.step for check in checks}
    yield from (f"check.py: no check for step {step}" for step in steps if step not in used)
    names = [check.name for check in checks]
    yield from (
        f"check.py: more than one check is called {name}"
        for name in sorted(set(names))
        if names.count(name) > 1
    )
    for position, check in enumerate(checks):
        for need in check.needs:
            if need not in checks[:position]:
                yield f"check.py: {check.name} needs {need.name}, which must be defined before it"
        if not check.sentence.endswith("."):
            yield f"check.py: {check.name}: the docstring must be a sentence"


def _wrongs(exercise: Exercise, checks: tuple[Check, ...]) -> Iterator[str]:
    found: list[str] = []
    read = wrongs(exercise.folder, found)
    yield from found
    if len(read) < FEWEST_WRONGS:
        yield f"wrong.toml: there must be at least {FEWEST_WRONGS} wrong solutions, not {len(read)}"
    names = {check.name for check in checks}
    steps = [step.id for step in exercise.steps]
    for wrong in read:
        yield from (f"wrong.toml: there is no check {name!r}" for name in wrong.fails if name not in names)
        if not wrong.fails or not wrong.message:
            yield f"wrong.toml: {wrong.story!r} must name a failing check and a message"
        if wrong.after and wrong.after not in steps:
            yield f"wrong.toml: after: unknown step {wrong.after!r}"
        if not wrong.script.is_file():
            yield f"wrong.toml: {wrong.script.name}: missing"
            continue
        blocks, flaws = parse_script(wrong.script.read_text(encoding="utf-8"))
        yield from (f"wrong/{wrong.script.name}:{flaw.line}: {flaw.message}" for flaw in flaws)
        yield from (
            f"wrong/{wrong.script.name}: unknown step {b.step!r}" for b in blocks if b.step not in steps
        )
    used = {wrong.script.name for wrong in read}
    folder = exercise.folder / "wrong"
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if path.name not in used:
            yield f"wrong/{path.name}: wrong.toml does not use it"
