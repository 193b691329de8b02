"""Runs the checks of an exercise on a lab and collects their verdicts."""

from __future__ import annotations

from collections.abc import Callable

from lab.checks.judgement import Judgement, Step
from lab.checks.runner import Notice, Runner
from lab.checks.shell_pool import ShellPool
from lab.cluster.cluster import Cluster
from lab.course.catalog import Exercise
from lab.nodes.shell import CommandTimeout
from lab.polling import monotonic


def judge(
    cluster: Cluster,
    exercise: Exercise,
    *,
    patience: float = 1.0,
    notice: Callable[[Notice], None] = lambda _: None,
) -> Judgement:
    """Runs all checks of an exercise; `patience` multiplies the time in which a check may still come true."""
    speed = cluster.backend.host_speed
    # Much of what a check waits for depends on clocks, and clocks run as fast on slow hosts.
    patience *= speed.timeout_scale**0.5
    pool = ShellPool(
        cluster.spec,
        lambda node, user: cluster.node(node).open_console(user),
        lambda: cluster.backend.status(cluster.spec.lab),
        slow=CommandTimeout,
    )
    started = monotonic()
    try:
        verdicts = Runner(
            exercise.checks(),
            pool,
            patience=patience,
            timeout_scale=lambda: speed.timeout_scale,
            notice=notice,
        ).run()
    finally:
        pool.close()
    steps = tuple(Step(step.id, step.title) for step in exercise.steps)
    return Judgement(exercise.name, exercise.title, steps, verdicts, monotonic() - started)
