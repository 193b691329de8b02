"""Shares open shells and recent facts between the checks of one run, and limits the time of a check."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol, TypeVar, cast

from lab.errors import LabError
from lab.model import ClusterSpec, NodeStatus

T = TypeVar("T")
Clock = Callable[[], float]

SHELLS_PER_NODE = 4
WAIT_FOR_SHELL = 0.3  # seconds to wait for a busy shell before another one is opened
FRESH = 1.0  # seconds for which a fact is not read again, at least


class Answer(Protocol):
    """Exit status and output of a command in a node."""

    @property
    def exit_status(self) -> int:
        """The exit status."""

    @property
    def output(self) -> str:
        """What the command printed, errors included."""


class Shell(Protocol):
    """An open shell in a node."""

    def run(self, command: str, timeout: float) -> Answer:
        """Runs a command; raises `CommandTimeout` or another `LabError` if there is no answer."""

    def close(self) -> None:
        """Closes the shell."""


OpenShell = Callable[[str, str], Shell]  # node, user


@dataclass
class _NodeShells:
    """The shells of one user on one node: those that are free, and the number of all."""

    free: list[Shell] = field(default_factory=list)
    made: int = 0


class ShellPool:
    """A few open shells for each node and user, and the facts read a moment ago."""

    def __init__(
        self,
        spec: ClusterSpec,
        open_shell: OpenShell,
        status: Callable[[], Sequence[NodeStatus]],
        *,
        slow: type[Exception],
        clock: Clock = time.monotonic,
    ) -> None:
        self.spec = spec
        self.clock = clock
        self.slow = slow  # what a shell raises if a command exceeds its time limit
        self.status = status
        self._open_shell = open_shell
        self._shells: dict[tuple[str, str], _NodeShells] = {}
        self._change = threading.Condition()
        self._facts: dict[tuple[str, str, str], tuple[float, object]] = {}  # fresh until then
        self._asking: dict[tuple[str, str, str], threading.Lock] = {}

    @contextmanager
    def shell(self, node: str, user: str) -> Iterator[Shell]:
        """Lends a shell for a block: a free one, or a new one if all stay busy."""
        node_shells, shell = self._borrow(node, user)
        healthy = False
        try:
            yield shell
            healthy = True
        except self.slow:
            healthy = True  # the shell has interrupted the command and shows its prompt again
            raise
        finally:
            self._give_back(node_shells, shell if healthy else None)
            if not healthy:
                _close(shell)

    def _borrow(self, node: str, user: str) -> tuple[_NodeShells, Shell]:
        with self._change:
            node_shells = self._shells.setdefault((node, user), _NodeShells())
            if not node_shells.free and node_shells.made:
                full = node_shells.made >= SHELLS_PER_NODE
                self._change.wait_for(lambda: bool(node_shells.free), None if full else WAIT_FOR_SHELL)
            if node_shells.free:
                return node_shells, node_shells.free.pop()
            node_shells.made += 1
        try:
            return node_shells, self._open_shell(node, user)
        except BaseException:
            self._give_back(node_shells, None)
            raise

    def _give_back(self, node_shells: _NodeShells, shell: Shell | None) -> None:
        with self._change:
            if shell is None:
                node_shells.made -= 1
            else:
                node_shells.free.append(shell)
            self._change.notify_all()

    def fact(self, key: tuple[str, str, str], ask: Callable[[], T]) -> T:
        """Returns a fact that is still fresh, else reads it with `ask`.

        A fact stays fresh for a second, or for as long as it took to read it.
        """
        with self._change:
            lock = self._asking.setdefault(key, threading.Lock())
        with lock:
            known = self._facts.get(key)
            if known and self.clock() < known[0]:
                return cast("T", known[1])
            began = self.clock()
            answer = ask()
            now = self.clock()
            self._facts[key] = (now + max(FRESH, now - began), answer)
            return answer

    def close(self) -> None:
        """Closes every free shell."""
        with self._change:
            free = [shell for node_shells in self._shells.values() for shell in node_shells.free]
            self._shells.clear()
        for shell in free:
            _close(shell)


def _close(shell: Shell) -> None:
    try:
        shell.close()
    except (LabError, OSError):
        return  # a shell that fails to close is already lost


class TimeBudget:
    """Seconds that the commands of one run of a check may still use; waiting for a shell does not count."""

    def __init__(self, seconds: float) -> None:
        self.left = seconds
