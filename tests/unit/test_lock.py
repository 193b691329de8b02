"""The lock of a lab: one changer at a time, told who it is, free after any death."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lab.errors import Exit, LabError
from lab.lock import hold

HOLDER = """
import sys, time
from pathlib import Path
from lab.lock import hold
with hold(Path(sys.argv[1]), "lab", "lab up", clock=lambda: 1000.0):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "lab.lock"


def test_the_second_is_refused_with_holder_command_and_age(path: Path) -> None:
    with hold(path, "lab", "lab up", clock=lambda: 1000.0):
        with pytest.raises(LabError) as caught, hold(path, "lab", "lab down", clock=lambda: 1042.4):
            pass
        assert caught.value.code is Exit.LOCKED
        assert caught.value.message == "another command is changing lab lab"
        assert caught.value.evidence == f"lab up (process {os.getpid()}) has held the lock for 42 s"
        assert caught.value.hint


def test_it_is_free_afterwards_and_after_an_error(path: Path) -> None:
    with pytest.raises(ZeroDivisionError), hold(path, "lab", "lab up"):
        raise ZeroDivisionError
    with hold(path, "lab", "lab down"):
        pass


def test_a_full_disk_takes_the_note_of_the_holder_and_not_the_lock(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    with hold(path, "lab", "lab down"):
        with pytest.raises(LabError) as caught, hold(path, "lab", "lab up"):
            pass
        assert caught.value.code is Exit.LOCKED


def test_it_can_be_released_early(path: Path) -> None:
    with hold(path, "lab", "lab start") as lock:
        lock.release()
        with hold(path, "lab", "lab check"):
            lock.release()
            with pytest.raises(LabError), hold(path, "lab", "a third"):
                pass


def test_other_labs_are_not_touched(tmp_path: Path) -> None:
    with hold(tmp_path / "a.lock", "a", "lab up"), hold(tmp_path / "b.lock", "b", "lab down"):
        assert json.loads((tmp_path / "a.lock").read_text())["command"] == "lab up"
        assert json.loads((tmp_path / "b.lock").read_text())["command"] == "lab down"


def test_a_killed_holder_holds_nothing(path: Path) -> None:
    command = [sys.executable, "-c", HOLDER, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(LabError, match="changing"), hold(path, "lab", "lab down"):
            pass
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    with hold(path, "lab", "lab down"):
        pass


def test_a_holder_that_has_not_signed_yet_is_still_a_holder(path: Path) -> None:
    with hold(path, "lab", "lab up"):
        path.write_text("")
        with pytest.raises(LabError) as caught, hold(path, "lab", "lab down"):
            pass
        assert caught.value.evidence == "it has just taken the lock"


def test_only_the_owner_may_look(path: Path) -> None:
    with hold(path, "lab", "lab up"):
        assert path.stat().st_mode & 0o077 == 0
        assert path.parent.stat().st_mode & 0o077 == 0


def test_who_takes_their_turn_is_told_of_the_holder_and_goes_on_when_it_ends(path: Path) -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], stdout=subprocess.PIPE, text=True, bufsize=1
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "held\n"
    said: list[str] = []

    def end(line: str) -> None:
        said.append(line)
        child.kill()

    with hold(path, "+images", "lab images build", clock=lambda: 1042.0, wait=end), child.stdout:
        held = f"lab up (process {child.pid}) has held the lock for 42 s"
        assert said == [f"waiting: another command is changing the images: {held}"]
    child.wait()
