"""How the harness reaches a node: shells, commands, facts."""

from __future__ import annotations

import shlex
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from lab.backends.archives import unpack_command
from lab.backends.base import Backend
from lab.backends.hang_up import new_mark
from lab.facts.fact import Fact
from lab.foreground import Guard
from lab.model import Node
from lab.nodes import copying
from lab.nodes.interactive import Session
from lab.nodes.shell import Console, Result
from lab.nodes.transcript import prune
from lab.nodes.unpacking import LeftOut
from lab.polling import Sleep, pause
from lab.process import Done, ProcessTimeout, run, run_bytes

T = TypeVar("T")
SHELL = ("/bin/sh",)
RUN_SECONDS = 30.0
COPY_SECONDS = 600.0


class NodeClient:
    """One node of a lab; keeps one open console for each user, for the harness's own questions.

    What checks and solutions type, through `open_console` and `session`, is written to `transcripts`, the
    lab's folder below that of all labs. Time limits are in seconds of a quiet host, and follow the backend's
    `host_speed`.
    """

    def __init__(self, lab: str, node: Node, backend: Backend, transcripts: Path | None = None) -> None:
        self.node = node
        self._lab = lab
        self._backend = backend
        self._transcripts = transcripts
        self._consoles: dict[str, Console] = {}
        self._lock = threading.Lock()

    @property
    def name(self) -> str:
        """The node's name."""
        return self.node.name

    def console(self, user: str = "root") -> Console:
        """The shared shell of that user; opened at its first use, may be used by several threads in turn."""
        with self._lock:
            if user not in self._consoles:
                self._consoles[user] = Console(self._shell(user), speed=self._backend.host_speed)
            return self._consoles[user]

    def open_console(self, user: str = "root") -> Console:
        """A new shell; the caller closes it."""
        return Console(self._shell(user), self._transcript(user), speed=self._backend.host_speed)

    def session(
        self, user: str, show: Callable[[str], None], *, slow: bool = False, sleep: Sleep = pause
    ) -> Session:
        """A bash login shell whose terminal is shown."""
        argv = self._backend.shell(self._lab, self.name, ("/bin/bash", "-l"), user=user, tty=True)
        speed = self._backend.host_speed
        return Session(argv, show, self._transcript(user), slow=slow, sleep=sleep, speed=speed)

    def run(self, command: str, user: str = "root", timeout: float = RUN_SECONDS) -> Result:
        """Runs a command in the shared shell."""
        return self.console(user).run(command, timeout)

    def fact(self, fact: Fact[T], user: str = "root", timeout: float = RUN_SECONDS) -> T:
        """Reads a fact through the shared shell."""
        result = self.run(fact.command, user, timeout)
        return fact.read(result.exit_status, result.output)

    def execute(self, command: str, *, timeout: float, user: str = "root", check: bool = False) -> Done:
        """Runs one command without a terminal, in a process of its own: quicker for a single question."""
        way = self._way(["/bin/sh", "-c", command], user)
        try:
            return run(way.argv, timeout=self._backend.host_speed.limit(timeout), check=check)
        except ProcessTimeout:
            Guard(way.hang_up).hang_up()  # the client is gone, and the command is not
            raise

    def copy_in(self, tar: bytes, folder: str) -> None:
        """Unpacks a tar archive into a folder of the node's running system."""
        run_bytes(
            self._command(unpack_command(folder)),
            stdin=tar,
            timeout=self._backend.host_speed.limit(COPY_SECONDS),
        )

    def send(self, source: str, target: str) -> list[str]:
        """Copies a file or folder of the host into the node's running system; returns what tar remarked."""
        way = self._way(copying.unpack_command(source, target))
        return copying.send(source, way, f"{self.name}:{target}")

    def receive(self, source: str, target: str) -> list[LeftOut]:
        """Copies a file or folder of the node's running system to the host; returns what was left out."""
        way = self._way(copying.pack_command(source))
        return copying.receive(source, target, way, f"{self.name}:{source}")

    def update_nodes(self, names: tuple[str, ...], order: str) -> Result:
        """On the SMS: sets the state of nodes in Slurm, e.g. with `state=resume`."""
        return self.run(f"scontrol update nodename={shlex.quote(','.join(names))} {order}", timeout=10.0)

    def close(self) -> None:
        """Closes the shared shells."""
        with self._lock:
            for console in self._consoles.values():
                console.close()
            self._consoles.clear()

    def _way(self, words: list[str], user: str = "root") -> copying.Way:
        """A process that runs a command without a terminal, and one that ends the command in the node."""
        mark = new_mark()
        argv = self._backend.shell(self._lab, self.name, words, user=user, tty=False, mark=mark)
        return copying.Way(argv, self._backend.hang_up(self._lab, self.name, mark))

    def _command(self, words: list[str]) -> list[str]:
        """A process that runs a command as root without a terminal, so that all bytes pass unchanged."""
        return self._backend.shell(self._lab, self.name, words, user="root", tty=False)

    def _shell(self, user: str) -> list[str]:
        return self._backend.shell(self._lab, self.name, SHELL, user=user, tty=True)

    def _transcript(self, user: str) -> Path | None:
        if self._transcripts is None:
            return None
        prune(self._transcripts)
        return self._transcripts / f"{self.name}-{user}.log"
