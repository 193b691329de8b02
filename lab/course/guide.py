"""Says what a learner does next: the next exercise, and the step that the next hint is for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from lab.course.catalog import Catalog, Exercise
from lab.course.progress import ExerciseProgress, ProgressFile


@dataclass(frozen=True)
class Following:
    """The exercise that comes next."""

    exercise: Exercise | None  # None: the course is finished
    continues: bool  # it starts from the state in which the lab is
    left_out: tuple[str, ...]  # exercises that this lab cannot offer


def current_exercise(catalog: Catalog, progress: ProgressFile) -> Exercise | None:
    """Returns the exercise that the learner is working on, if any."""
    name = progress.lab().current
    return catalog.get(name) if name and catalog.has(name) else None


def following(catalog: Catalog, progress: ProgressFile, withheld: Callable[[Exercise], object]) -> Following:
    """Finds the exercise that comes next; `withheld` says what the lab does not offer of its needs."""
    current = current_exercise(catalog, progress)
    if current is None:
        return Following(catalog.exercises[0], continues=False, left_out=())
    if progress.record(current.name, current.formerly).state not in ("solved", "shown"):
        return Following(current, continues=False, left_out=())
    left_out: list[str] = []
    chosen = catalog.following(current)
    while chosen is not None and withheld(chosen):
        left_out.append(chosen.name)
        chosen = catalog.following(chosen)
    continues = chosen is not None and chosen.builds_on == current.name
    return Following(chosen, continues, tuple(left_out))


def step_for_hint(exercise: Exercise, record: ExerciseProgress) -> str:
    """The first step whose checks have not all held yet, else the last one."""
    open_steps = (step.id for step in exercise.steps if step.id not in record.steps)
    return next(open_steps, exercise.steps[-1].id)
