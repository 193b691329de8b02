"""Measures siphon: `python -m tests.bench.siphon`; prints a Markdown table of medians and fastest runs.

A controller on loopback answers, so that only the clients are measured; `tests.bench.sackd` has a real one.
straw runs on Python 3.9 and 3.10 only: `--python python3.10 --straw straw.py` measures it in the same run.
Promises are about the fastest of the runs, because a busy machine disturbs it least.
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

from lab import standalone
from lab.siphon.protocol.messages import ConfigFile
from lab.siphon.protocol.versions import V22_05
from tests.unit.siphon.controller import FILES, config, released, running

ROOT = Path(__file__).resolve().parents[2]
BARE = ("-I", "-S", "-c", "pass")
FROM_MODULES = (
    f"import sys; sys.path.insert(0, {str(ROOT)!r}); from lab.siphon import cli; sys.exit(cli.main())"
)
LIMIT_WALL = 0.040
LIMIT_OF_STRAW = 0.6
LIMIT_MEMORY = 14.0
LIMIT_BIG = 0.2
BIG = b"NodeName=n[1-9] CPUs=4\n" * 1_434_783  # 33 MB


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    what: str
    median: str
    fastest: str
    promise: str
    kept: bool | None


def once(command: Sequence[str], env: dict[str, str]) -> float:
    """Seconds that a program takes from start to end."""
    start = time.perf_counter()
    subprocess.run(command, env=env, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - start


@dataclass(frozen=True)
class Times:
    """Seconds of all runs of one program."""

    runs: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.runs)

    @property
    def fastest(self) -> float:
        return min(self.runs)


def interleaved(actions: Sequence[Callable[[], float]], runs: int) -> list[Times]:
    """Measures all in turns, so that other load on the machine affects them alike."""
    rounds = [[action() for action in actions] for _ in range(runs)]
    return [Times(times) for times in zip(*rounds, strict=True)]


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
        """Made once for each version, so that only the clients are measured."""
        number = request[4:6]
        if number not in replies:
            # straw speaks 22.05 and expects the slurmd set, which has a spool directory.
            slurmd = config(V22_05, files, spool=b"/var/spool/slurmd")
            replies[number] = slurmd if number == V22_05.number.to_bytes(2, "big") else answer(request)
        return replies[number]

    with running(quick) as one:
        yield str(one.server)


def speed(python: str, archive: str, place: Path, runs: int, straw: str | None) -> list[Row]:
    """The configuration of a usual cluster, whole process, from start to exit."""
    env = {**os.environ, "XDG_CACHE_HOME": str(place / "cache"), "SLURM_JWT": made_token()}
    nodes = ConfigFile(b"nodes.conf", exists=True, content=BIG[:1400])
    with somebody((*FILES, nodes)) as server:
        words = ["-q", "-o", str(place / "conf"), server]
        ways = {
            "siphon.pyz": [python, "-I", "-S", archive, *words],
            "siphon, modules": [python, "-I", "-S", "-c", FROM_MODULES, *words],
            "python -m lab.siphon": [python, "-m", "lab.siphon", *words],
        }
        if straw is not None:
            (place / "straw").mkdir()
            ways["straw"] = [python, straw, "--auth", "jwt", "-o", str(place / "straw"), server, "22.05"]
        actions = [lambda: once((python, *BARE), env)]
        actions += [lambda command=command: once(command, env) for command in ways.values()]  # type: ignore[misc]
        bare, *found = interleaved(actions, runs)
        memory = peak(ways["siphon.pyz"], env)
    rows = [Row("bare interpreter", ms(bare.median), ms(bare.fastest), "", None)]
    for name, times in zip(ways, found, strict=True):
        kept = times.fastest <= LIMIT_WALL if name == "siphon.pyz" else None
        promise = f"≤ {ms(LIMIT_WALL)}" if kept is not None else ""
        rows.append(Row(name, ms(times.median), ms(times.fastest), promise, kept))
    if straw is not None:
        ratios = (found[0].median / found[-1].median, found[0].fastest / found[-1].fastest)
        median, fastest = (f"{ratio:.2f}" for ratio in ratios)
        rows.append(
            Row("siphon.pyz over straw", median, fastest, f"≤ {LIMIT_OF_STRAW}", ratios[1] <= LIMIT_OF_STRAW)
        )
    rows.append(Row("memory", f"{memory:.1f} MB", "", f"≤ {LIMIT_MEMORY:.0f} MB", memory <= LIMIT_MEMORY))
    return rows


def ms(seconds: float) -> str:
    """Seconds as text in milliseconds."""
    return f"{seconds * 1e3:.1f} ms"


def size(python: str, archive: str, place: Path, runs: int) -> list[Row]:
    """33 MB, fetched and written, and fetched and compared."""
    env = {**os.environ, "XDG_CACHE_HOME": str(place / "cache"), "SLURM_JWT": made_token()}
    target = place / "big"
    with somebody((*FILES, ConfigFile(b"nodes.conf", exists=True, content=BIG))) as server:
        command = [python, "-I", "-S", archive, "-q", "-o", str(target), server]

        def write() -> float:
            shutil.rmtree(target, ignore_errors=True)
            return once(command, env)

        found = interleaved([write, lambda: once(command, env)], runs)
    return [
        Row(
            name,
            f"{times.median:.3f} s",
            f"{times.fastest:.3f} s",
            f"≤ {LIMIT_BIG} s",
            times.fastest <= LIMIT_BIG,
        )
        for name, times in zip(("33 MB, written", "33 MB, unchanged"), found, strict=True)
    ]


def imports(python: str, place: Path) -> str:
    """What one fetch imports and how long that takes, the slowest first."""
    env = {**os.environ, "XDG_CACHE_HOME": str(place / "cache"), "SLURM_JWT": made_token()}
    with somebody(FILES) as server:
        command = [
            python,
            "-I",
            "-S",
            "-X",
            "importtime",
            "-c",
            FROM_MODULES,
            "-q",
            "-o",
            str(place / "i"),
            server,
        ]
        text = subprocess.run(command, env=env, capture_output=True, text=True, check=True).stderr
    lines = [line for line in text.splitlines() if line.startswith("import time:")][1:]
    lines.sort(key=lambda line: int(line.split("|")[0].split(":")[1]), reverse=True)
    return "\n".join(lines[:25])


def main() -> int:
    """Prints the table; 1 where a promise was not kept."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.siphon", description=__doc__)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--imports", action="store_true", help="show what is imported, too")
    parser.add_argument("--python", default=sys.executable, help="the interpreter (default: this one)")
    parser.add_argument("--straw", metavar="FILE", help="straw.py, to measure it in the same run")
    options = parser.parse_args()
    python = str(Path(shutil.which(options.python) or options.python).resolve())
    with tempfile.TemporaryDirectory(prefix="siphon-bench-") as name:
        place = Path(name)
        archive = str(place / "siphon.pyz")
        standalone.build("siphon", archive, (python,))
        rows = speed(python, archive, place, options.runs, options.straw)
        rows += size(python, archive, place, max(options.runs // 4, 1))
        shown = imports(python, place) if options.imports else ""
    print("| what | median | fastest | promise | kept |\n|---|---:|---:|---:|---|")
    for row in rows:
        kept = {True: "yes", False: "**no**", None: ""}[row.kept]
        print(f"| {row.what} | {row.median} | {row.fastest} | {row.promise} | {kept} |")
    load = os.getloadavg()[0]
    print(f"\n{options.runs} runs in turns with {Path(python).name}, load {load:.1f} at the end.")
    if shown:
        print(f"\n```\n{shown}\n```")
    return 1 if any(row.kept is False for row in rows) else 0


if __name__ == "__main__":
    raise SystemExit(main())
