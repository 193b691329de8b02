"""Ending children behind terminals: never an error, never a long wait, no zombie and no open file left."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lab.errors import LabError
from lab.nodes.child import STEP_SECONDS, PtyChild, end_child
from lab.nodes.interactive import Session
from lab.nodes.pty import LONGEST_FAREWELL, ConsoleLost
from lab.nodes.shell import Console
from lab.polling import Limit, wait_for
from lab.process import KILLED_SECONDS, ProcessTimeout, run

DEAF = "trap '' HUP INT TERM QUIT TSTP"
SOON = 4 * STEP_SECONDS + LONGEST_FAREWELL + 5.0  # generous: the test's own host may be busy


@pytest.fixture(autouse=True)
def leaves_nothing() -> Iterator[None]:
    """Whatever a test ends leaves no zombie, no thread and no open file behind."""
    files, others = open_files(), zombies()  # of other tests in this process
    yield
    assert wait_until(lambda: not [t for t in threading.enumerate() if t.name.startswith("reap ")])
    assert zombies() <= others
    assert open_files() <= files


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def zombies() -> set[str]:
    found = set()
    for place in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = place.read_text().rpartition(")")[2].split()[:2]
        except OSError:
            continue
        if state == "Z" and int(parent) == os.getpid():
            found.add(place.parent.name)
    return found


def wait_until(condition: Callable[[], bool]) -> bool:
    return wait_for(condition, Limit(10.0), every=0.02)


def is_gone(pid: int) -> bool:
    return not Path(f"/proc/{pid}").exists()


def open_console(tmp_path: Path) -> Console:
    console = Console(
        ["/bin/sh", "-c", f"{DEAF}; echo $$ >{tmp_path}/pid; /bin/sh; while :; do sleep 60; done"]
    )
    console.run("true")
    return console


def open_session(tmp_path: Path) -> Session:
    deaf = f"{DEAF}; echo $$ >{tmp_path}/pid; bash --norc; while :; do sleep 60; done"
    return Session(["/bin/bash", "-c", deaf], lambda _text: None)


@pytest.mark.parametrize("opened", [open_console, open_session])
def test_a_shell_whose_process_ignores_signals_is_closed(
    tmp_path: Path, opened: Callable[[Path], Console | Session]
) -> None:
    shell = opened(tmp_path)
    began = time.monotonic()
    shell.close()
    assert time.monotonic() - began < SOON
    assert wait_until(lambda: is_gone(int((tmp_path / "pid").read_text())))


def test_a_shell_that_does_not_answer_is_given_up_and_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lab.nodes.pty.CONNECT", 0.3)
    argv = ["/bin/sh", "-c", f"{DEAF}; echo $$ >{tmp_path}/pid; while :; do sleep 60; done"]
    with pytest.raises(ConsoleLost, match=r"no shell answered .* within 0\.3 s"):
        Console(argv).run("true")
    assert wait_until(lambda: is_gone(int((tmp_path / "pid").read_text())))


def test_a_terminal_closed_by_a_process_that_lives_on_is_no_reason_to_wait_for_it(tmp_path: Path) -> None:
    """As `docker exec` on a busy host: its streams are at their end, and it is not."""
    lives_on = f"{DEAF}; echo $$ >{tmp_path}/pid; exec </dev/null >/dev/null 2>&1; while :; do sleep 60; done"
    began = time.monotonic()
    with pytest.raises(ConsoleLost, match="cannot open a shell"):
        Console(["/bin/sh", "-c", lives_on]).run("true")
    assert time.monotonic() - began < SOON
    assert wait_until(lambda: is_gone(int((tmp_path / "pid").read_text())))


def test_a_process_that_reads_nothing_blocks_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lab.nodes.pty.TAKES_INPUT", 0.2)
    console = Console(["/bin/sh"])
    console.run("true")
    transport = console._transport
    assert transport is not None
    os.kill(transport._child.pid, signal.SIGSTOP)
    with pytest.raises(ConsoleLost, match="reads nothing"):
        transport.send((b"x" * 4000 + b"\n") * 100)
    console.close()


class Stuck:
    """A child that stays in the kernel for a while after it was killed."""

    def __init__(self, looks: int) -> None:
        self.looks = looks
        self.signals: list[int] = []
        self.naps: list[float] = []
        self.later: list[Callable[[], object]] = []
        self.reaped = False

    def kill(self, pid: int, number: int) -> None:
        if pid != 42:
            raise ProcessLookupError
        self.signals.append(number)

    def wait(self, pid: int, options: int) -> tuple[int, int]:
        if options == 0:
            self.reaped = True
            return pid, 9
        self.looks -= 1
        return (pid, 9) if self.looks <= 0 else (0, 0)

    def put_off(self, wait: Callable[[], object], name: str) -> None:
        assert name == "reap 42"
        self.later.append(wait)

    def end(self) -> None:
        end_child(42, kill=self.kill, wait=self.wait, sleep=self.sleep, later=self.put_off)

    def sleep(self, seconds: float) -> None:
        self.naps.append(seconds)
        time.sleep(seconds)


def test_a_child_stuck_after_its_death_is_reaped_later() -> None:
    child = Stuck(looks=1_000_000)
    child.end()
    assert child.signals == [signal.SIGHUP, signal.SIGTERM, signal.SIGKILL]
    assert sum(child.naps) <= 4 * STEP_SECONDS + 0.01, "and nobody waited for it"
    assert not child.reaped
    child.later[0]()
    assert child.reaped


def test_a_child_that_ends_when_it_is_hung_up_gets_no_signal() -> None:
    child = Stuck(looks=1)
    child.end()
    assert (child.signals, child.later) == ([], [])


def test_a_child_that_somebody_else_has_reaped_is_gone() -> None:
    def wait(_pid: int, _options: int) -> tuple[int, int]:
        raise ChildProcessError

    sent: list[int] = []
    end_child(42, kill=lambda _pid, number: sent.append(number), wait=wait)
    assert sent == []


def test_ending_twice_is_fine_and_a_program_that_is_not_there_is_an_error() -> None:
    child = PtyChild(["sleep", "600"])
    child.end()
    child.end()
    assert wait_until(lambda: is_gone(child.pid))
    with pytest.raises(FileNotFoundError):
        PtyChild(["/does/not/exist"])


def test_a_host_process_whose_pipes_outlive_it_is_left_alone(tmp_path: Path) -> None:
    """Its child has left the process group, and holds the pipes open."""
    argv = ["setsid", "sh", "-c", f"echo $$ >{tmp_path}/pid; echo said >&2; exec sleep 600"]
    began = time.monotonic()
    with pytest.raises(ProcessTimeout, match="did not end within"):
        run(["sh", "-c", f"{' '.join(argv[:2])} -c '{argv[3]}' & wait"], timeout=0.5)
    assert time.monotonic() - began < 0.5 + 2 * KILLED_SECONDS + 5.0
    os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)


def test_a_host_process_on_a_slow_host_gets_more_time(tmp_path: Path) -> None:
    limit = Limit(0.2, slowness=lambda: 10.0)
    assert run(["sh", "-c", "sleep 0.6; echo done"], timeout=limit).stdout == "done\n"
    with pytest.raises(LabError) as caught:
        run(["sleep", "60"], timeout=Limit(0.05, slowness=lambda: 10.0))
    assert "this host answers 10 times slower than usual" in caught.value.evidence
