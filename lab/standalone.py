"""Builds siphon.pyz, rollout.pyz and slurm-token.pyz: a command in one file, for machines with Python only.

`python -m lab.standalone NAME TARGET [PYTHON ...]`
"""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
import tempfile
import zipapp
import zipfile
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
"""The package `lab`. A program is a package in it that imports nothing else of it."""
INTERPRETER = "/usr/bin/env -S python3 -I -S"
"""Isolated and without `site`, so that packages installed in the container have no effect."""

EPOCH = (1980, 1, 1, 0, 0, 0)

MAIN = """\
# Runs the modules compiled for this Python if the archive has them, otherwise their source.
import os
import sys

tag = sys.implementation.cache_tag
sys.path[0] = os.path.join(os.path.dirname(__file__), tag if tag in TAGS else "source")

from lab.PROGRAM.cli import main

status = main()
sys.stderr.flush()
os._exit(status)  # without the clean-up of the interpreter, which takes a tenth of the run
"""


def build(program: str, target: str, interpreters: tuple[str, ...] = (sys.executable,)) -> tuple[str, ...]:
    """Writes a program's archive, with modules compiled by these interpreters; returns their cache tags.

    The same sources and interpreters give the same bytes.
    """
    pythons = {_run(python, "-c", "import sys; print(sys.implementation.cache_tag)"): python
               for python in interpreters}  # fmt: skip
    tags = tuple(sorted(pythons))
    with tempfile.TemporaryDirectory() as name:
        tree = Path(name)
        main = MAIN.replace("TAGS", repr(tags)).replace("PROGRAM", program)
        (tree / "__main__.py").write_text(main, encoding="utf-8")
        _copy_sources(program, tree / "source")
        for tag in tags:
            _copy_sources(program, tree / tag)
            _compile(tree / tag, pythons[tag])
        _write(tree, target)
    return tags


def _copy_sources(program: str, folder: Path) -> None:
    for source in (PACKAGE / "__init__.py", *(PACKAGE / program).rglob("*.py")):
        copy = folder / source.relative_to(PACKAGE.parent)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, copy)


def _compile(folder: Path, python: str) -> None:
    """Replaces the sources by files that zipimport loads without looking for a source to compare with."""
    options = ("-q", "-b", "-o", "2", "--invalidation-mode", "unchecked-hash", "-s", str(folder))
    _run(python, "-m", "compileall", *options, str(folder))
    for source in folder.rglob("*.py"):
        source.unlink()


def _write(tree: Path, target: str) -> None:
    """Makes the archive of a tree. `zipapp` alone would keep the times and modes of the files."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
        for path in sorted(path for path in tree.rglob("*") if path.is_file()):
            entry = zipfile.ZipInfo(path.relative_to(tree).as_posix(), EPOCH)
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, path.read_bytes())
    packed.seek(0)
    new = Path(f"{target}.new").absolute()
    new.parent.mkdir(parents=True, exist_ok=True)
    zipapp.create_archive(packed, new, INTERPRETER)
    new.chmod(0o755)
    new.replace(target)


def _run(python: str, *arguments: str) -> str:
    """Runs an interpreter as isolated as the archive's, and returns its output."""
    command = [python, "-I", "-S", *arguments]
    return subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout.strip()


if __name__ == "__main__":
    build(sys.argv[1], sys.argv[2], tuple(sys.argv[3:]) or (sys.executable,))
