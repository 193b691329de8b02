"""Repeated fetches."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path

import pytest

from lab.siphon import errors, watch
from lab.siphon.protocol.messages import ConfigFile
from tests.unit.siphon.controller import FILES, released, running
from tests.unit.siphon.tokens import TOKEN

ROOT = Path(__file__).resolve().parents[3]


def until(condition: object, what: str) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if callable(condition) and condition():
            return
        time.sleep(0.02)
    raise AssertionError(f"waited in vain: {what}")


def test_watch_writes_changes_runs_the_command_and_ends_on_sigterm(tmp_path: Path) -> None:
    place = tmp_path / "conf"
    mark = tmp_path / "changes"
    files: list[tuple[ConfigFile, ...]] = [FILES]

    def answer(request: bytes) -> bytes:
        return released("26.05", files[0])(request)

    with running(answer) as one:
        often = ["--watch", "0.1", "--timeout", "60", "--on-change", f"echo x >> {mark}"]
        words = [*often, "-o", str(place), str(one.server)]
        command = [sys.executable, "-m", "lab.siphon", *words]
        env = {**os.environ, "SLURM_JWT": TOKEN}
        with subprocess.Popen(command, cwd=ROOT, env=env, stderr=subprocess.PIPE, text=True) as siphon:
            try:
                until(lambda: mark.exists() and mark.read_text() == "x\n", "the first change")
                asked = len(one.asked)
                until(lambda: len(one.asked) > asked + 2, "more rounds")
                assert mark.read_text() == "x\n"
                files[0] = (ConfigFile(b"slurm.conf", exists=True, content=b"new\n"),)
                until(lambda: mark.read_text() == "x\nx\n", "the second change")
                assert (place / "slurm.conf").read_bytes() == b"new\n"
                assert not (place / "plugstack.conf").exists()
            finally:
                siphon.send_signal(signal.SIGTERM)
                _, err = siphon.communicate(timeout=20)
    assert siphon.returncode == 0
    assert err == ""


def test_watch_outlives_a_controller_and_tells_once(tmp_path: Path) -> None:
    codes: list[int | None] = [None]

    def answer(request: bytes) -> bytes:
        return released("26.05", code=codes[0])(request)

    with running(answer) as one:
        command = [
            sys.executable,
            "-m",
            "lab.siphon",
            "--watch",
            "0.05",
            "-o",
            str(tmp_path / "c"),
            str(one.server),
        ]
        env = {**os.environ, "SLURM_JWT": TOKEN}
        with subprocess.Popen(command, cwd=ROOT, env=env, stderr=subprocess.PIPE, text=True) as siphon:
            try:
                until((tmp_path / "c/slurm.conf").exists, "the first fetch")
                codes[0] = 2126
                asked = len(one.asked)
                until(lambda: len(one.asked) > asked + 4, "more rounds")
            finally:
                siphon.send_signal(signal.SIGTERM)
                _, err = siphon.communicate(timeout=20)
    assert siphon.returncode == 0
    assert err.count("error: ") == 1
    assert (tmp_path / "c/slurm.conf").exists()


def test_a_failing_command_is_a_warning_and_not_the_end() -> None:
    rounds = iter([True, True])
    warned: list[str] = []

    def once() -> bool:
        return next(rounds)

    with pytest.raises(StopIteration):
        watch.run(once, lambda _: None, 1.0, "exit 7", warned.append, sleep=lambda _: None)
    assert warned == ["--on-change ended with status 7"] * 2


def test_sigterm_in_the_moment_when_the_command_ends_is_no_failure() -> None:
    """The command sends the signal as its last act: it arrives before the command's end, or after it."""
    told: list[str] = []
    for _ in range(100):
        watch.run(lambda: True, lambda e: told.append(e.message), 20.0, "kill -TERM $PPID", told.append)
    assert told == []


def test_sigterm_just_before_a_command_leaves_no_signal_blocked() -> None:
    held = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    real = signal.pthread_sigmask

    def blocked(how: int, mask: Iterable[int]) -> set[int]:
        found = real(how, mask)
        if how == signal.SIG_BLOCK and list(mask):
            raise watch.Stopped
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(signal, "pthread_sigmask", blocked)
        watch.run(lambda: True, lambda _: None, 20.0, "true", lambda _: None)
    assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == held


def test_sigterm_ends_a_command_that_still_runs(tmp_path: Path) -> None:
    mark = tmp_path / "ended"
    command = f"trap 'echo x > {mark}; exit 1' TERM; kill -TERM $PPID; while :; do sleep 0.01; done"
    watch.run(lambda: True, lambda _: None, 20.0, command, lambda _: None)
    assert mark.exists()


def test_the_first_failure_ends_watching_and_later_ones_are_told_once() -> None:
    error = errors.SiphonError(errors.CONNECT, "nobody there")
    outcomes: list[bool | errors.SiphonError] = [False, error, error, True, error]
    told: list[str] = []

    def once() -> bool:
        outcome = outcomes.pop(0)
        if isinstance(outcome, errors.SiphonError):
            raise outcome
        return outcome

    with pytest.raises(IndexError):
        watch.run(once, lambda e: told.append(e.message), 1.0, None, told.append, sleep=lambda _: None)
    assert told == ["nobody there", "nobody there"]  # the second after it had worked again
    outcomes[:] = [error]
    with pytest.raises(errors.SiphonError):
        watch.run(once, lambda e: told.append(e.message), 1.0, None, told.append, sleep=lambda _: None)
