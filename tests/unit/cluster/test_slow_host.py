"""A host that answers ten times slower than usual: what a learner types works all the same.

Everything is ten times quicker than in life, limits included, so that the test is: a shell usually opens in
0.05 s, and here takes 0.5 s.
"""

from __future__ import annotations

import importlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from lab.backends.base import Backend
from lab.backends.fake import FakeBackend
from lab.cli.app import App
from lab.cli.main import main
from lab.cluster.cluster import Cluster
from lab.cluster.readiness import ProbeResult
from lab.cluster.wait_ready import await_entry
from lab.errors import LabError
from lab.host_speed import LOOK, TRIVIAL, HostSpeed
from lab.model import ClusterSpec
from lab.nodes.shell import CommandTimeout
from tests.unit.cli.test_exercises import INDEX, Bench, write

QUICKER = 10  # how many times quicker than in life everything is
SLOWNESS = 10
SHELL = 0.5 / QUICKER * SLOWNESS
COMMAND = 0.15 / QUICKER * SLOWNESS
ANSWER = 0.05 / QUICKER * SLOWNESS
CONSTANTS = {
    "lab.nodes.pty": ("CONNECT", "NUDGE", "FAREWELL", "SHELL", "LOOK_AGAIN"),
    "lab.host_speed": ("STALE",),
    "lab.process": ("LOOK_AGAIN",),
    "lab.nodes.shell": ("GRACE",),
    "lab.cluster.cluster": ("UP_SECONDS", "LOOK_SECONDS", "LOOK", "POLL"),
    "lab.cluster.wait_ready": ("LOOK_SECONDS",),
    "lab.checks.runner": ("GRACE",),
    "lab.course.replay": ("LONGEST", "LOOK", "EVERY"),
}


@pytest.fixture(autouse=True)
def quicker_than_life(monkeypatch: pytest.MonkeyPatch) -> None:
    for place, names in CONSTANTS.items():
        module = importlib.import_module(place)
        for name in names:
            monkeypatch.setattr(module, name, getattr(module, name) / QUICKER)


class Slow:
    """A backend whose answers all come late, and whose shells start late and are slow at each command."""

    def __init__(self, backend: Any, folder: Path) -> None:
        self._backend = backend
        self._programs = folder / "slow"
        self._programs.mkdir()
        # Every command of a console, and every one that is typed into a session, is decoded by this program.
        program = self._programs / "base64"
        program.write_text(f'#!/bin/sh\nsleep {COMMAND}\nexec /usr/bin/base64 "$@"\n')
        program.chmod(0o755)
        self.host_speed = HostSpeed(measure=lambda: TRIVIAL * SLOWNESS)

    def shell(self, *words: Any, **how: Any) -> list[str]:
        argv = self._backend.shell(*words, **how)
        if argv[0] == "/usr/bin/env":  # of the fake backend: its own programs come first on the PATH
            argv = [argv[0], *(self._first(word) for word in argv[1:])]
        return ["/bin/sh", "-c", f'sleep {SHELL}; PATH={self._programs}:$PATH; exec "$@"', "slow", *argv]

    def _first(self, word: str) -> str:
        return word.replace("PATH=", f"PATH={self._programs}:", 1) if word.startswith("PATH=") else word

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._backend, name)
        if not callable(found):
            return found

        def late(*words: Any, **how: Any) -> Any:
            time.sleep(ANSWER)
            return found(*words, **how)

        return late


@pytest.fixture
def slow(backend: FakeBackend, tmp_path: Path) -> Any:
    return Slow(backend, tmp_path)


@pytest.fixture
def cluster(spec: ClusterSpec, slow: Backend) -> Iterator[Cluster]:
    with Cluster(spec, slow) as found:
        yield found


def lab(root: Path, backend: Backend, *words: str) -> str:
    environ = {"HOME": str(root), "XDG_RUNTIME_DIR": str(root / "run"), "LAB_PROGRESS": "plain"}
    result = CliRunner().invoke(main, list(words), obj=App(environ, root, open_backend=lambda _: backend))
    assert result.exit_code == 0, result.output
    return result.output


def test_lab_up_waits_for_nodes_that_take_ten_times_as_long(
    tmp_path: Path, backend: FakeBackend, slow: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lab.cluster.cluster.UP_SECONDS", 1.0)
    backend.stuck["c1"] = ("vnfs", "unpacking")

    def boots() -> None:
        assert "lab" in backend.found
        backend.stuck.clear()
        backend.stop("lab", ["c1"], hard=True)
        backend.start("lab", ["c1"])

    timer = threading.Timer(5.0, boots)
    timer.start()
    try:
        told = lab(tmp_path, slow, "up")
    finally:
        timer.cancel()
    assert "lab lab is up" in told
    assert "c1" in told


def test_a_node_that_never_comes_up_is_told_with_the_hosts_speed(
    cluster: Cluster, backend: FakeBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lab.cluster.cluster.UP_SECONDS", 0.5)
    backend.stuck["c1"] = ("vnfs", "unpacking")
    with pytest.raises(LabError, match="c1 was not up after") as caught:
        cluster.up()
    assert "times slower than usual; waited " in caught.value.evidence
    assert caught.value.hint == "lab console c1"


def test_a_limit_that_a_person_gave_stays_as_given(
    spec: ClusterSpec, slow: Backend, backend: FakeBackend
) -> None:
    backend.stuck["c1"] = ("vnfs", "unpacking")
    with Cluster(spec, slow, timeout=1.5) as cluster, pytest.raises(LabError) as caught:
        cluster.up()
    assert "slower than usual" not in caught.value.evidence
    assert "not up after" in caught.value.message


def test_a_command_gets_the_time_that_it_needs_here(cluster: Cluster) -> None:
    cluster.up()
    assert cluster.sms.run("sleep 1.2; echo done", timeout=0.3).output == "done\n"
    with pytest.raises(CommandTimeout) as caught:
        cluster.sms.run("sleep 60", timeout=0.1)
    assert "this host answers" in caught.value.evidence


def test_a_node_is_entered_though_its_first_look_takes_longer_than_a_look_may(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster.up()
    monkeypatch.setattr("lab.cluster.wait_ready.LOOK_SECONDS", 0.01)
    await_entry(cluster, "sms", seconds=9.0, sleep=lambda _s: monkeypatch.undo())
    assert cluster.sms.run("echo in").output == "in\n"


def test_an_exercise_is_started_checked_and_solved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(tmp_path)
    root = tmp_path / "exercises"
    for name, start in (
        ("make_file", "handout"),
        ("make_more", "after:make_file"),
        ("needs_kernel", "handout"),
    ):
        write(root, name, bench.nodes / name, start=start)
    (root / "index.toml").write_text(INDEX)
    monkeypatch.setattr("lab.paths.data_folder", lambda _: root)
    monkeypatch.setattr("lab.cluster.cluster.Cluster.wait", lambda *_args, **_named: ())
    bench.backend = Slow(bench.backend, tmp_path)  # type: ignore[assignment]
    bench.lab("start", "make_file", "-y")
    bench.lab("check", code=1)
    bench.lab("solve")
    bench.lab("check")


def test_when_the_host_is_quick_again_limits_are_as_before(cluster: Cluster, slow: Any) -> None:
    readings = cluster.up()
    assert all(reading.answer is ProbeResult.YES for reading in readings)
    assert slow.host_speed.slowness > 3
    for _ in range(60):
        slow.host_speed.note(0.01, LOOK)
    assert slow.host_speed.limit(180.0).left() == pytest.approx(180.0, abs=1.0)
