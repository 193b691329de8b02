"""Finds the exercises, orders them, and reads their descriptions."""

from __future__ import annotations

import importlib.util
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lab.checks.api import Check, collect
from lab.course.script import Block, parse_hints, parse_script
from lab.course.toml_table import NAME, Table, TableReader, read_toml
from lab.errors import LabError, UsageError, did_you_mean
from lab.model import Role

START = re.compile(r"handout|after:([a-z][a-z0-9_]{0,39})")
CAPABILITIES = ("kernel-modules", "kernel-version", "block-devices", "snapshot")
SOFTWARE = ("jupyter",)
PREPARATION = "prepare.sh"
ROLES = tuple(role.value for role in Role)


@dataclass(frozen=True)
class Step:
    """One part of an exercise; its title is a heading of the text."""

    id: str
    title: str


@dataclass(frozen=True)
class Link:
    """A page for further reading."""

    title: str
    url: str


@dataclass(frozen=True)
class Exercise:
    """One exercise: its `exercise.toml`; its larger files are read on demand."""

    name: str
    folder: Path
    chapter: str
    title: str
    teaches: str
    minutes: int
    version: int
    roles: tuple[Role, ...]
    start: str  # "handout" or "after:EXERCISE"
    prerequisites: tuple[str, ...]
    capabilities: tuple[str, ...]  # what the backend must be able to do
    software: tuple[str, ...]  # keys of lab.toml that must be true
    reboots: tuple[str, ...]  # nodes whose reboot the solved state must survive
    formerly: tuple[str, ...]
    steps: tuple[Step, ...]
    links: tuple[Link, ...]

    @property
    def builds_on(self) -> str | None:
        """The exercise whose solved state is the start state of this one, if any."""
        found = START.fullmatch(self.start)
        return found[1] if found else None

    def readme(self) -> str:
        """Reads its text, before the lab's values are filled in."""
        return (self.folder / "README.md").read_text(encoding="utf-8")

    def hints(self) -> Mapping[str, tuple[str, ...]]:
        """Reads its hints for each step, from a nudge to the answer."""
        return parse_hints((self.folder / "hints.md").read_text(encoding="utf-8"))

    def solution(self) -> tuple[Block, ...]:
        """Reads its solution."""
        return read_script(self.folder / "solution.sh")

    def solution_until(self, step: str) -> tuple[Block, ...]:
        """The blocks of the solution up to the end of a step."""
        ids = [known.id for known in self.steps]
        done = ids[: ids.index(self.step(step).id) + 1]
        return tuple(block for block in self.solution() if block.step in done)

    def preparation(self) -> tuple[Block, ...]:
        """Reads the script that makes a start state which no solution leaves; empty if there is none."""
        path = self.folder / PREPARATION
        return read_script(path) if path.exists() else ()

    def checks(self) -> tuple[Check, ...]:
        """Loads its checks."""
        return load_checks(self.name, self.folder / "check.py")

    def step(self, name: str) -> Step:
        """Returns the step of that name; raises a UsageError that names the closest one."""
        for step in self.steps:
            if step.id == name:
                return step
        raise UsageError(
            f"exercise {self.name} has no step {name!r}{did_you_mean(name, [s.id for s in self.steps])}",
            hint=f"steps of {self.name}: {', '.join(step.id for step in self.steps)}",
        )


@dataclass(frozen=True)
class Chapter:
    """A group of exercises."""

    id: str
    title: str
    about: str
    exercises: tuple[Exercise, ...]


@dataclass(frozen=True)
class Catalog:
    """All chapters and their exercises, in order."""

    chapters: tuple[Chapter, ...]

    @property
    def exercises(self) -> tuple[Exercise, ...]:
        """Every exercise, in order."""
        return tuple(exercise for chapter in self.chapters for exercise in chapter.exercises)

    def get(self, name: str) -> Exercise:
        """Returns the exercise of that present or former name; dashes count as underscores."""
        wanted = name.strip().lower().replace("-", "_")
        for exercise in self.exercises:
            if wanted == exercise.name or wanted in exercise.formerly:
                return exercise
        raise UsageError(
            f"there is no exercise {name!r}{did_you_mean(wanted, [e.name for e in self.exercises])}",
            hint="lab exercises",
        )

    def has(self, name: str) -> bool:
        """Whether there is an exercise of that present or former name."""
        return any(name in (e.name, *e.formerly) for e in self.exercises)

    def following(self, exercise: Exercise) -> Exercise | None:
        """Returns the exercise after this one, or None at the end of the course."""
        later = self.exercises[self.exercises.index(exercise) + 1 :]
        return later[0] if later else None

    def chain(self, exercise: Exercise) -> tuple[Exercise, ...]:
        """Returns the exercises whose solutions make the start state of this one, in order."""
        chain: list[Exercise] = []
        while exercise.builds_on is not None:
            exercise = self.get(exercise.builds_on)
            if exercise in chain:
                raise LabError(
                    f"the start state of exercise {exercise.name} depends on itself",
                    hint=f"correct `start` in exercises/{exercise.name}/exercise.toml",
                )
            chain.insert(0, exercise)
        return tuple(chain)


def read_script(path: Path) -> tuple[Block, ...]:
    """Reads a script; raises a LabError that lists what is wrong with it."""
    blocks, flaws = parse_script(path.read_text(encoding="utf-8"))
    if flaws:
        evidence = "\n".join(f"{path}:{flaw.line}: {flaw.message}" for flaw in flaws)
        raise LabError(f"{path.name} of exercise {path.parent.name} has errors", evidence=evidence)
    return blocks


def load_checks(name: str, path: Path) -> tuple[Check, ...]:
    """Runs a `check.py` and returns the checks it defines."""
    module_name = f"rackling_exercises.{name}.check"
    spec = importlib.util.spec_from_file_location(module_name, path)
    if spec is None or spec.loader is None:
        raise LabError(f"cannot load {path}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module  # dataclasses in a check.py look their module up
    spec.loader.exec_module(module)
    return collect(module)


def load(root: Path) -> Catalog:
    """Reads `index.toml` and every `exercise.toml`; raises one LabError that lists all problems."""
    catalog, problems = survey(root)
    if problems:
        raise LabError(f"the exercises in {root} have errors", evidence="\n".join(problems))
    return catalog


def survey(root: Path) -> tuple[Catalog, list[str]]:
    """Reads every valid exercise, and lists the problems of the others."""
    problems: list[str] = []
    index = read_toml(root / "index.toml", problems)
    reader = TableReader("index.toml", index, problems)
    if reader.integer("schema") != 1:
        problems.append("index.toml: schema must be 1")
    chapters = tuple(
        _chapter(root, TableReader(f"index.toml: chapter {number}", table, problems), problems)
        for number, table in enumerate(reader.tables("chapter"), start=1)
    )
    reader.no_others()
    catalog = Catalog(chapters)
    problems += _references(catalog)
    return catalog, problems


def _chapter(root: Path, table: TableReader, problems: list[str]) -> Chapter:
    chapter = table.name("id")
    title, about = table.text("title"), table.text("about")
    exercises = []
    for name in table.texts("exercises"):
        if not NAME.fullmatch(name):
            problems.append(f"{table.where}: {name!r} is not a valid exercise name")
            continue
        path = root / name / "exercise.toml"
        content = read_toml(path, problems)
        if content:
            exercises.append(
                _exercise(root / name, chapter, TableReader(f"{name}/exercise.toml", content, problems))
            )
    table.no_others()
    return Chapter(chapter, title, about, tuple(exercises))


def _exercise(folder: Path, chapter: str, table: TableReader) -> Exercise:
    exercise = Exercise(
        name=folder.name,
        folder=folder,
        chapter=chapter,
        title=table.text("title"),
        teaches=table.text("teaches"),
        minutes=table.integer("minutes"),
        version=table.integer("version"),
        roles=tuple(Role(role) for role in table.choices("roles", ROLES)),
        start=table.pattern("start", START, "'handout' or 'after:EXERCISE'"),
        prerequisites=table.texts("prerequisites", required=False),
        capabilities=table.choices("capabilities", CAPABILITIES, required=False),
        software=table.choices("software", SOFTWARE, required=False),
        reboots=table.texts("reboots", required=False),
        formerly=table.texts("formerly", required=False),
        steps=tuple(_step(table, item) for item in table.tables("steps")),
        links=tuple(_link(table, item) for item in table.tables("links", required=False)),
    )
    table.no_others()
    return exercise


def _step(parent: TableReader, item: Table) -> Step:
    table = TableReader(f"{parent.where}: steps", item, parent.problems)
    step = Step(table.name("id"), table.text("title"))
    table.no_others()
    return step


def _link(parent: TableReader, item: Table) -> Link:
    table = TableReader(f"{parent.where}: links", item, parent.problems)
    link = Link(table.text("title"), table.text("url"))
    if not link.url.startswith("https://"):
        parent.problems.append(f"{table.where}: only https links are allowed, not {link.url!r}")
    table.no_others()
    return link


def _references(catalog: Catalog) -> list[str]:
    problems = []
    names = [exercise.name for exercise in catalog.exercises]
    taken = [*names, *(old for exercise in catalog.exercises for old in exercise.formerly)]
    problems += [
        f"{name}: more than one exercise has this name"
        for name in sorted(set(taken))
        if taken.count(name) > 1
    ]
    for position, exercise in enumerate(catalog.exercises):
        built = [exercise.builds_on] if exercise.builds_on else []
        for need in (*built, *exercise.prerequisites):
            if need not in names:
                problems.append(
                    f"{exercise.name}/exercise.toml: no exercise {need!r}{did_you_mean(need, names)}"
                )
            elif names.index(need) >= position:
                problems.append(f"{exercise.name}/exercise.toml: {need} comes later in index.toml")
        ids = [step.id for step in exercise.steps]
        if len(set(ids)) != len(ids):
            problems.append(f"{exercise.name}/exercise.toml: two steps have the same id")
    return problems
