"""Host processes: argument lists, time limits, and errors that show the end of what was said."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from lab.errors import LabError
from lab.process import replace, run, run_bytes, short


def test_output_and_input() -> None:
    done = run(["cat"], timeout=5, stdin="päper".encode())
    assert (done.status, done.stdout, done.stderr) == (0, "päper", "")


def test_arguments_are_never_read_by_a_shell(tmp_path: Path) -> None:
    assert run(["printf", "%s", "$HOME; `id`"], timeout=5, cwd=tmp_path).stdout == "$HOME; `id`"


def test_a_failure_shows_the_last_lines() -> None:
    with pytest.raises(LabError) as caught:
        run(["sh", "-c", "seq 9 >&2; exit 3"], timeout=5)
    assert caught.value.message.endswith("ended with status 3")
    assert caught.value.evidence == "5\n6\n7\n8\n9"
    assert run(["sh", "-c", "exit 3"], timeout=5, check=False).status == 3


def test_a_program_that_is_not_there() -> None:
    with pytest.raises(LabError, match="cannot start /none") as caught:
        run(["/none"], timeout=5)
    assert "No such file" in caught.value.evidence
    with pytest.raises(LabError, match="cannot start /none"):
        replace(["/none"])


def test_a_time_out_kills_the_children_too(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    with pytest.raises(LabError, match=r"did not end within 0\.3 s"):
        run(["sh", "-c", f"sleep 600 & echo $! >{note}; wait"], timeout=0.3)
    pid = int(note.read_text())
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False)
    assert state.stdout.strip()[:1] in ("", "Z")


@pytest.mark.parametrize(
    ("script", "tidied"),
    [("trap 'echo gone >{note}; exit' INT; sleep 60 & wait", True), ("trap '' INT; sleep 60 & wait", False)],
)
def test_another_thread_stops_a_program_and_its_children(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, tidied: bool
) -> None:
    monkeypatch.setattr("lab.process.TIDY_SECONDS", 3.0 if tidied else 0.3)
    note, started, stop = tmp_path / "note", tmp_path / "started", threading.Event()

    def stop_it() -> None:
        while not started.exists():
            time.sleep(0.01)
        stop.set()

    thread = threading.Thread(target=stop_it)
    thread.start()
    text = f"echo $$ >{started}.new; mv {started}.new {started}; {script.format(note=note)}"
    with pytest.raises(LabError, match="was stopped"):
        run(["sh", "-c", text], timeout=50, stop=stop)
    thread.join()
    assert note.exists() is tidied
    group = started.read_text().strip()
    left = subprocess.run(["ps", "-o", "stat=", "-g", group], capture_output=True, text=True, check=False)
    assert [line for line in left.stdout.split() if line[:1] != "Z"] == []


def test_a_program_that_nobody_stops_has_its_time_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lab.process.STOP_SECONDS", 0.05)
    assert run(["sh", "-c", "sleep 0.3; echo done"], timeout=20, stop=threading.Event()).stdout == "done\n"
    with pytest.raises(LabError, match=r"did not end within 0\.2 s"):
        run(["sleep", "60"], timeout=0.2, stop=threading.Event())


def test_an_interrupt_kills_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[subprocess.Popen[bytes]] = []
    start = subprocess.Popen

    def started(*args: Any, **options: Any) -> subprocess.Popen[bytes]:
        seen.append(start(*args, **options))
        return seen[0]

    def interrupted(*_: object) -> bool:
        raise KeyboardInterrupt

    monkeypatch.setattr(subprocess, "Popen", started)
    monkeypatch.setattr("lab.process._Pipes.ended", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(["sleep", "60"], timeout=60)
    assert seen[0].returncode == -9
    assert os.getpgrp() != seen[0].pid


def test_input_and_output_of_any_size_pass_at_once() -> None:
    data = bytes(range(256)) * 8192
    assert run_bytes(["cat"], stdin=data, timeout=20) == data
    assert run(["sh", "-c", "echo done"], stdin=data, timeout=20).stdout == "done\n"  # it reads nothing of it


@pytest.mark.parametrize("stream", ["1", "2"])
def test_a_program_that_writes_without_end_is_killed(monkeypatch: pytest.MonkeyPatch, stream: str) -> None:
    monkeypatch.setattr("lab.process.MOST", 1 << 20)
    with pytest.raises(LabError, match="wrote more than 1 MiB"):
        run(["sh", "-c", f"exec yes >&{stream}"], timeout=60)


def test_commands_are_shown_short() -> None:
    assert short(["echo", "a b"]) == "echo 'a b'"
    assert len(short(["x" * 500])) == 120
