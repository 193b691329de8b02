"""`lab up` killed at each of its steps: `lab down` leaves nothing, and a second `up` finishes the work."""

from __future__ import annotations

import os
import signal
import subprocess
import time

import pytest

from tests import leaks
from tests.integration.conftest import LAB, SETTLE, Lab

# Seconds into `up`: from its first request to booting nodes.
MOMENTS = (0.3, 0.6, 0.9, 1.2, 1.6, 2.0, 2.6, 3.5)


def killed_up(lab: Lab, after: float) -> None:
    process = subprocess.Popen(
        [*LAB, "up", "-l", lab.name, "--set", "g.count=0", "--set", "c.count=1"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    time.sleep(after)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait(10)


@pytest.mark.parametrize("after", MOMENTS)
def test_down_after_a_killed_up_leaves_nothing(after: float) -> None:
    lab = Lab(leaks.LABS[2])
    before = leaks.take()
    killed_up(lab, after)
    lab.command("down", "-y", check=False)
    end = time.monotonic() + SETTLE
    while (new := leaks.take().new_since(before)) and time.monotonic() < end:
        time.sleep(0.3)
    assert not new


def test_up_finishes_what_a_killed_up_began() -> None:
    lab = Lab(leaks.LABS[2])
    try:
        killed_up(lab, 1.2)
        lab.command("up", "--set", "g.count=0", "--set", "c.count=1")
        assert lab.states() == {"c1": "idle"}
    finally:
        lab.command("down", "-y")


@pytest.mark.parametrize("said", ["cutting the power", "creating sms", "connecting cables"])
def test_up_completes_a_restore_that_was_killed(said: str) -> None:
    """Killed when it says what it begins; only the engine then knows where the lab was going."""
    lab = Lab(leaks.LABS[2])
    few = ("--set", "g.count=0", "--set", "c.count=1")
    try:
        lab.command("up", *few)
        lab.on("sms", "echo mine >/root/kept; echo mine >/home/user1/kept")
        lab.command("snapshot", "here")
        lab.on("sms", "rm /root/kept /home/user1/kept")
        process = subprocess.Popen(
            [*LAB, "restore", "-l", lab.name, "here", "-y", "--progress", "plain"],
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert process.stderr is not None
        with process.stderr:
            assert any(said in line for line in process.stderr)
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)
        assert '"pending": "here"' in lab.command("status", "--json").stdout
        done = lab.command("up", *few, "--progress", "plain")
        assert "complete the interrupted restore: here" in done.stderr
        assert lab.on("sms", "cat /root/kept /home/user1/kept").split() == ["mine", "mine"]
        assert lab.states() == {"c1": "idle"}
        assert '"pending": "here"' not in lab.command("status", "--json").stdout
    finally:
        lab.command("down", "-y")
