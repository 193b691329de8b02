"""A simulated Slurm and its nodes, after slurmctld 24.11: what it shows and forgets, what others do in it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from lab.rollout.planning.actions import (
    Action,
    BeforeWave,
    Drain,
    KillJobs,
    Look,
    Release,
    Request,
    Resume,
    Withdraw,
)
from lab.rollout.planning.moment import still_right
from lab.rollout.planning.nodes import Node, Probe
from lab.rollout.slurm.commands import HELD

NEW, OLD = "commit=bbbbbbbb", "commit=aaaaaaaa"
TOKEN = "rollout:20260101-000000-0000"
TICK = 5.0


class Broken(AssertionError):
    """A promise of rollout that an action breaks."""


@dataclass
class SimNode:
    """One node: what Slurm has of it, and what it is."""

    name: str
    partitions: tuple[str, ...] = ("all",)
    switches: tuple[str, ...] = ()
    base: str = "IDLE"
    flags: set[str] = field(default_factory=set)
    reason: str = ""
    undrain: bool = False  # cancelling its reboot lifts its drain, whosever it is
    job: int = 0  # ticks until its job ends
    boot: int = 1
    image: str = OLD
    ticks_to_boot: int = 2
    booting: int = -1
    waited: int = 0
    returns: bool = True
    boots: str = NEW
    silent: int = 0  # ticks for which no probe is answered
    unhealthy: int = 0  # ticks for which its health check fails after a boot
    health_down: int = 0

    @property
    def up(self) -> bool:
        return self.booting < 0

    def shown(self, *, known: bool = True) -> Node:
        base = "ALLOCATED" if self.job and self.base == "IDLE" else self.base
        base = base if known or base == "DOWN" else "UNKNOWN"
        return Node(
            self.name,
            frozenset({base, *self.flags}),
            busy=self.job > 0,
            reason=self.reason,
            partitions=self.partitions,
            switches=self.switches,
        )


class World:
    """Slurm, its nodes, and the people who work there, too."""

    def __init__(self, nodes: Iterable[SimNode], *, prove_first: bool = False, timeout: int = 20) -> None:
        self.nodes = {node.name: node for node in nodes}
        self.now = 1_000_000.0
        self.away = False
        self.settling = 0  # ticks for which slurmctld, started anew, knows of no node yet
        self.prove_first = prove_first
        self.timeout = timeout
        self.token = TOKEN
        self.human: dict[str, str] = {}
        self.seen: set[str] = set()  # whose drain rollout has seen, and kept in its memory
        self.by_slurm: set[str] = set()  # whose drain the end of a reboot has lifted
        self.cancelled: set[str] = set()
        self.lifted: set[str] = set()
        self.done: list[Action] = []
        self.killed_jobs = 0
        self.hooks: list[int] = []

    def remembered(self) -> None:
        """Rollout has kept in its memory what the last look has shown."""
        self.seen |= self.human.keys()

    def look(self) -> dict[str, Node] | None:
        return (
            None
            if self.away
            else {name: node.shown(known=not self.settling) for name, node in self.nodes.items()}
        )

    def restarted(self) -> None:
        """slurmctld answers again, and knows for a while of flags only."""
        self.away, self.settling = False, 2

    # ------------------------------------------------------------------ what rollout does

    def do(self, action: Action, *, dies: bool = False) -> Probe | None:
        """Carries an action out as the runner does; a probe is its only answer.

        `dies`: the program dies after the first of its commands that change something.
        """
        self.done.append(action)
        if isinstance(action, Look):
            return self._probe(self.nodes[action.node])
        if isinstance(action, BeforeWave):
            self.hooks.append(action.wave)
        elif not self.away and still_right(action, self.nodes[action.node].shown(known=not self.settling)):
            self._change(action, self.nodes[action.node], dies=dies)
        return None

    def _change(self, action: Action, node: SimNode, *, dies: bool) -> None:
        if isinstance(action, Request):
            in_service = node.shown(known=not self.settling).available
            self.update_drain(node.name, self.token if in_service else f"{self.token} {HELD}")
            if not dies:
                self.reboot(node.name)
        elif isinstance(action, Withdraw):
            self.cancel(node.name)
        elif isinstance(action, Release):
            self.undrain(node.name)
        elif isinstance(action, Resume):
            self.resume(node.name)
        elif isinstance(action, Drain):
            self.update_drain(node.name, action.reason)
        elif isinstance(action, KillJobs):
            self.kill_jobs(node.name)
        self.check_drains()

    def check_drains(self) -> None:
        """Nobody but Slurm, at the end of a reboot, lifts a drain of somebody's, not for a moment."""
        for name in self.human.keys() - self.by_slurm:
            if "DRAIN" not in self.nodes[name].flags:
                raise Broken(f"{name} is drained by somebody, and its drain was lifted")

    def _probe(self, node: SimNode) -> Probe:
        if not node.up or node.silent:
            return Probe(error="no answer within 20 s")
        return Probe(f"boot-{node.boot}", (node.image,), int(node.health_down > 0), "a check")

    # ------------------------------------------------------------------ what scontrol and scancel do

    def update_drain(self, name: str, reason: str) -> None:
        """`scontrol update State=DRAIN`: it does not change what a request remembers."""
        if name in self.human and "DRAIN" in self.nodes[name].flags:
            raise Broken(f"{name} is drained by somebody, and rollout has replaced the reason")
        self.nodes[name].flags.add("DRAIN")
        self.nodes[name].reason = reason

    def reboot(self, name: str) -> None:
        """`scontrol reboot ASAP` with a next state and no reason."""
        node = self.nodes[name]
        if name in self.human:
            raise Broken(f"{name} is drained by somebody, and its reboot was requested")
        if node.flags & {"REBOOT_REQUESTED", "REBOOT_ISSUED"}:
            return
        node.undrain = "DRAIN" not in node.flags
        node.flags |= {"REBOOT_REQUESTED", "DRAIN"}

    def cancel(self, name: str) -> None:
        """`scontrol cancel_reboot`: undoes the drain that came with the request, whosever it is by now."""
        node = self.nodes[name]
        if "REBOOT_REQUESTED" in node.flags:
            node.flags.discard("REBOOT_REQUESTED")
            if node.undrain:
                node.flags.discard("DRAIN")
                node.reason = ""

    def undrain(self, name: str) -> None:
        """`scontrol update State=UNDRAIN`."""
        self.nodes[name].flags.discard("DRAIN")

    def resume(self, name: str) -> None:
        """`scontrol update State=RESUME`."""
        node = self.nodes[name]
        if name in self.human:
            raise Broken(f"{name} is drained by somebody, and was resumed")
        if node.base == "DOWN":
            node.base = "IDLE"
        node.flags -= {"DRAIN", "REBOOT_REQUESTED", "REBOOT_ISSUED"}

    def kill_jobs(self, name: str) -> None:
        """`scancel --nodelist`."""
        self.killed_jobs += self.nodes[name].job > 0
        self.nodes[name].job = 0

    # ------------------------------------------------------------------ what others do

    def drain(self, name: str, reason: str = "disk is broken") -> None:
        self.nodes[name].flags.add("DRAIN")
        self.nodes[name].reason = reason
        self.human[name] = reason
        self.seen.discard(name)
        self.by_slurm.discard(name)

    def lift(self, name: str, reason: str = "") -> None:
        if self.human.pop(name, None) is not None:
            self.lifted.add(name)
            self.seen.discard(name)
            self.by_slurm.discard(name)
            self.nodes[name].flags.discard("DRAIN")
            self.nodes[name].reason = reason

    def drains_kept(self) -> bool:
        """Whether every node that somebody drained, and did not return, is out of service for that reason."""
        return all(
            not self.nodes[name].shown().available and self.nodes[name].reason.startswith(reason)
            for name, reason in self.human.items()
        )

    # ------------------------------------------------------------------ time

    def tick(self) -> None:
        self.now += TICK
        self.settling = max(0, self.settling - (not self.away))
        for node in self.nodes.values():
            node.silent = max(0, node.silent - 1)
            if node.up:
                node.health_down = max(0, node.health_down - 1)
            self._run(node)
            self._boot(node)
            if not self.away:
                self._controller(node)

    def _run(self, node: SimNode) -> None:
        if node.job:
            if not node.up:
                raise Broken(f"{node.name} rebooted under a job")
            node.job -= 1

    def _boot(self, node: SimNode) -> None:
        if node.booting > 0 and node.returns:
            node.booting -= 1
        if node.booting == 0:
            node.booting, node.boot, node.image = -1, node.boot + 1, node.boots
            node.health_down = node.unhealthy

    def _controller(self, node: SimNode) -> None:
        if "REBOOT_ISSUED" in node.flags:
            node.waited += 1
            if node.up:
                self._register(node)
            elif node.waited > self.timeout:
                node.flags.discard("REBOOT_ISSUED")
                node.reason += " : reboot timed out"
        elif "REBOOT_REQUESTED" in node.flags and not node.job:
            node.flags.discard("REBOOT_REQUESTED")
            node.flags.add("REBOOT_ISSUED")
            node.base, node.waited, node.booting = "DOWN", 0, node.ticks_to_boot
            node.reason += " : reboot issued"

    def _lifts(self, name: str) -> None:
        """Slurm lifts somebody's drain. One of a node in service that rollout never saw is lost: a limit."""
        self.by_slurm.add(name)
        if name not in self.seen and not self.prove_first:
            self.lift(name, reason=self.nodes[name].reason)

    def _register(self, node: SimNode) -> None:
        node.flags.discard("REBOOT_ISSUED")
        # node_mgr.c, validate_node_specs: with a next state the drain goes, whosever it is. Its reason stays.
        node.flags.discard("DRAIN")
        if node.name in self.human:
            self._lifts(node.name)
        if self.prove_first:
            node.reason += " : reboot complete"
        else:
            node.base = "IDLE"
