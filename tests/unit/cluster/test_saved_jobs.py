"""A disk is kept when slurmctld has written down what became of jobs, and not before."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from pathlib import Path

import pytest

from lab.cluster import availability

CONTROLLER = """\
#!/bin/sh
case "$*" in
    'show config') echo "StateSaveLocation       = {folder}" ;;
    '-o show jobs') echo "JobId=5 SubmitTime={ended} StartTime={ended} EndTime={ended} Deadline=N/A"
        echo "JobId=6 SubmitTime={ended} StartTime=Unknown EndTime={later}" ;;
esac
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    return tmp_path


def controller(folder: Path, ended: int) -> None:
    program = folder / "scontrol"
    program.write_text(CONTROLLER.format(folder=folder, ended=ended, later=ended + 99999))
    program.chmod(0o755)


def saved(folder: Path, when: float) -> None:
    (folder / "job_state").touch()
    os.utime(folder / "job_state", (when, when))


def seconds_waited() -> float:
    start = time.monotonic()
    subprocess.run(["sh", "-c", availability.SAVED], check=True, timeout=30)
    return time.monotonic() - start


def test_what_is_written_down_is_not_waited_for(folder: Path) -> None:
    now = int(time.time())
    controller(folder, now - 2)
    saved(folder, now)
    assert seconds_waited() < 1


def test_what_is_not_is_waited_for(folder: Path) -> None:
    now = int(time.time())
    controller(folder, now - 1)
    saved(folder, now - 300)
    timer = threading.Timer(1.5, lambda: saved(folder, time.time()))
    timer.start()
    assert 1 < seconds_waited() < 5
    timer.join()


def test_nothing_is_waited_for_long_where_nothing_comes(folder: Path) -> None:
    controller(folder, int(time.time()) - availability.SAVE_SECONDS - 1)
    assert seconds_waited() < 1  # it has had its time
    (folder / "scontrol").unlink()
    assert seconds_waited() < 1
