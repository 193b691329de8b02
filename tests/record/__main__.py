"""Records a newcomer's first five minutes from a real run: docs/first-run.svg and .cast."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from lab.cli.app import App
from lab.cli.context import ExerciseContext
from lab.course.variables import fill_text
from lab.nodes.interactive import Session
from tests.record.film import COLUMNS, ROWS, cast, svg

ROOT = Path(__file__).resolve().parents[2]
NAME = "record"
TERMINAL = f"stty rows {ROWS} cols {COLUMNS}"
Scene = tuple[str, tuple[str, ...]]
PLAY: tuple[Scene, ...] = (
    ("host", ("lab start login_node -y", "lab check | tail -n 12")),
    (
        "sms",
        (
            "wwsh node list",
            "sudo wwsh -y node new login --netdev eth0 --ipaddr={{login.ip}} --hwaddr={{login.mac}}",
            "FILES=dynamic_hosts,passwd,group,shadow,munge.key,network",
            "sudo wwsh -y provision set login --vnfs=debian13 --bootstrap=$(uname -r) --files=$FILES",
        ),
    ),
    ("host", ("lab console login | tail -n 6", "lab check")),
)
"""Where, and what is typed there; `lab shell sms` leads to the second place, and its end back."""


class Film:
    """What was to be seen, and when."""

    def __init__(self) -> None:
        self.began = time.monotonic()
        self.events: list[tuple[float, str]] = []

    def show(self, text: str) -> None:
        """Takes what the terminal gets."""
        self.events.append((time.monotonic() - self.began, text))


def main() -> int:
    """Makes a lab, plays the scenes on it, writes the recording, and takes the lab away."""
    parser = argparse.ArgumentParser(prog="nox -s record --", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="play the first scene only, and keep nothing")
    quick = parser.parse_args().quick
    lab = Path(sys.executable).parent / "lab"
    with tempfile.TemporaryDirectory() as home:
        environ = {**os.environ, "LAB_NAME": NAME, "XDG_DATA_HOME": home, "LAB_PROGRESS": "quiet"}
        environ["PATH"] = f"{lab.parent}:{os.environ['PATH']}"
        subprocess.run([str(lab), "up"], env={**environ, "LAB_PROGRESS": "plain"}, check=True)
        film = Film()
        try:
            solved = play(film, environ, PLAY[:1] if quick else PLAY)
        finally:
            subprocess.run([str(lab), "down", "-y"], env=environ, check=True)
    if not solved:
        print("".join(text for _, text in film.events))
        return 1
    title = f"the first exercise, from its start to solved: {film.events[-1][0]:.0f} s, waits shortened"
    with tempfile.TemporaryDirectory() as nowhere:
        write(film, title, Path(nowhere) if quick else ROOT / "docs")
    print(title if not quick else "the first scene can be recorded")
    return 0


def write(film: Film, title: str, folder: Path) -> None:
    """Writes the recording in its two forms."""
    (folder / "first-run.cast").write_text(cast(film.events), encoding="utf-8")
    (folder / "first-run.svg").write_text(svg(film.events, title), encoding="utf-8")


def play(film: Film, environ: dict[str, str], scenes: Sequence[Scene]) -> bool:
    """Types the scenes at reading speed; says whether the last command succeeded."""
    spec = ExerciseContext(App(environ), NAME).spec
    settings = [f"{key}={environ[key]}" for key in ("PATH", "LAB_NAME", "XDG_DATA_HOME", "LAB_PROGRESS")]
    host = ["env", *settings, "bash", "-c", f"{TERMINAL}; PS1='$ ' exec bash --norc --noprofile"]
    sms = ["env", *settings, "bash", "-c", f"{TERMINAL}; exec lab shell sms"]
    status = 1
    with Session(host, film.show, slow=True) as shell:
        for where, commands in scenes:
            if where == "host":
                for command in commands:
                    status = shell.type_visible(fill_text(command, spec)).exit_status
                continue
            film.show("$ lab shell sms\n")
            with Session(sms, film.show, slow=True) as inside:
                for command in commands:
                    inside.type_visible(fill_text(command, spec))
            film.show("$ exit\n")
    return status == 0


if __name__ == "__main__":
    raise SystemExit(main())
