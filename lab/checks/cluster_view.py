"""The cluster as a check sees it: shells in nodes, facts read there, and the state of each node."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol, TypeVar

from lab.checks.shell_pool import Answer, Shell, ShellPool, TimeBudget
from lab.errors import LabError
from lab.facts.fact import FactError
from lab.model import BOOTED, Node, NodeStatus, Power, Role, Root

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Question(Protocol[T_co]):
    """A fact: a command and the parser of its output."""

    @property
    def command(self) -> str:
        """The command."""

    @property
    def shown(self) -> str:
        """The command that learners are shown."""

    @property
    def parse(self) -> Callable[[int, str], T_co]:
        """Parses exit status and output."""


class NoAnswerError(Exception):
    """A command in a node did not end within its time limit."""

    def __init__(self, node: str, command: str, seconds: float) -> None:
        super().__init__(f"{command!r} on {node} gave no answer within {seconds:.0f} s")
        self.node = node
        self.command = command
        self.seconds = seconds


class NotUpError(Exception):
    """A node is off, still booting or shutting down, or opens no shell."""

    def __init__(self, node: str, state: str, *, look: str, hint: str = "") -> None:
        super().__init__(f"{node} cannot be entered: {state}")
        self.node = node
        self.state = state
        self.look = look
        self.hint = hint


class RefusedError(Exception):
    """The command of a fact failed; its output is the evidence."""

    def __init__(self, node: str, command: str, status: int, output: str) -> None:
        super().__init__(f"{command!r} on {node} ended with status {status}")
        self.node = node
        self.command = command
        self.status = status
        self.output = output


class NodeView:
    """One node as a check sees it: its name, its address, and a way to run commands in it."""

    def __init__(self, pool: ShellPool, node: Node, budget: TimeBudget) -> None:
        self._pool = pool
        self._node = node
        self._budget = budget
        self.name = node.name
        self.mac = node.mac
        self.memory = node.memory

    @property
    def address(self) -> str:
        """The address on the internal network."""
        return str(self._node.address)

    def run(self, command: str, *, user: str = "root", timeout: float = 15.0) -> Answer:
        """Runs a command and returns its exit status and output; a failure is no exception."""
        limit = min(timeout, self._budget.left)
        if limit <= 0:
            raise NoAnswerError(self.name, command, timeout)
        with self._entered(user) as shell:
            started = self._pool.clock()
            try:
                return shell.run(command, limit)
            except self._pool.slow as error:
                raise NoAnswerError(self.name, command, limit) from error
            finally:
                self._budget.left -= self._pool.clock() - started

    @contextmanager
    def _entered(self, user: str) -> Iterator[Shell]:
        try:
            with self._pool.shell(self.name, user) as shell:
                yield shell
        except self._pool.slow:
            raise
        except LabError as problem:
            raise self._absence(problem, user) from problem

    def _absence(self, problem: LabError, user: str) -> NotUpError:
        state = self.state()
        if state.power is Power.OFF:
            return NotUpError(self.name, as_phrase(state), look=f"lab power on {self.name}")
        if state.power is not Power.ON or state.stage not in ("", BOOTED):
            return NotUpError(self.name, as_phrase(state), look=f"lab console {self.name}")
        reason = f"{problem.message}\n{problem.evidence}".strip().splitlines()[-1]
        return NotUpError(
            self.name,
            f"it is up but opens no shell for {user}: {reason}",
            look=f"lab shell {self.name} -u {user}",
            hint="Is it shutting down? If not, an error in ~/.profile or /etc/profile may end every shell"
            + (f"; `lab reset {self.name}` provisions it again." if self._node.role is not Role.SMS else "."),
        )

    def fact(self, question: Question[T], *, user: str = "root", timeout: float = 15.0) -> T:
        """Reads a fact in the node."""

        def ask() -> T:
            try:
                answer = self.run(question.command, user=user, timeout=timeout)
            except NoAnswerError as silence:
                raise NoAnswerError(self.name, question.shown, silence.seconds) from silence
            try:
                return question.parse(answer.exit_status, answer.output)
            except FactError as error:
                if answer.exit_status == 0:
                    raise  # the command succeeded, so the parser is wrong, not the learner
                raise RefusedError(self.name, question.shown, answer.exit_status, answer.output) from error

        return self._pool.fact((self.name, user, question.command), ask)

    @property
    def is_off(self) -> bool:
        """Whether its power is off."""
        return self.state().power is Power.OFF

    def state(self) -> NodeStatus:
        """Returns power and boot stage, which the engine knows without entering the node."""
        found = (item for item in self._pool.status() if item.name == self.name)
        return next(found, NodeStatus(self.name, Power.ABSENT))


class ClusterView:
    """The cluster as one run of one check sees it."""

    def __init__(self, pool: ShellPool, budget: TimeBudget) -> None:
        self._pool = pool
        self._budget = budget
        self.spec = pool.spec

    def node(self, name: str) -> NodeView:
        """Returns the node of that name."""
        return NodeView(self._pool, self.spec.node(name), self._budget)

    @property
    def sms(self) -> NodeView:
        """The head node."""
        return self.node(self.spec.sms.name)

    @property
    def login(self) -> NodeView:
        """The login node."""
        return self.only(Role.LOGIN.value)

    def only(self, role: str) -> NodeView:
        """The node of a role that the lab has one of: `outside`, `runner`."""
        return self.node(next(node.name for node in self.spec.nodes if node.role.value == role))

    @property
    def root_kind(self) -> str:
        """The type of the root file system of stateless nodes: tmpfs or overlay."""
        return "tmpfs" if self.spec.root is Root.RAM else "overlay"

    @property
    def compute(self) -> tuple[NodeView, ...]:
        """The compute nodes."""
        return tuple(self.node(node.name) for node in self.spec.nodes if node.role is Role.COMPUTE)


def as_phrase(state: NodeStatus) -> str:
    """Writes power and boot stage as a phrase."""
    if state.power is not Power.ON:
        return f"power is {state.power.value}"
    return f"stage {state.stage or 'unknown'}" + (f": {state.detail}" if state.detail else "")
