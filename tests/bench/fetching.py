"""Measures programs that fetch a configuration; runs inside a container, on the standard library alone.

From stdin it reads what to run, and prints for each: seconds until the folder was complete, seconds of CPU
of its whole life, peak memory in KiB. A program is watched in the same way whether it ends or stays.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import NamedTuple

LONGEST = 20.0
LOOK = 0.0003  # between two looks at the folder; what it adds falls on all alike
# A child counts as large as its parent was when it began: whoever ends by itself is started by a small one.
PEAK = (
    "import os, sys\n"
    "child = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ)\n"
    "_, status, usage = os.wait4(child, 0)\n"
    "print(usage.ru_maxrss)\n"
    "sys.exit(os.waitstatus_to_exitcode(status))\n"
)


class Way(NamedTuple):
    """One program to measure."""

    name: str
    words: list[str]
    fetches: bool = True  # else it only starts and ends, as a yardstick
    daemon: bool = False  # it stays when the folder is complete
    token: bool = False  # it is given SLURM_JWT
    cache: str = ""  # forgotten before each run


class Cost(NamedTuple):
    """What one run took; memory is 0 where another run tells it."""

    wall: float
    cpu: float
    memory: int


def main() -> None:
    """Runs everything in turns, so that what else the machine does falls on all alike."""
    order = json.load(sys.stdin)
    ways = [Way(**way) for way in order["ways"]]
    found: dict[str, list[Cost]] = {way.name: [] for way in ways}
    for _ in range(order["runs"]):
        for way in ways:
            found[way.name].append(measured(way, order["folder"], order["sizes"]))
    for way in ways:
        if not way.daemon:
            found[way.name] = [cost._replace(memory=peak(way, order["folder"])) for cost in found[way.name]]
    json.dump(found, sys.stdout)


def measured(way: Way, folder: str, sizes: dict[str, int]) -> Cost:
    """One run, from nothing to the complete folder."""
    env = afresh(way, folder)
    start = time.perf_counter()
    child = os.posix_spawn(way.words[0], way.words, env)
    if way.fetches:
        wait_complete(way, child, start, folder, sizes)
        wall = time.perf_counter() - start
    memory = ended = 0
    if way.daemon:
        memory, ended = living_peak(child), signal.SIGTERM
        os.kill(child, ended)
    _, status, usage = os.wait4(child, 0)
    if not way.fetches:
        wall = time.perf_counter() - start
    if status not in (0, ended):
        sys.exit(f"{way.name} ended with wait status {status}")
    return Cost(wall, usage.ru_utime + usage.ru_stime, memory)


def afresh(way: Way, folder: str) -> dict[str, str]:
    """No folder, and nothing remembered where a way is to be a first one; gives its environment."""
    shutil.rmtree(folder, ignore_errors=True)
    if way.cache:
        shutil.rmtree(way.cache, ignore_errors=True)
    return {name: value for name, value in os.environ.items() if way.token or name != "SLURM_JWT"}


def wait_complete(way: Way, child: int, start: float, folder: str, sizes: dict[str, int]) -> None:
    """Returns when every file is there in its full size."""
    while not complete(folder, sizes):
        # WNOWAIT: the child stays to be asked for what it used.
        gone = os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        if gone is not None and not complete(folder, sizes):
            sys.exit(f"{way.name} ended with status {gone.si_status} and brought not every file")
        if time.perf_counter() - start > LONGEST:
            os.kill(child, signal.SIGKILL)
            sys.exit(f"{way.name} did not bring every file in {LONGEST:.0f} s")
        time.sleep(LOOK)


def complete(folder: str, sizes: dict[str, int]) -> bool:
    """Whether every file is there in its full size."""
    try:
        return all(Path(folder, name).stat().st_size == size for name, size in sizes.items())
    except FileNotFoundError:
        return False


def living_peak(child: int) -> int:
    """The most memory a living process has had, in KiB."""
    with Path(f"/proc/{child}/status").open(encoding="utf-8", errors="replace") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmHWM:"))


def peak(way: Way, folder: str) -> int:
    """The most memory a program had that ends by itself, in KiB."""
    env = afresh(way, folder)
    reader, writer = os.pipe()
    launcher = [sys.executable, "-I", "-S", "-c", PEAK, *way.words]
    actions = [(os.POSIX_SPAWN_DUP2, writer, 1), (os.POSIX_SPAWN_CLOSE, reader)]
    child = os.posix_spawn(sys.executable, launcher, env, file_actions=actions)
    os.close(writer)
    with os.fdopen(reader, encoding="utf-8") as said:
        words = said.read().split()
    if os.waitpid(child, 0)[1]:
        sys.exit(f"{way.name} failed when its memory was measured")
    return int(words[-1])


if __name__ == "__main__":
    main()
