"""quickstart starts a real engine where no init does, also after the engine was killed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.project.test_quickstart import Machine, machine

__all__ = ["machine"]  # the fixture

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or Path("/run/systemd/system").exists() or shutil.which("dockerd") is None,
    reason="quickstart starts the engine itself only where no init does, and as root",
)
BRIDGE = Path("/sys/class/net/docker0")


@pytest.fixture
def bare(machine: Machine) -> Iterator[Machine]:
    """The pretend machine with a real engine in it, which does not run."""
    for name in ("docker", "dockerd", "id"):
        (machine.folder / "bin" / name).unlink()
    # Below tmp_path the names of the engine's sockets would be too long.
    with tempfile.TemporaryDirectory(prefix="engine-") as engine:
        made = replace(machine, engine=Path(engine), path=(os.environ["PATH"],))
        yield made
        stop(made)


def stop(machine: Machine) -> None:
    """End the engine and its containerd, which may outlive it, and take off what they mounted."""
    for file in ("docker.pid", "docker/containerd/containerd.pid"):
        pid = engine_pid(machine, file)
        if pid:
            os.kill(pid, signal.SIGTERM)
            until_gone(pid)
    take_off(machine.engine / "data")


def take_off(place: Path) -> None:
    """Unmount whatever is mounted there: a killed engine leaves its mount, and the next one mounts over it.

    An engine holds its mount a little longer than its process can be seen, so that one attempt is not enough.
    """
    deadline = time.monotonic() + 20
    said = ""
    while f" {place} " in Path("/proc/self/mounts").read_text():
        assert time.monotonic() < deadline, f"{place} stays mounted: {said}"
        said = subprocess.run(["umount", place], capture_output=True, text=True, check=False).stderr
        time.sleep(0.05)


def engine_pid(machine: Machine, file: str = "docker.pid") -> int | None:
    try:
        pid = int((machine.engine / file).read_text())
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return None
    return pid if str(machine.engine).encode() in command else None


def until_gone(pid: int) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        status = Path(f"/proc/{pid}/status")
        if not status.exists() or "State:\tZ" in status.read_text():
            return
        time.sleep(0.05)
    raise AssertionError(f"process {pid} did not end")


def test_starts_an_engine_that_outlives_it_and_starts_it_again_when_killed(bare: Machine) -> None:
    had_bridge = BRIDGE.exists()
    first = bare.run("-y", "--no-proof", "--no-link")
    assert first.returncode == 0, first.stderr
    pid = engine_pid(bare)
    assert pid is not None

    again = bare.run("-y", "--no-proof", "--no-link")
    assert again.returncode == 0, again.stderr
    assert "starting the container engine" not in again.stdout
    assert engine_pid(bare) == pid

    os.kill(pid, signal.SIGKILL)
    until_gone(pid)
    third = bare.run("-y", "--no-proof", "--no-link")
    assert third.returncode == 0, third.stderr
    assert "the container engine answers" in third.stdout
    assert engine_pid(bare) not in (None, pid)
    assert BRIDGE.exists() == had_bridge, "the machine's own engine keeps its bridge"
