"""The way into a machine: ssh's arguments, refusals, and the program that joins ssh to a serial line."""

from __future__ import annotations

import os
import shlex
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lab.backends.libvirt import ssh_channel as doors
from lab.backends.libvirt.programs import ssh_proxy
from lab.backends.libvirt.ssh_channel import ENTER, Door
from lab.backends.libvirt.storage import LabFolder
from lab.process import Done

GREETING = b"SSH-2.0-OpenSSH_10.0p2 Debian-7\r\n"


@pytest.fixture
def door(tmp_path: Path) -> Door:
    return Door(LabFolder("try", tmp_path), "c1")


def test_words_arrive_as_they_are(door: Door) -> None:
    words = ["printf", "%s|", "a b", "$HOME", "'", '"', "", "*", "\\"]
    argv = door.argv(words, user="user1", tty=False)
    assert shlex.split(argv[-1]) == ["sh", ENTER, "user1", *words]


def test_a_mark_is_in_the_surroundings_of_what_enters(door: Door) -> None:
    argv = door.argv(["true"], user="root", tty=False, mark="m")
    assert shlex.split(argv[-1]) == ["env", "RACKLING_SHELL=m", "sh", ENTER, "root", "true"]
    assert doors.argv("mine", "c1", ["true"], user="root", tty=False, mark="m")[-3:] == [
        "root",
        "pipe:m",
        "true",
    ]


def test_a_terminal_is_asked_for_only_where_one_is_wanted(door: Door) -> None:
    assert "-tt" in door.argv(None, user="root", tty=True)
    assert "-tt" not in door.argv(["true"], user="root", tty=False)


def test_a_shell_never_makes_a_connection_of_its_own_and_shows_no_secret(door: Door) -> None:
    argv = door.argv(["true"], user="root", tty=False)
    assert "ControlMaster=no" in argv
    assert "ProxyCommand=false" in argv
    assert not [word for word in argv if "PRIVATE" in word]


def test_a_machine_that_is_not_up_is_told_with_the_status_of_a_container_that_is_not() -> None:
    argv = doors.argv("no-such-lab", "c1", ["true"], user="root", tty=False)
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 69
    assert done.stderr == "error: c1 is not up: stage post\nhint: lab console c1\n"


@contextmanager
def served(behave: Callable[[socket.socket], None], path: Path) -> Iterator[None]:
    """A machine's end of the line."""
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()

        def serve() -> None:
            line, _ = server.accept()
            with line:
                behave(line)

        thread = threading.Thread(target=serve)
        thread.start()
        yield
        thread.join(10)
        assert not thread.is_alive()


def started(path: Path, data: bytes) -> subprocess.CompletedProcess[bytes]:
    program = [sys.executable, "-I", "-S", str(ssh_proxy.__file__), str(path)]
    return subprocess.run(program, input=data, capture_output=True, timeout=20, check=False)


def test_what_an_earlier_caller_left_is_thrown_away(tmp_path: Path) -> None:
    def behave(line: socket.socket) -> None:
        line.sendall(b"\0" * 64 + b"rubbish " + GREETING[:5])
        line.sendall(GREETING[5:] + b"more")
        assert line.recv(100) == b"SSH-2.0-ours\r\n"

    with served(behave, tmp_path / "door"):
        done = started(tmp_path / "door", b"SSH-2.0-ours\r\n")
    assert done.returncode == 0
    assert done.stdout.startswith(GREETING + b"more")


def test_nothing_is_said_before_the_server_has_greeted_but_nonsense_ends_a_silent_one() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.settimeout(10)
        answer: list[bytes] = []
        thread = threading.Thread(
            target=lambda: answer.append(ssh_proxy.greeted(ours, tries=2, patience=0.2))
        )
        thread.start()
        assert theirs.recv(100) == ssh_proxy.NONSENSE
        theirs.sendall(GREETING)
        thread.join(10)
    assert answer == [GREETING]


def test_a_machine_that_talks_without_end_is_sent_nonsense_and_given_up() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs, subprocess.Popen(["cat", "/dev/zero"], stdout=theirs.fileno()) as talker:
        answer: list[bytes] = []
        thread = threading.Thread(
            target=lambda: answer.append(ssh_proxy.greeted(ours, tries=2, patience=0.2)), daemon=True
        )
        thread.start()
        try:
            thread.join(10)
            assert answer == [b""]
            theirs.settimeout(5)
            assert theirs.recv(1000) == 2 * ssh_proxy.NONSENSE
        finally:
            talker.kill()


def test_a_machine_that_never_answers_is_given_up() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert ssh_proxy.greeted(ours, tries=2, patience=0.01) == b""


def test_a_line_that_breaks_ends_the_program(tmp_path: Path) -> None:
    with served(lambda line: line.close(), tmp_path / "door"):
        assert started(tmp_path / "door", b"").returncode == 1
    done = started(tmp_path / "nobody", b"")
    assert done.returncode == 1
    assert b"No such file" in done.stderr
    assert os.fspath(tmp_path / "nobody").encode() in done.stderr


FLOOD = """#!/bin/sh
head -c 1000000 /dev/zero | tr '\\0' x >&2
printf '\\nthe last words\\n' >&2
exit 255
"""


def test_what_a_server_makes_ssh_say_is_kept_up_to_a_bound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ssh writes a line of each request for a channel that it refuses, and a server may make many."""
    program = tmp_path / "bin" / "ssh"
    program.parent.mkdir()
    program.write_text(FLOOD)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    folder = LabFolder("try", tmp_path)
    folder.path.mkdir(parents=True)
    door = Door(folder, "c1")
    with pytest.raises(doors.Closed) as caught:
        door.open("now")
    assert caught.value.off, "there is no socket"
    assert door.last_words() == "the last words"
    assert sum(path.stat().st_size for path in folder.path.iterdir()) <= doors.KEPT


def test_a_machine_whose_socket_is_there_is_silent_and_not_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = LabFolder("try", tmp_path)
    folder.path.mkdir(parents=True)
    monkeypatch.setattr(doors, "run", lambda argv, **_: Done(tuple(argv), 255, "", "", 0.0))
    with served(lambda _line: None, folder.door("c1")), pytest.raises(doors.Closed) as caught:
        Door(folder, "c1").open("now")
    assert not caught.value.off


def test_a_connection_writes_no_log_that_a_server_could_fill(door: Door) -> None:
    argv = door._ssh("-N", "-f", master=True)
    assert "-E" not in argv
    assert "LogLevel=ERROR" in argv
