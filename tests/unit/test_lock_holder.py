"""Whether the process that holds a lock still runs: on this host exactly, on another one not at all."""

from __future__ import annotations

import os
import signal
import subprocess
from dataclasses import replace

import pytest

from lab.lock_holder import (
    UNREADABLE,
    Life,
    Place,
    holder_from_json,
    life,
    start_of,
    this_place,
    this_process,
)

HERE = Place("teach1", "0f" * 16, "boot-2", "pid:[1]")
HOLDER = replace(this_process("lab up", 1000.0), place=HERE, pid=7, started=100)


def test_a_holder_survives_its_text() -> None:
    assert holder_from_json(HOLDER.to_json()) == HOLDER
    real = this_process("lab up", 12.5)
    assert holder_from_json(real.to_json()) == real


@pytest.mark.parametrize(
    ("place", "start", "found"),
    [
        (HERE, 100, Life.RUNS),
        (HERE, 101, Life.ENDED),  # the number is another process's by now
        (HERE, None, Life.ENDED),
        (HERE, UNREADABLE, Life.UNSEEN),  # /proc is closed, and a process has that number
        (replace(HERE, boot="boot-1"), None, Life.ENDED),  # this host has booted since
        (replace(HERE, boot="boot-1", machine=""), None, Life.UNSEEN),
        (replace(HERE, boot="boot-1", host="teach2"), None, Life.UNSEEN),  # a copy of this host
        (replace(HERE, boot="boot-1", machine="other"), None, Life.UNSEEN),
        (replace(HERE, pids="pid:[2]"), 100, Life.UNSEEN),  # a container on this host
    ],
)
def test_only_what_can_be_seen_is_called_ended(place: Place, start: int | None, found: Life) -> None:
    assert life(replace(HOLDER, place=place), HERE, lambda _pid: start) is found


def test_a_process_of_this_host_is_seen_until_it_ends_even_if_nobody_reaps_it() -> None:
    place = this_place()
    with subprocess.Popen(["sleep", "60"]) as child:
        started = start_of(child.pid)
        assert started is not None
        holder = replace(HOLDER, place=place, pid=child.pid, started=started)
        assert life(holder, place) is Life.RUNS
        os.kill(child.pid, signal.SIGKILL)
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # it has ended, and is a zombie
        assert life(holder, place) is Life.ENDED
    assert start_of(child.pid) is None
