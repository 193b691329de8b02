"""What is measured: one function a subject, in the order they are run."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

from tests.bench.bed import LAB, Bed
from tests.bench.figures import Figure, ratio
from tests.bench.pipeline import BASELINE, nodeimage_pack, rollout_wave, runner_push
from tests.bench.rollout import rollout_plan

Subject = Callable[[Bed], list[Figure]]

CROWD = 10
COPIED = 256  # MiB
VNFS = 'CHROOT=/opt/ohpc/admin/images/debian13; wwvnfs --chroot "$CHROOT" '


def help_text(bed: Bed) -> list[Figure]:
    """`lab --help`, the whole process."""

    def once() -> float:
        start = time.monotonic()
        subprocess.run([str(LAB), "--help"], stdout=subprocess.DEVNULL, check=True)
        return (time.monotonic() - start) * 1000

    once()  # the first one compiles
    return [Figure("`lab --help`", "ms", 80, bed.several("help", once, runs=bed.runs * 5))]


def up(bed: Bed) -> list[Figure]:
    """From nothing running to the lab as it is handed out; leaves it up."""

    def once() -> float:
        bed.run("down", "-y")
        return bed.timed("up")

    what = "nothing running → SMS up, four nodes idle, login looping"
    return [Figure(what, "s", 10, bed.several("up", once))]


def up_again(bed: Bed) -> list[Figure]:
    """`lab up` on a lab that is up."""
    return [
        Figure("`lab up` with nothing to do", "s", None, bed.several("up again", lambda: bed.timed("up")))
    ]


def status(bed: Bed) -> list[Figure]:
    """`lab status` on a lab that is up, the whole process."""
    values = bed.several("status", lambda: bed.timed("status") * 1000, runs=bed.runs * 3)
    return [Figure("`lab status`", "ms", 250, values)]


def check(bed: Bed) -> list[Figure]:
    """The first exercise's checks once it is solved: nothing has to settle."""
    bed.run("solve", "login_node")
    values = bed.several("check", lambda: bed.timed("check", "login_node"))
    return [Figure("`lab check login_node`, solved", "s", 1, values)]


def resets(bed: Bed) -> list[Figure]:
    """One node, then the whole exercise, back to the start and up."""
    node = bed.several("reset c1", lambda: bed.timed("reset", "c1", "-y"))
    bed.run("start", "login_node", "-y")
    whole = bed.several("reset", lambda: bed.timed("reset", "-y"))
    return [
        Figure("`lab reset c1`: one node, until it is idle again", "s", 2, node),
        Figure("`lab reset`: the whole lab, until it is as at first", "s", 8, whole),
    ]


def vnfs(bed: Bed) -> list[Figure]:
    """`wwvnfs` on the head node against find | cpio | gzip on the same tree."""
    bed.inside("sms", VNFS)
    unchanged = bed.several("wwvnfs", lambda: bed.timed_inside("sms", VNFS))
    full = bed.several("wwvnfs --full", lambda: bed.timed_inside("sms", VNFS + "--full"))
    plain = bed.several("find | cpio | gzip", lambda: bed.timed_inside("sms", BASELINE))
    figures = [
        Figure("`wwvnfs`, nothing changed", "s", 0.3, unchanged),
        Figure("`wwvnfs --full`", "s", None, full),
        Figure("`find \\| cpio \\| gzip` on the same tree", "s", None, plain),
    ]
    return [*figures, ratio("`wwvnfs --full` over `find \\| cpio \\| gzip`", 0.2, figures[1], figures[2])]


def copies(bed: Bed) -> list[Figure]:
    """`lab cp` both ways, beside `docker cp`, which sees only the chassis: the same bytes, in turn."""
    with TemporaryDirectory(prefix="bench-cp-") as folder:
        here, chassis = f"{folder}/here", f"rackling-{bed.lab}-c1"
        Path(here).write_bytes(os.urandom(1 << 20) * COPIED)
        subprocess.run(["docker", "cp", here, f"{chassis}:/bench-cp"], check=True, capture_output=True)
        commands = {
            "`lab cp` into a node": [str(LAB), "cp", "-l", bed.lab, here, "c1:/tmp/bench-cp"],
            "`lab cp` out of a node": [str(LAB), "cp", "-l", bed.lab, "c1:/tmp/bench-cp", f"{folder}/there"],
            "`docker cp` out of its chassis": ["docker", "cp", f"{chassis}:/bench-cp", f"{folder}/chassis"],
        }
        values: dict[str, list[float]] = {what: [] for what in commands}
        for _ in range(bed.runs):
            bed.inside(
                "c1", "rm -f /tmp/bench-cp"
            )  # a copy is complete before it replaces another: no room for both
            for what, command in commands.items():
                start = time.monotonic()
                subprocess.run(command, check=True, capture_output=True)
                values[what].append(time.monotonic() - start)
                bed.say(f"{what}: {values[what][-1]:.3f}")
        bed.inside("c1", "rm -f /tmp/bench-cp")
        subprocess.run(["docker", "exec", chassis, "rm", "-f", "/bench-cp"], check=True, capture_output=True)
    most = COPIED / 100  # seconds at 100 MB/s
    promises = (most, most, None)
    figures = [
        Figure(f"{what}, {COPIED} MiB", "s", promise, tuple(values[what]))
        for what, promise in zip(commands, promises, strict=True)
    ]
    return [*figures, ratio("`lab cp` out over `docker cp` out", None, figures[1], figures[2])]


def memory(bed: Bed) -> list[Figure]:
    """Memory of a whole lab in overlay mode: what its containers cannot give back."""
    bed.run("down", "-y")
    bed.run("up", "--set", "root=overlay")
    time.sleep(5)  # what starts late is memory too
    figure = Figure("memory of a lab in overlay mode", "GiB", 0.4, (working_set(bed.lab),))
    bed.run("down", "-y")
    return [figure]


def crowd(bed: Bed) -> list[Figure]:
    """Ten labs on one host at once, in overlay mode, brought up two at a time."""
    beds = [replace(bed, lab=f"{bed.lab}-{number}") for number in range(1, CROWD + 1)]
    start = time.monotonic()
    try:
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda one: one.run("up", "--set", "root=overlay", "--timeout", "300"), beds))
        seconds = time.monotonic() - start
        gib = sum(working_set(one.lab) for one in beds)
    finally:
        for one in beds:
            one.run("down", "-y", statuses=(0, 3))
    return [
        Figure(f"{CROWD} labs of six nodes, all up", "s", None, (seconds,)),
        Figure(f"memory of {CROWD} labs in overlay mode", "GiB", 4, (gib,)),
    ]


def working_set(lab: str) -> float:
    """GiB used by a lab's containers, without page cache that the kernel would drop first."""
    import docker

    client = docker.from_env()
    total = 0
    for container in client.containers.list(filters={"label": f"rackling.lab={lab}"}):
        stats = cast("dict[str, Any]", container.stats(stream=False))["memory_stats"]
        details = stats.get("stats", {})
        total += stats["usage"] - details.get("total_inactive_file", details.get("inactive_file", 0))
    return total / 2**30


SUBJECTS: tuple[Subject, ...] = (
    help_text,
    rollout_plan,
    up,
    up_again,
    status,
    vnfs,
    nodeimage_pack,
    rollout_wave,
    check,
    resets,
    copies,
    memory,
    crowd,
    runner_push,
)
