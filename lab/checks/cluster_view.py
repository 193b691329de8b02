"""The cluster as a check sees it: shells in nodes, facts read there, and how each node stands."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol, TypeVar, cast

from lab.errors import LabError
from lab.facts.fact import FactError
from lab.model import ClusterSpec, Node, NodeStatus, Power, Role, Root

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
Clock = Callable[[], float]

SHELLS_PER_NODE = 4
PATIENCE_FOR_A_SHELL = 0.3  # seconds to wait for a busy shell before opening another one
BOOTED = "init"  # the last stage of a boot: the node's own system runs
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


class Question(Protocol[T_co]):
    """A fact: a command and the parser of its output."""

    @property
    def command(self) -> str:
        """What is typed."""

    @property
    def parse(self) -> Callable[[int, str], T_co]:
        """Turns exit status and output into the fact."""


OpenShell = Callable[[str, str], Shell]  # node, user


class NoAnswerError(Exception):
    """A command in a node did not end in the time it was given."""

    def __init__(self, node: str, command: str, seconds: float) -> None:
        super().__init__(f"{command!r} on {node} gave no answer within {seconds:.0f} s")
        self.node = node
        self.command = command
        self.seconds = seconds


class NotUpError(Exception):
    """A node could not be entered: it is off, on its way up or down, or opens no shell."""

    def __init__(self, node: str, state: str, *, look: str, hint: str = "") -> None:
        super().__init__(f"{node} cannot be entered: {state}")
        self.node = node
        self.state = state
        self.look = look
        self.hint = hint


class RefusedError(Exception):
    """A command that tells a fact said that it failed; what it printed is the evidence."""

    def __init__(self, node: str, command: str, status: int, output: str) -> None:
        super().__init__(f"{command!r} on {node} ended with status {status}")
        self.node = node
        self.command = command
        self.status = status
        self.output = output


@dataclass
class _Bench:
    """The shells of one user on one node."""

    free: list[Shell] = field(default_factory=list)
    made: int = 0


class Room:
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
        self._benches: dict[tuple[str, str], _Bench] = {}
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

    def _borrow(self, node: str, user: str) -> tuple[_Bench, Shell]:
        with self._change:
            bench = self._benches.setdefault((node, user), _Bench())
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

    def _give_back(self, bench: _Bench, shell: Shell | None) -> None:
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


class Budget:
    """Seconds of a node's time that one look of a check may still use; waiting for a shell is free."""

    def __init__(self, seconds: float) -> None:
        self.left = seconds


class NodeView:
    """One node: its name, what its card is called by, and a way to run commands in it."""

    def __init__(self, room: Room, node: Node, budget: Budget) -> None:
        self._room = room
        self._node = node
        self._budget = budget
        self.name = node.name
        self.mac = node.mac
        self.memory = node.memory

    @property
    def address(self) -> str:
        """Its address on the internal network."""
        return str(self._node.address)

    def run(self, command: str, *, user: str = "root", timeout: float = 15.0) -> Answer:
        """Runs a command and returns its exit status and output, whatever they are."""
        limit = min(timeout, self._budget.left)
        if limit <= 0:
            raise NoAnswerError(self.name, command, timeout)
        with self._entered(user) as shell:
            started = self._room.clock()
            try:
                return shell.run(command, limit)
            except self._room.slow as error:
                raise NoAnswerError(self.name, command, limit) from error
            finally:
                self._budget.left -= self._room.clock() - started

    @contextmanager
    def _entered(self, user: str) -> Iterator[Shell]:
        try:
            with self._room.shell(self.name, user) as shell:
                yield shell
        except self._room.slow:
            raise
        except LabError as problem:
            raise self._absence(problem, user) from problem

    def _absence(self, problem: LabError, user: str) -> NotUpError:
        state = self.state()
        if state.power is Power.OFF:
            return NotUpError(self.name, as_phrase(state), look=f"lab power on {self.name}")
        if state.power is not Power.ON or state.stage not in ("", BOOTED):
            return NotUpError(self.name, as_phrase(state), look=f"lab console {self.name}")
        said = f"{problem.message}\n{problem.evidence}".strip().splitlines()[-1]
        return NotUpError(
            self.name,
            f"it is up, but opens no shell for {user}: {said}",
            look=f"lab shell {self.name} -u {user}",
            hint="Is it just going down? If not, a mistake in ~/.profile or /etc/profile may end every shell"
            + (f"; `lab reset {self.name}` makes it anew." if self._node.role is not Role.SMS else "."),
        )

    def fact(self, question: Question[T], *, user: str = "root", timeout: float = 15.0) -> T:
        """Reads a fact in the node."""

        def ask() -> T:
            answer = self.run(question.command, user=user, timeout=timeout)
            try:
                return question.parse(answer.exit_status, answer.output)
            except FactError as error:
                if answer.exit_status == 0:
                    raise  # it succeeded, and its parser does not understand it: our fault
                raise RefusedError(self.name, question.command, answer.exit_status, answer.output) from error

        return self._room.fact((self.name, user, question.command), ask)

    @property
    def is_off(self) -> bool:
        """Whether its power is off."""
        return self.state().power is Power.OFF

    def state(self) -> NodeStatus:
        """Says how the node stands without entering it: power and the boot agent's last word."""
        found = (item for item in self._room.status() if item.name == self.name)
        return next(found, NodeStatus(self.name, Power.ABSENT))


class Cluster:
    """The cluster, for one look of one check."""

    def __init__(self, room: Room, budget: Budget) -> None:
        self._room = room
        self._budget = budget
        self.spec = room.spec

    def node(self, name: str) -> NodeView:
        """The node of that name."""
        return NodeView(self._room, self.spec.node(name), self._budget)

    @property
    def sms(self) -> NodeView:
        """The head node."""
        return self.node(self.spec.sms.name)

    @property
    def login(self) -> NodeView:
        """The login node."""
        return self.node(next(node.name for node in self.spec.nodes if node.role is Role.LOGIN))

    @property
    def root_kind(self) -> str:
        """The type of file system that `/` of a stateless node is."""
        return "tmpfs" if self.spec.root is Root.RAM else "overlay"

    @property
    def compute(self) -> tuple[NodeView, ...]:
        """The compute nodes."""
        return tuple(self.node(node.name) for node in self.spec.nodes if node.role is Role.COMPUTE)


def as_phrase(state: NodeStatus) -> str:
    """Says in words how a node stands."""
    if state.power is not Power.ON:
        return f"power is {state.power.value}"
    return f"stage {state.stage or 'unknown'}" + (f": {state.detail}" if state.detail else "")
