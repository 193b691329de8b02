"""Resynchronizes guest clocks after a memory restore: they continue from the moment of the save.

The firmware's clock goes with the host's. So a machine that is booted after its lab was put back would be
ahead of the others, and munge refuses credentials of another time. All are therefore set together, each by a
line on a serial port of its own (lab/guest/files/initramfs/lib/ssh-channel/clock).
"""

from __future__ import annotations

import socket
import time
from collections.abc import Sequence

from lab.backends.base import Say
from lab.backends.libvirt.storage import LabFolder
from lab.backends.parallel import for_each_parallel
from lab.polling import monotonic

TOLERATED = 200.0  # seconds: munge takes credentials of 300 (munge.conf, TTL)
ANSWER_SECONDS = 60.0


def set_forward(folder: LabFolder, nodes: Sequence[str], lag: float, say: Say) -> None:
    """Sets the clocks of machines whose systems run, when they are far behind; says which it could not."""
    if lag < TOLERATED:
        return
    say(f"setting clocks forward by {lag:.0f} s")
    for_each_parallel(nodes, lambda node: _set(folder, node, say))


def _set(folder: LabFolder, node: str, say: Say) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
        line.settimeout(ANSWER_SECONDS)
        try:
            line.connect(str(folder.clock(node)))
            _hear(line, b"ready\n")
            line.sendall(f"{time.time():.2f}\n".encode())  # after the wait, so that the time is not old
            _hear(line, b"set\n")
        except OSError as problem:
            say(f"{node}: its clock could not be set: {problem}")


def _hear(line: socket.socket, word: bytes) -> None:
    """Reads until the machine says a word; what else it says is forgotten, and its time is limited in all."""
    heard, ends = b"", monotonic() + ANSWER_SECONDS
    while word not in heard:
        if (left := ends - monotonic()) <= 0:  # of a machine that talks without pause, no read times out
            raise TimeoutError("timed out")
        line.settimeout(left)
        data = line.recv(1024)
        if not data:
            raise ConnectionResetError("it hung up")
        heard = heard[-len(word) :] + data
