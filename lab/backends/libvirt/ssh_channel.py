"""Shells in virtual machines: ssh over one lasting connection through each machine's door, a serial port.

The door does not depend on the lab's networks, on the machine's own ssh server or on its firewall. What the
server's key would prove, that we talk to the right machine, the socket proves: it is that machine's.
"""

from __future__ import annotations

import fcntl
import hashlib
import shlex
import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from lab.backends.hang_up import MARK
from lab.backends.libvirt.storage import LabFolder
from lab.host_speed import TRIVIAL, measured_limit, time_trivial_process
from lab.process import ProcessTimeout, run

ENTER = "/run/rackling/door/enter"
PROGRAM = Path(__file__).parent / "programs" / "ssh_entry.py"
PROXY = Path(__file__).parent / "programs" / "ssh_proxy.py"
GREETING_SECONDS = 35  # until a server greets on a quiet host; more than twice the time below
SILENCE_SECONDS = 15  # until a silent server is taken for one that waits for an earlier caller
TELL_SECONDS = 10.0  # what the process that keeps a connection may take to answer
KEPT = 4096  # characters of what ssh says until it has connected
LASTS = 600  # seconds an unused connection stays open
NOT_UP = 69  # EX_UNAVAILABLE of sysexits.h, as on containers


class Closed(Exception):
    """There is no way into the machine now."""

    def __init__(self, *, off: bool) -> None:
        super().__init__("off" if off else "silent")
        self.off = off


class Door:
    """The way into one machine."""

    def __init__(self, folder: LabFolder, node: str) -> None:
        self._folder = folder
        self._node = node
        self._log = folder.path / f"{node}.log"
        # Short: ssh adds letters of its own, and the path of a socket has 107 at most.
        self._control = folder.path / hashlib.sha256(node.encode()).hexdigest()[:8]

    def open(self, boot: str) -> None:
        """Sees to a connection to this boot of the machine; Closed when there is none to be had."""
        with self._alone():
            known = self._folder.path / f"{self._node}.boot"
            if known.exists() and known.read_text() == boot and self._tell("check"):
                return
            self.close()
            known.unlink(missing_ok=True)
            slowness = max(1.0, time_trivial_process() / TRIVIAL)
            argv = self._ssh("-N", "-f", master=True, slowness=slowness)
            try:
                done = run(argv, timeout=(GREETING_SECONDS + 10) * slowness, check=False)
            except ProcessTimeout:
                raise Closed(off=False) from None
            self._log.write_text(done.stderr[-KEPT:])
            if done.status != 0:
                raise Closed(off=self._is_off())
            known.write_text(boot)

    def last_words(self) -> str:
        """The last line that ssh wrote about the connection."""
        said = self._log.read_text(errors="replace") if self._log.exists() else ""
        return (said.strip().splitlines() or [""])[-1]

    def _is_off(self) -> bool:
        """Whether nobody listens at the door: QEMU does as long as the machine has power."""
        with socket.socket(socket.AF_UNIX) as line:
            try:
                line.connect(str(self._folder.door(self._node)))
            except OSError:
                return True
        return False

    def close(self) -> bool:
        """Ends the connection; says whether there was one."""
        if not self._control.exists():
            return False
        self._tell("exit")
        self._control.unlink(missing_ok=True)
        return True

    def argv(self, command: Sequence[str] | None, *, user: str, tty: bool, mark: str = "") -> list[str]:
        """The argument list that opens a shell or runs a command over the connection."""
        words = [*(["env", f"{MARK}={mark}"] if mark else []), "sh", ENTER, user, *(command or ())]
        return [*self._ssh("-tt" if tty else "-T"), shlex.join(words)]

    def _ssh(self, *flags: str, master: bool = False, slowness: float = 1.0) -> list[str]:
        words = [str(PROXY), str(self._folder.door(self._node)), f"{SILENCE_SECONDS * slowness:.0f}"]
        proxy = shlex.join([sys.executable, "-I", "-S", *words])
        options = {
            "ControlMaster": "yes" if master else "no",
            "ControlPath": str(self._control),
            "ControlPersist": str(LASTS),
            "ProxyCommand": proxy if master else "false",
            "IdentityFile": str(self._folder.key),
            "IdentitiesOnly": "yes",
            "BatchMode": "yes",
            "KexAlgorithms": "curve25519-sha256",  # the quickest, for processors that are emulated
            "StrictHostKeyChecking": "no",
            "UserKnownHostsFile": "/dev/null",
            "GlobalKnownHostsFile": "/dev/null",
            "ConnectTimeout": f"{GREETING_SECONDS * slowness:.0f}",
            "ServerAliveInterval": "30",
            "ServerAliveCountMax": "10",  # a machine that is emulated and starved may be silent for long
            "LogLevel": "ERROR",
        }
        pairs = [word for key, value in options.items() for word in ("-o", f"{key}={value}")]
        # No log (-E): ssh would write a line of each request that a hostile server makes, for hours. In the
        # background it has no other place to write to.
        return ["ssh", "-F", "none", *pairs, *flags, f"root@{self._node}"]

    def _tell(self, word: str) -> bool:
        argv = ["ssh", "-F", "none", "-S", str(self._control), "-O", word, f"root@{self._node}"]
        try:
            return run(argv, timeout=measured_limit(TELL_SECONDS), check=False).status == 0
        except ProcessTimeout:
            return False  # a connection that does not answer is as good as none

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Two callers at once make one connection."""
        with (self._folder.path / f"{self._node}.lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def argv(
    lab: str, node: str, command: Sequence[str] | None, *, user: str, tty: bool, mark: str = ""
) -> list[str]:
    """The argument list of a process that enters a machine, whenever it is started."""
    way = "tty" if tty else "pipe"
    return [sys.executable, str(PROGRAM), lab, node, user, f"{way}:{mark}", *(command or ())]
