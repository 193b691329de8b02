"""Measures the promises and prints them as a Markdown table; `nox -s bench -- --help` tells how."""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from lab.backends.libvirt.inspection import kvm_verdict
from tests.bench.bed import ROOT, Bed, BenchError
from tests.bench.figures import Figure, replaced, table
from tests.bench.machines import SUBJECTS as OF_MACHINES
from tests.bench.subjects import SUBJECTS, Subject

BACKENDS: dict[str, tuple[Subject, ...]] = {"docker": SUBJECTS, "libvirt": OF_MACHINES}


QUICK = ("help_text", "up", "status")
"""What tells in half a minute whether measuring works."""


def arguments(argv: Sequence[str]) -> argparse.Namespace:
    """Reads the command line."""
    names = sorted({subject.__name__ for subjects in BACKENDS.values() for subject in subjects})
    parser = argparse.ArgumentParser(prog="nox -s bench --", description=__doc__)
    parser.add_argument(
        "subjects", nargs="*", metavar="SUBJECT", help=f"of: {', '.join(names)}; all by default"
    )
    parser.add_argument(
        "--runs", type=int, default=3, help="how often each is measured (fast ones more often)"
    )
    parser.add_argument("--quick", action="store_true", help=f"measure once, and only: {', '.join(QUICK)}")
    parser.add_argument("--lab", default="bench", help="name of the lab to make and remove")
    parser.add_argument("--backend", choices=sorted(BACKENDS), default="docker", help="what makes the nodes")
    parser.add_argument("--write", action="store_true", help="put the table into docs/figures.md")
    options = parser.parse_args(argv)
    if options.quick:
        if options.write or options.subjects:
            parser.error("--quick has its own subjects, and measures too little for docs/figures.md")
        options.runs, options.subjects = 1, list(QUICK)
    for name in options.subjects:
        if name not in names:
            parser.error(f"no subject is called {name}; there are: {', '.join(names)}")
    return options


def of(backend: str) -> str:
    """The name of the table: machines with KVM have one of their own."""
    return f"{backend} with KVM" if backend == "libvirt" and kvm_verdict()[0] else backend


def machine(backend: str) -> str:
    """Where this was measured, in a line."""
    load = os.getloadavg()[0]
    emulated = backend == "libvirt" and not kvm_verdict()[0]
    return (
        f"Measured {time.strftime('%Y-%m-%d')} on {os.cpu_count()} cores"
        f"{', of which the machines emulate theirs,' if emulated else ''} with Linux {platform.release()} "
        f"and Python {platform.python_version()}, load {load:.1f} before the start."
    )


def say(line: str) -> None:
    """Progress goes to standard error."""
    print(line, file=sys.stderr, flush=True)


def measured(bed: Bed, wanted: Sequence[str]) -> tuple[list[Figure], int]:
    """Runs the wanted subjects (all, when none is named); how many could not be measured."""
    figures: list[Figure] = []
    broken = 0
    for subject in BACKENDS[bed.backend]:
        if wanted and subject.__name__ not in wanted:
            continue
        try:
            figures += subject(bed)
        except BenchError as problem:
            broken += 1
            say(f"error: {subject.__name__} could not be measured\n  {problem}")
    return figures, broken


def main(argv: Sequence[str]) -> int:
    """Prints the table; 1 when anything could not be measured."""
    options = arguments(argv)
    where = machine(options.backend)
    with TemporaryDirectory(prefix="bench-") as home:
        bed = Bed(options.lab, options.runs, say, Path(home), options.backend)
        figures, broken = measured(bed, options.subjects)
        bed.run("down", "-y")
    block = ["", where, "", *table(figures).splitlines(), ""]
    print("\n".join(block))
    if options.write and not broken:
        page = ROOT / "docs" / "figures.md"
        page.write_text(
            replaced(page.read_text(encoding="utf-8"), block, of(options.backend)), encoding="utf-8"
        )
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
