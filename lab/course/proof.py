"""Shows on a throw-away lab that an exercise fails unsolved, and passes once its solution is typed."""

from __future__ import annotations

from collections.abc import Callable

from lab.backends.base import Say
from lab.checks.judgement import Judgement
from lab.checks.report import Style, render
from lab.cluster.cluster import Cluster
from lab.errors import Exit, LabError

PROOF_LAB = "setup-proof"
PLAIN = Style(unicode=False, width=None)


def prove(
    cluster: Cluster, name: str, *, judge: Callable[[], Judgement], solve: Callable[[], None], say: Say
) -> None:
    """Proves the exercise on this cluster, which is made for it, and removed however the proof ends.

    Raises a LabError with the report of the checks when they do not say what they must.
    """
    if cluster.record() is not None:  # an earlier run was killed
        cluster.down()
    try:
        say(f"bringing the throw-away lab {cluster.spec.lab} up")
        cluster.up()
        say(f"checking {name} before anyone has solved it: it must not pass")
        _expect(judge(), Exit.NOT_SOLVED, f"{name} did not fail although nobody has solved it")
        say(f"typing the solution of {name}")
        solve()
        say(f"checking {name} again: it must pass")
        _expect(judge(), Exit.OK, f"{name} did not pass although its solution has been typed")
    finally:
        say(f"removing the throw-away lab {cluster.spec.lab}")
        _remove(cluster, say)
    say(f"proven: {name} fails unsolved and passes solved")


def _expect(judgement: Judgement, wanted: Exit, otherwise: str) -> None:
    if judgement.code is not wanted:
        raise LabError(
            otherwise, evidence=render(judgement, PLAIN).plain, hint="lab doctor, then: lab setup -y"
        )


def _remove(cluster: Cluster, say: Say) -> None:
    """Removes the lab; a failure here must not hide the one that ended the proof."""
    try:
        cluster.down()
    except LabError as problem:
        lab = cluster.spec.lab
        say(f"lab {lab} could not be removed: {problem.message}; type: lab down -l {lab} -y")
