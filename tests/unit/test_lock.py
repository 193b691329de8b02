"""Locks as files: one changer at a time, told who it is, free after any death."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from lab.account import account_name
from lab.errors import Exit, LabError
from lab.lock import FileLocks

HOLDER = """
import sys, time
from pathlib import Path
from lab.lock import FileLocks
with FileLocks(lambda: Path(sys.argv[1]), lambda: 1000.0).hold(sys.argv[2], "lab up", print):
    print("held", flush=True)
    time.sleep(60)
"""
LATER = 1042.4


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "locks"


@pytest.fixture
def locks(folder: Path) -> FileLocks:
    return FileLocks(lambda: folder, lambda: LATER)


def start_holder(folder: Path, lab: str = "lab") -> subprocess.Popen[str]:
    child = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder), lab], stdout=subprocess.PIPE, text=True, bufsize=1
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "held\n"
    return child


def refusal(locks: FileLocks, lab: str = "lab") -> LabError:
    with pytest.raises(LabError) as caught, locks.hold(lab, "lab down", print):
        pass
    assert caught.value.code is Exit.LOCKED
    return caught.value


def test_the_second_is_refused_with_holder_account_command_and_age(folder: Path, locks: FileLocks) -> None:
    with FileLocks(lambda: folder, lambda: 1000.0).hold("lab", "lab up", print):
        told = refusal(locks)
    assert told.message == "another command is changing lab lab"
    assert told.evidence == f"lab up (process {os.getpid()} of {account_name()}) has held the lock for 42 s"
    assert told.hint


def test_it_is_free_afterwards_and_after_an_error(locks: FileLocks) -> None:
    with pytest.raises(ZeroDivisionError), locks.hold("lab", "lab up", print):
        raise ZeroDivisionError
    with locks.hold("lab", "lab down", print):
        pass


def test_a_full_disk_takes_the_note_of_the_holder_and_not_the_lock(
    locks: FileLocks, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    with locks.hold("lab", "lab down", print):
        assert refusal(locks).evidence == "it has just taken the lock"


def test_other_labs_are_not_touched(locks: FileLocks) -> None:
    with locks.hold("a", "lab up", print), locks.hold("b", "lab down", print):
        assert "lab up" in refusal(locks, "a").evidence
        assert "lab down" in refusal(locks, "b").evidence


def test_a_killed_holder_holds_nothing(folder: Path, locks: FileLocks) -> None:
    with start_holder(folder) as holder:
        assert f"process {holder.pid} of" in refusal(locks).evidence
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    with locks.hold("lab", "lab down", print):
        pass


@pytest.mark.parametrize("note", ["", "{", "[]", '{"pid": "x"}', "[" * 100_000, '{"place": {}}'])
def test_a_holder_whose_note_cannot_be_read_is_still_a_holder(
    folder: Path, locks: FileLocks, note: str
) -> None:
    with locks.hold("lab", "lab up", print):
        (folder / "lab.lock").write_text(note)
        assert refusal(locks).evidence == "it has just taken the lock"


def test_what_a_note_says_cannot_steer_the_terminal(folder: Path, locks: FileLocks) -> None:
    with locks.hold("lab", "lab up \x1b]0;title\x07\r\n" + "x" * 10_000, print):
        told = refusal(locks).evidence
    assert told.isprintable()
    assert len(told) < 300
    assert socket.gethostname() not in told  # it is this host


def test_only_the_owner_may_look(folder: Path, locks: FileLocks) -> None:
    with locks.hold("lab", "lab up", print):
        assert (folder / "lab.lock").stat().st_mode & 0o077 == 0
        assert folder.stat().st_mode & 0o077 == 0


def test_who_takes_their_turn_is_told_of_the_holder_and_goes_on_when_it_ends(
    folder: Path, locks: FileLocks
) -> None:
    child = start_holder(folder, "+images")
    said: list[str] = []

    def end(line: str) -> None:
        said.append(line)
        child.kill()

    say: Callable[[str], None] = end
    with locks.hold("+images", "lab images build", say, wait=True), child:
        held = f"lab up (process {child.pid} of {account_name()}) has held the lock for 42 s"
        assert said == [f"waiting: another command is changing the images: {held}"]
