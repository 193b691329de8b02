"""`lab exercises`: the chapters, and how far the learner is."""

from __future__ import annotations

import click

from lab.cli.app import App
from lab.cli.context import ExerciseContext, reflow
from lab.cli.options import json_option, lab_option
from lab.cli.output import show_json, show_table

SIGNS = {"new": "", "begun": "begun", "solved": "solved", "shown": "shown"}


@click.command(short_help="List the chapters and exercises, and which you have solved.")
@lab_option
@json_option
@click.pass_obj
def command(app: App, lab: str | None, *, as_json: bool) -> int:
    """List the chapters and exercises, and which you have solved.

    States: begun; solved; shown (solved by `lab solve`). A star marks the one you are working on.
    An exercise with something under NEEDS runs only on a backend that can do that.
    """
    desk = ExerciseContext(app, lab)
    known = {
        exercise.name: desk.progress.record(exercise.name, exercise.formerly)
        for exercise in desk.catalog.exercises
    }
    current = desk.current()
    if as_json:
        show_json(
            {"lab": desk.lab, "chapters": [_chapter(desk, chapter.id) for chapter in desk.catalog.chapters]}
        )
        return 0
    needs = any(exercise.capabilities for exercise in desk.catalog.exercises)
    for number, chapter in enumerate(desk.catalog.chapters):
        click.echo(("\n" if number else "") + click.style(chapter.title, bold=True))
        click.echo(reflow(chapter.about) + "\n")
        show_table(
            ["", "NAME", "STATE", "MINUTES", *(["NEEDS"] if needs else []), "TITLE"],
            [
                [
                    "*" if exercise == current else "",
                    exercise.name,
                    SIGNS[known[exercise.name].state],
                    str(exercise.minutes),
                    *([", ".join(exercise.capabilities) or "-"] if needs else []),
                    exercise.title,
                ]
                for exercise in chapter.exercises
            ],
        )
    return 0


def _chapter(desk: ExerciseContext, chapter_id: str) -> dict[str, object]:
    chapter = next(item for item in desk.catalog.chapters if item.id == chapter_id)
    current = desk.current()
    return {
        "id": chapter.id,
        "title": chapter.title,
        "exercises": [
            {
                "name": exercise.name,
                "title": exercise.title,
                "teaches": exercise.teaches,
                "state": desk.progress.record(exercise.name, exercise.formerly).state,
                "current": exercise == current,
                "minutes": exercise.minutes,
                "roles": [role.value for role in exercise.roles],
                "needs": list(exercise.capabilities),
                "start": exercise.start,
                "prerequisites": list(exercise.prerequisites),
                "steps": [step.id for step in exercise.steps],
            }
            for exercise in chapter.exercises
        ],
    }
