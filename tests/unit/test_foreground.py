"""A program in the foreground: its status is ours, and what it started elsewhere ends with it or with us."""

from __future__ import annotations

import os
import pty
import shlex
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from lab.backends.fake import MARKED
from lab.backends.hang_up import HANG_UP, new_mark

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 20.0


class Stay:
    """One `attend` in a process of its own, with a client whose command outlives it as in a node."""

    def __init__(self, folder: Path, *, harmless: bool) -> None:
        self.harmless = harmless
        self.mark = new_mark()
        self.pid_file = folder / "pid"

    def start(self, script: str, **how: object) -> subprocess.Popen[bytes]:
        """`script` runs behind the client, once it has told its process number."""
        told = f"echo $$ >{shlex.quote(str(self.pid_file))}; {script}"
        client = ["/bin/sh", "-c", MARKED, self.mark, "/bin/sh", "-c", told]
        code = (
            "import signal, sys; from lab.foreground import ENDS, attend; "
            "[signal.signal(one, signal.SIG_DFL) for one in ENDS]; "  # a background job ignores some
            f"sys.exit(attend({client!r}, {[*HANG_UP, self.mark]!r}, harmless={self.harmless}))"
        )
        return subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, **how)  # type: ignore[call-overload,no-any-return]

    def pid(self) -> int:
        """The process number of the command in the node, once it runs."""
        within(lambda: self.pid_file.exists() and self.pid_file.read_text().strip() != "")
        return int(self.pid_file.read_text())

    def has_ended(self) -> bool:
        return not Path(f"/proc/{self.pid()}").exists()


def within(what: Callable[[], bool], seconds: float = SECONDS) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.fixture(params=[False, True], ids=["raw", "harmless"])
def stay(tmp_path: Path, request: pytest.FixtureRequest) -> Stay:
    return Stay(tmp_path, harmless=request.param)


@pytest.mark.parametrize("status", [0, 1, 5, 255])
def test_the_status_is_that_of_the_program(stay: Stay, status: int) -> None:
    assert stay.start(f"exit {status}").wait(SECONDS) == status


def test_a_program_killed_by_a_signal_is_reported_as_by_a_shell(stay: Stay) -> None:
    assert stay.start("kill -TERM $$").wait(SECONDS) == 128 + signal.SIGTERM


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_what_ends_us_ends_the_command(stay: Stay, number: signal.Signals) -> None:
    ours = stay.start("exec sleep 1000", start_new_session=True)
    stay.pid()
    ours.send_signal(number)
    status = ours.wait(SECONDS)
    within(stay.has_ended)
    assert status == (-9 if number == signal.SIGKILL else 128 + number)


def test_a_command_that_ignores_the_first_signal_is_hung_up(stay: Stay) -> None:
    ours = stay.start("trap '' TERM INT; sleep 1000; sleep 1000")
    stay.pid()
    ours.terminate()
    assert ours.wait(SECONDS) == 128 + signal.SIGTERM
    within(stay.has_ended)


def test_what_nobody_reads_any_more_is_ended(stay: Stay) -> None:
    """A node's engine swallows the output of a command whose client has gone: the command notices nothing."""
    silent = "trap '' PIPE; while :; do echo y || :; sleep 0.01; done 2>/dev/null"
    ours = stay.start(silent, stdout=subprocess.PIPE)
    stay.pid()
    client_of(ours.pid, SECONDS)
    assert ours.stdout
    ours.stdout.close()
    os.kill(client_of(ours.pid, SECONDS), signal.SIGPIPE)  # what the engine's client then dies of
    assert ours.wait(SECONDS) == 128 + signal.SIGPIPE
    within(stay.has_ended)


def client_of(pid: int, seconds: float) -> int:
    """The process number of the client that `attend` started."""
    found: list[int] = []

    def look() -> bool:
        out = subprocess.run(
            ["pgrep", "-P", str(pid), "-f", "wait .!"], capture_output=True, text=True, check=False
        )
        found[:] = [int(word) for word in out.stdout.split()]
        return bool(found)

    within(look, seconds)
    return found[0]


def test_a_background_process_in_a_session_of_its_own_goes_on(stay: Stay, tmp_path: Path) -> None:
    other = tmp_path / "other"
    ours = stay.start(f"setsid sh -c 'echo $$ >{other}; exec sleep 1000' & exec sleep 1000")
    stay.pid()
    within(lambda: other.exists() and other.read_text().strip() != "")
    try:
        ours.terminate()
        ours.wait(SECONDS)
        within(stay.has_ended)
        assert Path(f"/proc/{other.read_text().strip()}").exists()
    finally:
        os.kill(int(other.read_text()), signal.SIGKILL)


def test_the_terminal_is_as_it_was_when_a_client_that_made_it_raw_is_killed(stay: Stay) -> None:
    ours, theirs = pty.openpty()
    before = termios.tcgetattr(theirs)
    started = stay.start("exec sleep 1000", stdin=theirs)
    stay.pid()
    subprocess.run(["stty", "raw", "-echo"], stdin=theirs, check=True)
    started.terminate()
    started.wait(SECONDS)
    assert termios.tcgetattr(theirs) == before
    os.close(ours)
    os.close(theirs)


def test_bytes_pass_unchanged(tmp_path: Path) -> None:
    stay = Stay(tmp_path, harmless=False)
    data = bytes(range(256)) * 999
    ours = stay.start("cat", stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert ours.communicate(data, timeout=SECONDS)[0] == data


def test_harmless_output_has_all_of_the_text_and_nothing_that_steers(tmp_path: Path) -> None:
    hostile = r"\033]0;title\007\033[2J\302\233 \342\200\256 \377end\n"
    script = rf"seq 100000; printf '{hostile}'; printf 'also\033c\n' >&2"
    stay = Stay(tmp_path, harmless=True)
    ours = stay.start(script, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    out, err = ours.communicate(timeout=SECONDS)
    assert ours.returncode == 0
    assert out.decode().splitlines() == [*map(str, range(1, 100_001)), "  \ufffdend"]
    assert err == b"alsoc\n"


def test_harmless_output_that_nobody_reads_ends_the_command(tmp_path: Path) -> None:
    stay = Stay(tmp_path, harmless=True)
    ours = stay.start("exec yes", stdout=subprocess.PIPE)
    stay.pid()
    assert ours.stdout
    ours.stdout.close()
    assert ours.wait(SECONDS) == 128 + signal.SIGPIPE
    within(stay.has_ended)
