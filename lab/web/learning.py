"""What a page shows of the course, and what it can have done: check, hint, start, reset, next, power."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from lab.checks.api import Outcome
from lab.checks.report import as_data as judgement_data
from lab.checks.runner import Notice
from lab.cluster.plan import check_names
from lab.course.catalog import Exercise
from lab.course.guide import current_exercise, following
from lab.course.judging import judge
from lab.course.opening import open_course
from lab.course.suitability import require_suitable, withheld
from lab.course.variables import fill_text
from lab.errors import UsageError
from lab.model import ClusterSpec
from lab.printable import printable_line
from lab.web.markdown import blocks
from lab.web.seat import Lab
from lab.web.tasks import Progress, Result, Work


def view(lab: Lab) -> dict[str, Any]:
    """Writes the course for the page: the list of exercises, and the one the learner works on."""
    spec = lab.spec()
    current = current_exercise(lab.catalog, lab.progress)
    progress = lab.progress.lab()
    chapters = [
        {
            "title": chapter.title,
            "exercises": [
                {
                    "name": exercise.name,
                    "title": exercise.title,
                    "minutes": exercise.minutes,
                    "state": progress.record(exercise.name, exercise.formerly).state,
                }
                for exercise in chapter.exercises
            ],
        }
        for chapter in lab.catalog.chapters
    ]
    return {"chapters": chapters, "current": _exercise(lab, spec, current) if current else None}


def _exercise(lab: Lab, spec: ClusterSpec, exercise: Exercise) -> dict[str, Any]:
    record = lab.progress.record(exercise.name, exercise.formerly)
    hints = exercise.hints()
    steps = [
        {
            "id": step.id,
            "title": step.title,
            "held": step.id in record.steps,
            "hints": [
                blocks(fill_text(text, spec)) for text in hints[step.id][: record.hints.get(step.id, 0)]
            ],
            "hints_in_all": len(hints[step.id]),
        }
        for step in exercise.steps
    ]
    return {
        "name": exercise.name,
        "title": exercise.title,
        "teaches": exercise.teaches,
        "minutes": exercise.minutes,
        "state": record.state,
        "blocks": blocks(fill_text(exercise.readme(), spec)),
        "steps": steps,
    }


def hint(lab: Lab, step: str) -> None:
    """Takes one more hint for a step of the current exercise; it is part of the next view."""
    exercise = _current(lab)
    known = exercise.hints()[exercise.step(step).id]
    lab.progress.hint(exercise.name, exercise.formerly, step, len(known))


def check(lab: Lab) -> Work:
    """Runs the checks of the current exercise; they only read."""
    exercise = _current(lab)

    def work(progress: Progress) -> Result:
        def notice(found: Notice) -> None:
            if found.found:
                progress.say(f"waiting for “{found.check.sentence}”: {printable_line(found.found)}")

        with lab.cluster() as cluster:
            judgement = judge(cluster, exercise, notice=notice)
        solved, steps = judgement.solved, judgement.solved_steps
        lab.progress.judged(exercise.name, exercise.formerly, solved=solved, steps=steps)
        told = f"{judgement.count(Outcome.PASSED)} of {len(judgement.verdicts)} checks hold"
        return Result("Solved: all checks hold" if solved else told, {"judgement": judgement_data(judgement)})

    return work


def question(lab: Lab, action: str, name: str) -> str:
    """What a person must agree to before `start`, `reset`, `reset-node` and what cuts the power."""
    if action in ("start", "reset"):
        exercise = lab.catalog.get(name) if action == "start" else _current(lab)
        require_suitable(lab.catalog, exercise, lab.spec(), lab.backend)
        with lab.cluster() as cluster:
            course = open_course(lab.catalog, lab.progress, cluster, lambda _: None)
            return f"{course.loss().sentence} To {action} {exercise.name}: {course.plan(exercise).summary}."
    check_names(lab.spec(), [name])
    if action == "reset-node":
        return f"The power of {name} will be cut, and what is in its memory will be lost."
    return f"The system of {name} will be shut down; jobs on it will end."


def start(lab: Lab, name: str) -> Work:
    """Brings the lab to an exercise's start state."""
    exercise = lab.catalog.get(name)
    require_suitable(lab.catalog, exercise, lab.spec(), lab.backend)

    def work(progress: Progress) -> Result:
        with lab.course(progress) as course:
            course.start(course.plan(exercise))
        return Result(f"{exercise.title}: the lab is at its start", {})

    return work


def reset(lab: Lab) -> Work:
    """Returns the current exercise to its start, and forgets the progress in it."""
    exercise = _current(lab)

    def work(progress: Progress) -> Result:
        with lab.course(progress) as course:
            course.reset(course.plan(exercise))
        return Result(f"{exercise.title} is at its start again", {})

    return work


def next_exercise(lab: Lab) -> Work:
    """Goes on to the next exercise where it starts from the present state; else says which it is."""
    found = following(lab.catalog, lab.progress, lambda e: withheld(lab.catalog, e, lab.spec(), lab.backend))
    chosen = found.exercise

    def work(progress: Progress) -> Result:
        if chosen is None:
            return Result("This was the last exercise. You have finished the course.", {})
        if found.continues:
            with lab.course(progress) as course:
                course.continue_with(chosen)
            return Result(f"{chosen.title} starts from the present state", {})
        current = current_exercise(lab.catalog, lab.progress)
        if chosen is current:
            return Result(f"{chosen.title} is not solved yet", {})
        return Result(f"Next: {chosen.title}", {"start": chosen.name})

    return work


def power(lab: Lab, action: str, node: str) -> Work:
    """Powers a node on or off, off and on, or makes it anew."""
    check_names(lab.spec(), [node])

    def work(progress: Progress) -> Result:
        if action == "reset-node":
            with lab.course(progress) as course:
                amiss = course.reset_node(node)
            return Result(f"{node} is up again, {amiss}" if amiss else f"{node} is ready again", {})
        with lab.locked(progress) as cluster:
            if action == "power-on":
                cluster.power_on([node])
            elif action == "power-off":
                cluster.power_off([node])
            else:
                cluster.cycle(node, hard=False)
        return Result(f"{node}: {action.replace('-', ' ')}", {})

    return work


Making = Callable[[Lab, str], Work]
ACTIONS: Mapping[str, tuple[str, Making]] = {
    "check": ("checking", lambda lab, _: check(lab)),
    "next": ("going on", lambda lab, _: next_exercise(lab)),
    "start": ("starting {}", start),
    "reset": ("resetting the exercise", lambda lab, _: reset(lab)),
    "reset-node": ("making {} anew", lambda lab, name: power(lab, "reset-node", name)),
    "power-on": ("powering {} on", lambda lab, name: power(lab, "power-on", name)),
    "power-off": ("powering {} off", lambda lab, name: power(lab, "power-off", name)),
    "power-cycle": ("powering {} off and on", lambda lab, name: power(lab, "power-cycle", name)),
}
"""What a page can have done: a title for people, and what makes the work of it."""


def _current(lab: Lab) -> Exercise:
    found = current_exercise(lab.catalog, lab.progress)
    if found is None:
        raise UsageError("no exercise has been started in this lab", hint="choose one from the list")
    return found
