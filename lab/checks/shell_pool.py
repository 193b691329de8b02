"""Open shells that the checks of one run share, facts that were just read, and the time a check may use."""

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
PATIENCE_FOR_A_SHELL = 0.3  # seconds to wait for a busy shell before opening another one
FRESH = 1.0  # seconds during which a fact is not asked for again


class Answer(Protocol):
    """What a command in a node gave back."""

    @property
    def exit_status(self) -> int:
        """Exit status of the command."""

    @property
    def output(self) -> str:
        """What it printed, errors included."""


class Shell(Protocol):
    """An open shell in a node."""

    def run(self, command: str, timeout: float) -> Answer:
        """Runs a command; raises `CommandTimeout` or another `LabError` when it gives no answer."""

    def close(self) -> None:
        """Ends the shell."""


OpenShell = Callable[[str, str], Shell]  # node, user


@dataclass
class _NodeShells:
    """The shells of one user on one node."""

    free: list[Shell] = field(default_factory=list)
    made: int = 0


class ShellPool:
    """What all checks of one run share: a few open shells per node, and facts just read."""

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
        self.slow = slow  # what a shell raises when a command outlives its time
        self.status = status
        self._open_shell = open_shell
        self._benches: dict[tuple[str, str], _NodeShells] = {}
        self._change = threading.Condition()
        self._facts: dict[tuple[str, str, str], tuple[float, object]] = {}
        self._asking: dict[tuple[str, str, str], threading.Lock] = {}

    @contextmanager
    def shell(self, node: str, user: str) -> Iterator[Shell]:
        """Lends a shell: a free one, or a new one when all have been busy for a while."""
        bench, shell = self._borrow(node, user)
        healthy = False
        try:
            yield shell
            healthy = True
        except self.slow:
            healthy = True  # the shell has interrupted the command and is at its prompt again
            raise
        finally:
            self._give_back(bench, shell if healthy else None)
            if not healthy:
                _close(shell)

    def _borrow(self, node: str, user: str) -> tuple[_NodeShells, Shell]:
        with self._change:
            bench = self._benches.setdefault((node, user), _NodeShells())
            if not bench.free and bench.made:
                full = bench.made >= SHELLS_PER_NODE
                self._change.wait_for(lambda: bool(bench.free), None if full else PATIENCE_FOR_A_SHELL)
            if bench.free:
                return bench, bench.free.pop()
            bench.made += 1
        try:
            return bench, self._open_shell(node, user)
        except BaseException:
            self._give_back(bench, None)
            raise

    def _give_back(self, bench: _NodeShells, shell: Shell | None) -> None:
        with self._change:
            if shell is None:
                bench.made -= 1
            else:
                bench.free.append(shell)
            self._change.notify_all()

    def fact(self, key: tuple[str, str, str], ask: Callable[[], T]) -> T:
        """Returns a fact read a moment ago by another check, or asks for it."""
        with self._change:
            lock = self._asking.setdefault(key, threading.Lock())
        with lock:
            known = self._facts.get(key)
            if known and self.clock() - known[0] < FRESH:
                return cast("T", known[1])
            answer = ask()
            self._facts[key] = (self.clock(), answer)
            return answer

    def close(self) -> None:
        """Ends every shell that nobody holds."""
        with self._change:
            shells = [shell for bench in self._benches.values() for shell in bench.free]
            self._benches.clear()
        for shell in shells:
            _close(shell)


def _close(shell: Shell) -> None:
    try:
        shell.close()
    except (LabError, OSError):
        return  # it was no use any more, which is why it is being closed


class TimeBudget:
    """Seconds of a node's time that one look of a check may still use; waiting for a shell is free."""

    def __init__(self, seconds: float) -> None:
        self.left = seconds
