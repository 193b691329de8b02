"""The way into a virtual machine: what its service runs, with a file for the serial port."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

CHANNEL = Path(__file__).parents[2] / "lab/guest/files/initramfs/lib/ssh-channel"
SERVE = CHANNEL / "serve"
ENTER = CHANNEL / "enter"
# Leaves out what takes root: another user, and the removal of the surroundings.
SETPRIV = '#!/bin/sh\nwhile [ "$1" != --reset-env ]; do shift; done; shift\nunset RACKLING_SHELL\nexec "$@"\n'


def serve(place: Path, *words: str) -> tuple[bytes, bool]:
    """Runs the script; returns what was written to the port, and whether a server was started on it."""
    port, served = place / "port", place / "served"
    port.touch()
    (place / "port.sh").write_text(f"port_called() {{ echo {port}; }}\n")
    (place / "host_key").write_text("a key\n")
    (place / "sshd").write_text(f"#!/bin/sh\ntouch {served}\n")
    (place / "sshd").chmod(0o755)
    text = SERVE.read_text().replace("/run/rackling/door", str(place)).replace("/run/sshd", f"{place}/run")
    script = place / "serve"
    script.write_text(text.replace("/usr/sbin/sshd", str(place / "sshd")))
    subprocess.run(["sh", script, *words], check=True, timeout=20)
    return port.read_bytes(), served.exists()


def test_a_caller_is_served(tmp_path: Path) -> None:
    assert serve(tmp_path) == (b"", True)


def test_a_caller_who_is_left_over_is_told_by_nonsense_and_nobody_is_served(tmp_path: Path) -> None:
    """What a service starts while it stops holds up a reboot, and is killed when the stop takes too long."""
    assert serve(tmp_path, "hang-up") == (bytes(64), False)


@pytest.fixture
def surroundings(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "setpriv").write_text(SETPRIV)
    (tmp_path / "setpriv").chmod(0o755)
    return {
        **os.environ,
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "SHELL": "/bin/bash",
    }


def enter(
    words: list[str], surroundings: dict[str, str], stdin: bytes = b""
) -> subprocess.CompletedProcess[bytes]:
    argv = ["sh", str(ENTER), "root", *words]
    return subprocess.run(argv, env=surroundings, input=stdin, capture_output=True, timeout=20, check=False)


def test_words_of_any_bytes_arrive_as_they_are(surroundings: dict[str, str]) -> None:
    words = ["a b", "$HOME", "'", '"', "", "*", "\\", "it's\n", "\n", "'\n'", os.fsdecode(b"lat\xe9in")]
    done = enter(["printf", "%s|", *words], surroundings)
    assert done.stdout == b"|".join([*map(os.fsencode, words), b""])


@pytest.mark.parametrize(
    ("script", "status"), [("exit 5", 5), ("kill -TERM $$", 143), ("kill -KILL $$", 137)]
)
def test_the_end_of_a_command_is_reported_as_by_a_shell(
    surroundings: dict[str, str], script: str, status: int
) -> None:
    """A command that a signal ends leaves ssh(1) without a status, which it reports as 255."""
    done = enter(["sh", "-c", f"echo here >&2; {script}"], surroundings)
    assert (done.returncode, done.stderr) == (status, b"here\n")


def test_without_a_command_and_a_terminal_a_script_is_read(surroundings: dict[str, str]) -> None:
    done = enter([], surroundings, b"read -r line\nword\necho got $line\nexit 4\n")
    assert (done.returncode, done.stdout) == (4, b"got word\n")


def test_a_command_finds_no_other_process_with_its_words(surroundings: dict[str, str]) -> None:
    """So `lab shell c1 pkill -f journalctl` kills journalctl and nothing of ours."""
    done = enter(["pgrep", "-fc", "pgrep -fc .*nowhere-else"], surroundings)
    assert done.stdout == b"0\n"
