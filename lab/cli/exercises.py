"""`lab exercises`: lists the chapters and exercises with the learner's progress."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from lab.cli.app import App
from lab.cli.context import ExerciseContext, reflow
from lab.cli.options import json_option, lab_option
from lab.cli.output import show_json, show_table

if TYPE_CHECKING:
    from lab.course.catalog import Exercise

SIGNS = {"new": "", "begun": "begun", "solved": "solved", "shown": "shown"}


@click.command(short_help="List the exercises and your progress.")
@lab_option
@json_option
@click.pass_obj
def command(app: App, lab: str | None, *, as_json: bool) -> int:
    """List the exercises by chapter, and your progress.

    STATE is begun, solved, or shown (you let `lab solve` type the solution). A star marks the exercise
    that you are working on. NEEDS names what the backend must be able to do, or software that a lab is made
    with; (not here) means that this lab does not offer it.
    """
    context = ExerciseContext(app, lab)
    progress = context.progress.lab()
    known = {
        exercise.name: progress.record(exercise.name, exercise.formerly)
        for exercise in context.catalog.exercises
    }
    current = context.current()
    if as_json:
        show_json(
            {
                "lab": context.lab,
                "chapters": [_chapter(context, chapter.id) for chapter in context.catalog.chapters],
            }
        )
        return 0
    needs = any(one.capabilities or one.software for one in context.catalog.exercises)
    for number, chapter in enumerate(context.catalog.chapters):
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
                    *([_needs(context, exercise)] if needs else []),
                    exercise.title,
                ]
                for exercise in chapter.exercises
            ],
        )
    return 0


def _needs(context: ExerciseContext, exercise: Exercise) -> str:
    """What an exercise needs; what one of those that lead to it needs only if it is not to be had here."""
    withheld = context.withheld(exercise)
    other = [need for need in (*exercise.capabilities, *exercise.software) if need not in withheld]
    return ", ".join([*(f"{need} (not here)" for need in withheld), *other]) or "-"


def _chapter(context: ExerciseContext, chapter_id: str) -> dict[str, object]:
    chapter = next(item for item in context.catalog.chapters if item.id == chapter_id)
    current = context.current()
    progress = context.progress.lab()
    return {
        "id": chapter.id,
        "title": chapter.title,
        "exercises": [
            {
                "name": exercise.name,
                "title": exercise.title,
                "teaches": exercise.teaches,
                "state": progress.record(exercise.name, exercise.formerly).state,
                "current": exercise == current,
                "minutes": exercise.minutes,
                "roles": [role.value for role in exercise.roles],
                "needs": [*exercise.capabilities, *exercise.software],
                "withheld": context.withheld(exercise),
                "start": exercise.start,
                "prerequisites": list(exercise.prerequisites),
                "steps": [step.id for step in exercise.steps],
            }
            for exercise in chapter.exercises
        ],
    }
