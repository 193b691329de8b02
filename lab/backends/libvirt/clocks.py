"""Clocks of machines that were put back: they stand where they were saved, and a reboot would take one ahead.

The firmware's clock goes with the host's. So a machine that is booted after its lab was put back would be
ahead of the others, and munge refuses credentials of another time. All are therefore set together.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from lab.backends.base import Say
from lab.backends.libvirt import door
from lab.backends.shared import each
from lab.errors import LabError
from lab.run import run

TOLERATED = 200.0  # seconds: munge takes credentials of 300 (munge.conf, TTL)
ENTER_SECONDS = 60.0
# Slurm takes a step of its clock for a long silence of all nodes; begun anew it does not.
AFTERWARDS = "systemctl try-restart slurmctld"


def set_forward(lab: str, sms: str, nodes: Sequence[str], lag: float, say: Say) -> None:
    """Sets the clocks of machines whose systems run, when they are far behind; says which it could not."""
    if lag < TOLERATED:
        return
    say(f"setting clocks forward by {lag:.0f} s")
    each(nodes, lambda node: _set(lab, node, say))
    if sms in nodes:
        _enter(lab, sms, AFTERWARDS)


def _set(lab: str, node: str, say: Say) -> None:
    # Opened first, so that the time is not old when it arrives.
    why_not = _enter(lab, node, "true") or _enter(lab, node, f"date --utc --set=@{time.time():.0f}")
    if why_not:
        say(f"{node}: its clock stays behind: {why_not}")


def _enter(lab: str, node: str, command: str) -> str:
    """Runs a command; returns why it did not succeed, or nothing."""
    argv = door.argv(lab, node, ["sh", "-c", command], user="root", tty=False)
    try:
        done = run(argv, timeout=ENTER_SECONDS, check=False)
    except LabError as problem:
        return problem.message
    return "" if done.status == 0 else done.stderr.strip()[-200:] or f"status {done.status}"
