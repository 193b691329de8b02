"""A program that opens a shell or runs a command in a machine: enter LAB NODE USER WAY [WORD...].

WAY is `tty:MARK` or `pipe:MARK`, with or without a terminal; MARK may be empty (lab/backends/hang_up.py).

It looks for itself whether the machine is up, since whoever was given it as an argument list may start it
much later, and again after each reboot. Then it becomes ssh.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[4])

from lab.backends.libvirt import console_log  # noqa: E402 (found by the line above)
from lab.backends.libvirt.ssh_channel import NOT_UP, Closed, Door  # noqa: E402
from lab.backends.libvirt.storage import LabFolder  # noqa: E402
from lab.model import BOOTED  # noqa: E402
from lab.printable import printable_line  # noqa: E402
from lab.process import replace  # noqa: E402

SHELLS = ("preshell", "postshell")  # of the ramdisk: on the console
OPEN, OFF, SILENT, BROKEN = range(4)
WHY = {OFF: "its power is off", SILENT: "nobody answers at its door yet"}


def main(lab: str, node: str, user: str, way: str, *words: str) -> int:
    """Becomes the shell or the command; or says why it cannot."""
    folder = LabFolder(lab)
    text = console_log.read_since_power_on(folder.console(node))
    status = console_log.stage_of(node, "", text, time.time())
    if status.stage != BOOTED:
        told = f"stage {status.stage}{f' ({status.detail})' if status.detail else ''}"
        return refused(node, told, " --attach" if status.stage in SHELLS else "")
    door = Door(folder, node)
    code = opened(door, console_log.booted_at(text))
    if code == OPEN:
        kind, _, mark = way.partition(":")
        replace(door.argv(words or None, user=user, tty=kind == "tty", mark=mark))
    return refused(
        node, WHY.get(code) or f"its door cannot be opened: {door.last_words() or 'no reason given'}"
    )


def refused(node: str, why: str, attach: str = "") -> int:
    """Tells why there is no shell."""
    sys.stderr.write(f"error: {node} is not up: {printable_line(why)}\nhint: lab console {node}{attach}\n")
    return NOT_UP


def opened(door: Door, boot: str) -> int:
    """Opens the door in a process of its own: when its caller loses patience, the next one finds it open."""
    child = os.fork()
    if child == 0:
        code = BROKEN
        try:
            os.setsid()
            nowhere = os.open(os.devnull, os.O_RDWR)
            for number in range(3):
                os.dup2(nowhere, number)
            door.open(boot)
            code = OPEN
        except Closed as problem:
            code = OFF if problem.off else SILENT
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
