"""Measures siphon: `python -m tests.bench.siphon`; a Markdown table of medians, ratios in one run.

A controller on loopback answers, which measures siphon alone; `tests.bench.sackd` has a real one.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from lab.siphon import pack
from lab.siphon.protocol.messages import ConfigFile
from tests.unit.siphon.controller import FILES, released, running

ROOT = Path(__file__).resolve().parents[2]
BARE = ("-I", "-S", "-c", "pass")
LIMIT_FACTOR, LIMIT_MORE = 2.0, 0.010
LIMIT_MEMORY = 14.0
LIMIT_BIG = 0.2
BIG = b"NodeName=n[1-9] CPUs=4\n" * 1_434_783  # 33 MB


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    what: str
    measured: str
    promise: str
    kept: bool | None


def once(command: Sequence[str], env: dict[str, str]) -> float:
    """Seconds that a program takes from start to end."""
    start = time.perf_counter()
    subprocess.run(command, env=env, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - start


def interleaved(actions: Sequence[Callable[[], float]], runs: int) -> list[float]:
    """The median of each; taken in turns, so that what else the machine does falls on all alike."""
    times: list[list[float]] = [[] for _ in actions]
    for _ in range(runs):
        for action, found in zip(actions, times, strict=True):
            found.append(action())
    return [statistics.median(found) for found in times]


def peak(command: Sequence[str], env: dict[str, str]) -> float:
    """A program's largest size in MB."""
    # Started by a small process: a child counts as large as its parent was when it began.
    code = (
        "import os, sys\n"
        "child = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ)\n"
        "_, status, usage = os.wait4(child, 0)\n"
        "print(usage.ru_maxrss)\n"
        "sys.exit(os.waitstatus_to_exitcode(status))\n"
    )
    launcher = [command[0], "-I", "-S", "-c", code, *command]
    done = subprocess.run(launcher, env=env, stdout=subprocess.PIPE, text=True, check=True)
    return int(done.stdout.split()[-1]) / 1024


def made_token() -> str:
    """A token as long as a real one."""
    claims = json.dumps({"exp": int(time.time()) + 3600, "iat": int(time.time()), "sun": "alice"})
    body = base64.urlsafe_b64encode(claims.encode()).rstrip(b"=").decode()
    return f"eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.{body}.{'x' * 43}"


@contextlib.contextmanager
def somebody(files: tuple[ConfigFile, ...]) -> Iterator[str]:
    """A controller on loopback."""
    answer = released("26.05", files)
    replies: dict[bytes, bytes] = {}

    def quick(request: bytes) -> bytes:
        """Made once for each version, so that only siphon is measured."""
        number = request[4:6]
        if number not in replies:
            replies[number] = answer(request)
        return replies[number]

    with running(quick) as one:
        yield str(one.server)


def speed(python: str, archive: str, place: Path, runs: int) -> list[Row]:
    """A normal cluster's configuration, whole process."""
    env = {**os.environ, "XDG_CACHE_HOME": str(place / "cache"), "SLURM_JWT": made_token()}
    nodes = ConfigFile(b"nodes.conf", exists=True, content=BIG[:1400])
    with somebody((*FILES, nodes)) as server:
        words = ["-q", "-o", str(place / "conf"), server]
        imported = (
            f"import sys; sys.path.insert(0, {str(ROOT)!r}); from lab.siphon.cli import main; sys.exit(main())"
        )
        ways = {
            "siphon, modules": [python, "-I", "-S", "-c", imported, *words],
            "siphon.pyz": [python, "-I", "-S", archive, *words],
            "python -m lab.siphon": [python, "-m", "lab.siphon", *words],
        }
        actions = [lambda: once((python, *BARE), env)]
        actions += [lambda command=command: once(command, env) for command in ways.values()]  # type: ignore[misc]
        bare, *found = interleaved(actions, runs)
        memory = peak(ways["siphon, modules"], env)
    limit = bare * LIMIT_FACTOR + LIMIT_MORE
    rows = [Row("bare interpreter", f"{bare * 1e3:.1f} ms", "", None)]
    for (name, _), seconds in zip(ways.items(), found, strict=True):
        judged = None if name.startswith("python") else seconds <= limit
        promise = f"≤ {limit * 1e3:.1f} ms" if judged is not None else "(with `site`)"
        rows.append(Row(name, f"{seconds * 1e3:.1f} ms ({seconds / bare:.2f}×)", promise, judged))
    rows.append(Row("memory", f"{memory:.1f} MB", f"≤ {LIMIT_MEMORY:.0f} MB", memory <= LIMIT_MEMORY))
    return rows


def size(python: str, archive: str, place: Path, runs: int) -> list[Row]:
    """33 MB, fetched and written, and fetched and compared."""
    env = {**os.environ, "XDG_CACHE_HOME": str(place / "cache"), "SLURM_JWT": made_token()}
    target = place / "big"
    with somebody((*FILES, ConfigFile(b"nodes.conf", exists=True, content=BIG))) as server:
        command = [python, "-I", "-S", archive, "-q", "-o", str(target), server]

        def write() -> float:
            shutil.rmtree(target, ignore_errors=True)
            return once(command, env)

        written, compared = interleaved([write, lambda: once(command, env)], runs)
    return [
        Row("33 MB, written", f"{written:.3f} s", f"≤ {LIMIT_BIG} s", written <= LIMIT_BIG),
        Row("33 MB, unchanged", f"{compared:.3f} s", f"≤ {LIMIT_BIG} s", compared <= LIMIT_BIG),
    ]


def imports(python: str, place: Path) -> str:
    """What one fetch imports and what that takes, the dearest first."""
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from lab.siphon.cli import main; sys.exit(main())"
    env = {**os.environ, "XDG_CACHE_HOME": str(place / "cache"), "SLURM_JWT": made_token()}
    with somebody(FILES) as server:
        command = [python, "-I", "-S", "-X", "importtime", "-c", code, "-q", "-o", str(place / "i"), server]
        text = subprocess.run(command, env=env, capture_output=True, text=True, check=True).stderr
    lines = [line for line in text.splitlines() if line.startswith("import time:")][1:]
    lines.sort(key=lambda line: int(line.split("|")[0].split(":")[1]), reverse=True)
    return "\n".join(lines[:25])


def main() -> int:
    """Prints the table; 1 where a promise was not kept."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.siphon", description=__doc__)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--imports", action="store_true", help="show what is imported, too")
    options = parser.parse_args()
    python = str(Path(sys.executable).resolve())
    with tempfile.TemporaryDirectory(prefix="siphon-bench-") as name:
        place = Path(name)
        archive = str(place / "siphon.pyz")
        pack.build(archive)
        rows = speed(python, archive, place, options.runs) + size(
            python, archive, place, max(options.runs // 4, 1)
        )
        shown = imports(python, place) if options.imports else ""
    print("| what | median | promise | kept |\n|---|---:|---:|---|")
    for row in rows:
        kept = {True: "yes", False: "**no**", None: ""}[row.kept]
        print(f"| {row.what} | {row.measured} | {row.promise} | {kept} |")
    load = os.getloadavg()[0]
    print(f"\n{options.runs} runs in turns, Python {sys.version.split()[0]}, load {load:.1f} at the end.")
    if shown:
        print(f"\n```\n{shown}\n```")
    return 1 if any(row.kept is False for row in rows) else 0


if __name__ == "__main__":
    raise SystemExit(main())
