"""Restores one start state many times, and keeps what a node says that did not come up.

    python -m tests.soak --lab LAB STATE [--runs 200] [--boots] [--folder DIR] [--stop]

The lab must exist. STATE is the beginning of a state's name, such as `after-missing_modules`. A loaded host
helps: what this looks for is rare.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from lab.backends import open_backend
from lab.cluster.cluster import Cluster
from lab.errors import LabError
from lab.model import BOOTED, Role

EVIDENCE = """\
systemctl is-system-running; systemctl list-jobs --no-pager
systemctl list-units --all --no-pager --state=activating,deactivating,failed
journalctl -b --no-pager -o short-monotonic
cat /proc/1/stat /proc/1/wchan /proc/1/status
cat /proc/uptime /proc/loadavg; ps axfo pid,stat,wchan:20,etime,time,args
cat /proc/self/mountinfo
"""


def arguments(argv: Sequence[str]) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("state", help="the beginning of a state's name")
    parser.add_argument("--lab", required=True, help="name of a lab that exists")
    parser.add_argument("--backend", default="docker")
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--boots", action="store_true", help="restore once, then only cut the nodes' power")
    parser.add_argument("--timeout", type=float, default=180.0, help="seconds after which a node hangs")
    parser.add_argument("--folder", type=Path, default=Path("soak"), help="where evidence is kept")
    parser.add_argument(
        "--stop", action="store_true", help="leave the lab as it is after the first node that hangs"
    )
    return parser.parse_args(argv)


def main(argv: Sequence[str]) -> int:
    """Restores, and counts; 1 when a node did not come up or had to get power a second time."""
    options = arguments(argv)
    backend = open_backend(options.backend)
    spec = next(record.spec for record in backend.labs() if record.lab == options.lab)
    if spec is None:
        raise SystemExit(f"the record of lab {options.lab} cannot be read")
    options.folder.mkdir(parents=True, exist_ok=True)
    found = 0
    with ExitStack() as stack:
        stack.enter_context(backend.locks.hold(spec.lab, "soak", print))
        cluster = stack.enter_context(Cluster(spec, backend))
        cluster.timeout = options.timeout
        state = next(name for name in cluster.states() if name.startswith(options.state))
        nodes = [node.name for node in spec.nodes if node.role is Role.COMPUTE]
        for run in range(1, options.runs + 1):
            boots = options.boots and run > 1
            act = partial(cluster.cycle, *nodes) if boots else partial(cluster.restore, state)
            hung = hangs(cluster, act, options.folder / f"run-{run}.txt")
            found += hung
            print(f"{run} of {options.runs}: {found} with a node that hung", flush=True)
            if hung and options.stop:
                break
    return 1 if found else 0


class StandsStill(LabError):
    """A boot without a job that runs; raised before the lab cuts the power, so that it can be looked at."""


def hangs(cluster: Cluster, act: Callable[[], object], file: Path) -> bool:
    """Restores or boots once; keeps the evidence and returns True when a node did not come up by itself."""
    told: list[str] = []

    def say(line: str) -> None:
        told.append(line)
        if "stands still" in line:
            raise StandsStill(line)

    cluster.say = say
    began = time.monotonic()
    try:
        act()
    except LabError as problem:
        lines = [*told, str(problem), *evidence(cluster)]
        file.write_text("\n".join(lines), encoding="utf-8")
        return True
    print(f"{time.monotonic() - began:.1f} s", end=", ")
    return False


def evidence(cluster: Cluster) -> list[str]:
    """What every node that has booted says of itself, and its console."""
    found: list[str] = []
    for status in cluster.backend.status(cluster.spec.lab):
        found.append(f"=== {status.name}: {status.power.value} {status.stage} {status.detail}")
        found.append(
            b"".join(cluster.backend.console(cluster.spec.lab, status.name, follow=False, tail=200)).decode(
                errors="replace"
            )
        )
        if status.stage == BOOTED:
            done = cluster.node(status.name).execute(EVIDENCE, timeout=60.0)
            found += [done.stdout, done.stderr]
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
