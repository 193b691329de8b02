"""A cluster of scripted shells for testing checks: no engine, no processes."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network

from lab.checks.shell_pool import ShellPool
from lab.errors import LabError
from lab.model import ClusterSpec, Interface, Network, Node, NodeStatus, Power, Role, Tag
from lab.polling import Clock, monotonic

LOGIN_MAC = "52:54:00:1a:2b:3c"


class SlowError(LabError):
    """What a scripted shell raises for a command that takes too long."""


@dataclass(frozen=True)
class Said:
    """An answer of a scripted shell."""

    exit_status: int
    output: str


Answering = Callable[[str, float], Said]


def _node(name: str, role: Role, mac: str, address: str, tag: Tag = Tag.CPU) -> Node:
    card = Interface("eth0", "internal", mac, IPv4Address(address))
    return Node(name, role, tag, 2, 1024, 20, 0, (card,), registered=role is not Role.LOGIN)


def small_spec(lab: str = "lab") -> ClusterSpec:
    """The tutorial's cluster, without GPU nodes."""
    return ClusterSpec(
        lab=lab,
        backend="fake",
        networks=(Network("internal", IPv4Network("172.16.0.0/16")),),
        nodes=(
            _node("sms", Role.SMS, "52:54:00:00:00:01", "172.16.0.1"),
            _node("login", Role.LOGIN, LOGIN_MAC, "172.16.0.2"),
            _node("c1", Role.COMPUTE, "52:54:00:00:01:01", "172.16.1.1"),
            _node("c2", Role.COMPUTE, "52:54:00:00:01:02", "172.16.1.2"),
        ),
    )


class FakeShell:
    """One shell of a scripted world."""

    def __init__(self, world: World, node: str, user: str) -> None:
        self.world, self.node, self.user = world, node, user
        self.closed = False
        self.busy = threading.Lock()

    def run(self, command: str, timeout: float) -> Said:
        """Looks the command up among the rules; two at once in one shell would be a bug."""
        if not self.busy.acquire(blocking=False):
            raise AssertionError("two commands at once in one shell")
        try:
            with self.world.lock:
                self.world.ran.append((self.node, self.user, command))
            return self.world.answer(self.node, command, timeout)
        finally:
            self.busy.release()

    def close(self) -> None:
        """Notes that it was closed."""
        self.closed = True


@dataclass
class World:
    """Rules that answer commands, nodes that are up or not, and a record of what was asked."""

    spec: ClusterSpec = field(default_factory=small_spec)
    rules: list[tuple[str, str, Said | Answering]] = field(default_factory=list)
    down: dict[str, NodeStatus] = field(default_factory=dict)
    shells: list[FakeShell] = field(default_factory=list)
    ran: list[tuple[str, str, str]] = field(default_factory=list)
    engine_gone: bool = False
    now: float = 0.0  # for tests that move the clock
    lock: threading.Lock = field(default_factory=threading.Lock)

    def says(self, node: str, pattern: str, output: str = "", status: int = 0) -> World:
        """Adds a rule; later rules win."""
        self.rules.append((node, pattern, Said(status, output)))
        return self

    def does(self, node: str, pattern: str, action: Answering) -> World:
        """Adds a rule that computes its answer."""
        self.rules.append((node, pattern, action))
        return self

    def answer(self, node: str, command: str, timeout: float) -> Said:
        """The answer of the last rule that fits."""
        for place, pattern, said in reversed(self.rules):
            if place == node and re.search(pattern, command):
                return said if isinstance(said, Said) else said(command, timeout)
        return Said(127, f"{command}: no rule")

    def open_shell(self, node: str, user: str) -> FakeShell:
        """Opens a shell, where the node is up."""
        if self.engine_gone or node in self.down:
            raise LabError(f"cannot enter {node}")
        shell = FakeShell(self, node, user)
        with self.lock:
            self.shells.append(shell)
        return shell

    def status(self) -> Sequence[NodeStatus]:
        """How every node stands."""
        if self.engine_gone:
            raise LabError("the engine does not answer")
        return [self.down.get(node.name, NodeStatus(node.name, Power.ON, "init")) for node in self.spec.nodes]

    def room(self, clock: Clock = monotonic) -> ShellPool:
        """The shells of one run of checks."""
        return ShellPool(self.spec, self.open_shell, self.status, slow=SlowError, clock=clock)
