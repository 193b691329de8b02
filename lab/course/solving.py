"""Types the scripts of an exercise into a lab: its solution, and what prepares its start state."""

from __future__ import annotations

from collections.abc import Callable

from lab.cluster.cluster import Cluster
from lab.cluster.wait_ready import await_entry
from lab.course.catalog import PREPARATION, Exercise
from lab.course.replay import ScriptReplayer
from lab.course.script import Block
from lab.course.starter_files import give
from lab.nodes.client import NodeClient


def type_blocks(
    cluster: Cluster,
    name: str,
    blocks: tuple[Block, ...],
    *,
    show: Callable[[str], None],
    say: Callable[[str], None],
    before: Callable[[str], None] = lambda _: None,
    slow: bool = False,
) -> None:
    """Types the blocks of a script called `name` into the lab's nodes.

    `show` gets what a terminal would show, `say` a line for each step, and `before` each command before
    it is typed. Raises a LabError at the first line that fails.
    """

    def entered(node: str) -> NodeClient:
        await_entry(cluster, node)
        return cluster.node(node)

    ScriptReplayer(
        cluster.spec,
        lambda node, user: entered(node).session(user, show, slow=slow),
        lambda node, user: entered(node).open_console(user),
        say=say,
        before=before,
        speed=cluster.backend.host_speed,
    ).type(name, blocks)


def solve(cluster: Cluster, exercise: Exercise, say: Callable[[str], None]) -> None:
    """Types the solution of an exercise without showing it."""
    type_blocks(cluster, exercise.name, exercise.solution(), show=lambda _: None, say=say)


def prepare(cluster: Cluster, exercise: Exercise, say: Callable[[str], None]) -> None:
    """Copies an exercise's files to the learner, and types what makes its start state."""
    give(cluster, exercise.name, exercise.folder / "files")
    blocks = exercise.preparation()
    if blocks:
        say(f"preparing {exercise.name}")
        name = f"{exercise.name}/{PREPARATION}"
        type_blocks(cluster, name, blocks, show=lambda _: None, say=lambda _: None)
