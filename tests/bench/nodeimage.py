"""Measures `nodeimage pack`, as root: `python -m tests.bench.nodeimage TREE`; prints a Markdown table.

Everything is measured in turns, so that other load on the machine affects all alike.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Sequence
from pathlib import Path

from lab.images.bundle import write_program
from tests.bench.figures import Figure, ratio, table

PLAIN = "cd {tree} && find . | cpio --quiet -o -H newc | gzip | cat >{target}"
UNCHANGED, SHARE = 0.3, 0.2
"""The promises: seconds of an unchanged pack, and a full one over find | cpio | gzip."""
TOML = """\
name = "bench"
[test]
untested = true
[image]
allow = ["/etc", "/root", "/home", "/opt", "/srv", "/usr", "/var"]
"""


def once(command: Sequence[str] | str) -> float:
    """Seconds that a command takes; a text is one for the shell."""
    start = time.perf_counter()
    subprocess.run(command, shell=isinstance(command, str), stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - start


def measured(tree: Path, place: Path, runs: int, python: str) -> list[Figure]:
    """Packs a tree in whole and unchanged, and by the plain way."""
    write_program(place / "nodeimage.pyz", "nodeimage")
    program = place / "program"  # unpacked and compiled, as it is installed on an SMS
    zipfile.ZipFile(place / "nodeimage.pyz").extractall(program)
    subprocess.run([python, "-m", "compileall", "-q", str(program)], check=True)
    (place / "role").mkdir()
    (place / "role/image.toml").write_text(TOML, encoding="utf-8")
    (place / "vmlinuz").touch()
    unchanged = [
        python, "-I", "-S", str(program), "pack", str(place / "role"), "--tree", str(tree), "-q",
        "--commit", "0123456789ab", "--ref", "main", "--date", "1700000000",
        "--kernel", str(place / "vmlinuz"), "--state", str(place / "state"),
    ]  # fmt: skip
    ways: list[Sequence[str] | str] = [
        [*unchanged, "--full"],
        unchanged,
        PLAIN.format(tree=tree, target=place / "plain.gz"),
    ]
    once(ways[0])  # reads the tree into memory
    rounds = [[once(way) for way in ways] for _ in range(runs)]
    full, same, plain = (tuple(values) for values in zip(*rounds, strict=True))
    figures = [
        Figure("`nodeimage pack`, nothing changed", "s", UNCHANGED, same),
        Figure("`nodeimage pack --full`", "s", None, full),
        Figure("`find \\| cpio \\| gzip` on the same tree", "s", None, plain),
    ]
    return [*figures, ratio("`nodeimage pack --full` over it", SHARE, figures[1], figures[2])]


def main() -> int:
    """Prints the table; 1 where a promise was not kept."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.nodeimage", description=__doc__)
    parser.add_argument("tree", type=Path, help="the tree to pack, such as a chroot of Warewulf's")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--python", default=shutil.which("python3") or sys.executable)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="nodeimage-bench-") as name:
        figures = measured(options.tree.resolve(), Path(name), options.runs, options.python)
    print(table(figures))
    print(f"\n{options.runs} runs in turns, load {os.getloadavg()[0]:.1f} at the end.")
    return 1 if any(figure.kept is False for figure in figures) else 0


if __name__ == "__main__":
    raise SystemExit(main())
