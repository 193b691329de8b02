"""Clocks are set together, only when they are far behind, and a machine that does not take it is told."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from lab.backends.libvirt import time_sync
from lab.backends.libvirt.storage import LabFolder


@contextmanager
def machine(path: Path, *answers: bytes) -> Iterator[list[bytes]]:
    """A machine that says its answers in turn, and hears a line after each but the last."""
    heard: list[bytes] = []

    def behave() -> None:
        caller = server.accept()[0]
        with caller:
            for number, answer in enumerate(answers):
                caller.sendall(answer)
                if number < len(answers) - 1:
                    heard.append(caller.recv(100))

    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        thread = threading.Thread(target=behave)
        thread.start()
        yield heard
        thread.join(5)


@pytest.fixture
def folder(tmp_path: Path) -> LabFolder:
    made = LabFolder("try", tmp_path)
    made.path.mkdir(parents=True)
    return made


def test_a_short_while_needs_nothing(folder: LabFolder) -> None:
    said: list[str] = []
    time_sync.set_forward(folder, ["sms", "c1"], 59.0, said.append)
    assert said == []


def test_all_are_told_the_time_of_now(folder: LabFolder) -> None:
    said: list[str] = []
    with (
        machine(folder.clock("sms"), b"ready\n", b"set\n") as sms,
        machine(folder.clock("c1"), b"left over\nready\n", b"set\n") as c1,
    ):
        time_sync.set_forward(folder, ["sms", "c1"], 3600.0, said.append)
    assert said == ["setting clocks forward by 3600 s"]
    assert [abs(float(heard) - time.time()) < 5 for heard in (*sms, *c1)] == [True, True]


def test_a_machine_that_hangs_up_or_is_not_there_is_told(folder: LabFolder) -> None:
    said: list[str] = []
    with machine(folder.clock("c1"), b"ready\n", b""):
        time_sync.set_forward(folder, ["c1", "c2"], 3600.0, said.append)
    told = dict(line.split(": its clock could not be set: ") for line in said[1:])
    assert told == {"c1": "it hung up", "c2": "[Errno 2] No such file or directory"}


def test_a_machine_that_talks_without_end_is_left(folder: LabFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time_sync, "ANSWER_SECONDS", 0.3)
    said: list[str] = []
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(folder.clock("c1")))
        server.listen()

        def chatter() -> None:
            with server.accept()[0] as caller, suppress(OSError):
                while True:
                    caller.sendall(b"no word of that " * 64)

        thread = threading.Thread(target=chatter)
        thread.start()
        began = time.monotonic()
        time_sync.set_forward(folder, ["c1"], 3600.0, said.append)
        thread.join(5)
    assert time.monotonic() - began < 5
    assert said[1:] == ["c1: its clock could not be set: timed out"]


class Flood:
    """A machine from which there is always more to read, so that no read times out."""

    def __init__(self) -> None:
        self.read = 0

    def settimeout(self, seconds: float) -> None:
        assert seconds > 0

    def recv(self, size: int) -> bytes:
        self.read += 1
        assert self.read < 1000, "it is listened to without end"
        return b"x" * size


def test_a_machine_that_talks_faster_than_we_listen_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = iter(range(10000))
    monkeypatch.setattr(time_sync, "monotonic", lambda: float(next(seconds)))
    with pytest.raises(TimeoutError):
        time_sync._hear(Flood(), b"ready\n")  # type: ignore[arg-type]
