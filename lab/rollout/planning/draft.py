"""One step in the making: what is known now, the records as they change, the actions so far."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from lab.rollout.planning.actions import Action, Drain, Look
from lab.rollout.planning.memory import ACTIVE, FINAL, Memory, Mode, Phase, Record
from lab.rollout.planning.moment import foreign, leftover
from lab.rollout.planning.nodes import Node, Probe
from lab.rollout.planning.policy import Clock, Policy

LOOKS_AT_ONCE = 16
"""Probes in one step, so that a step takes seconds even if every node is silent."""


class Draft:
    """Mutable, and private to the planner: a step begins with it and freezes it at its end."""

    def __init__(
        self,
        memory: Memory,
        view: Mapping[str, Node],
        probes: Mapping[str, Probe],
        clock: Clock,
        policy: Policy,
    ) -> None:
        self.memory = memory
        self.records = dict(memory.records)
        self.view = view
        self.probes = probes
        self.clock = clock
        self.now = clock.now
        self.policy = policy
        self.actions: list[Action] = []
        self._looks: list[str] = []

    def change(self, name: str, **fields: Any) -> Record:
        """Replaces fields of a record; notes the time when a node becomes final."""
        record = self.records[name]
        phase = fields.get("phase", record.phase)
        if phase in FINAL and record.phase not in FINAL:
            fields.setdefault("ended_at", self.now)
        self.records[name] = replace(record, **fields)
        return self.records[name]

    def act(self, action: Action) -> None:
        """Adds an action."""
        self.actions.append(action)

    def look(self, name: str) -> None:
        """Has a node that is on its way probed, when its turn comes."""
        self._looks.append(name)

    def take_looks(self) -> int:
        """Probes those that have waited longest for it; returns how many more this step may have."""
        longest = sorted(self._looks, key=lambda name: self.records[name].looked_at)[:LOOKS_AT_ONCE]
        for name in longest:
            self.change(name, looked_at=self.now)
            self.act(Look(name))
        return LOOKS_AT_ONCE - len(longest)

    def ours(self, node: Node) -> bool:
        """Whether its reason in Slurm is of this rollout."""
        return node.reason == self.memory.token or node.reason.startswith(f"{self.memory.token} ")

    def foreign(self, node: Node) -> bool:
        """Whether somebody else set its reason, so that it is left alone. Former rollouts are not others."""
        return foreign(node)

    def leftover(self, node: Node | None) -> bool:
        """Whether our drain stands with no request below it, so that it has to be lifted."""
        return node is not None and leftover(node, self.memory.token)

    def usable(self, node: Node | None) -> bool:
        """Whether its reboot may be requested: it is in service, or out of service by our doing alone."""
        if node is None or node.reboot_pending or node.reboot_issued:
            return False
        return node.available or not (self.foreign(node) or "POWERED_DOWN" in node.states)

    def active(self) -> list[str]:
        """The nodes that are on their way."""
        return [name for name, record in self.records.items() if record.phase in ACTIVE]

    def fail(self, name: str, why: str) -> None:
        """Gives a node up. One that rebooted and takes jobs is drained, so that it gets no more."""
        record = self.change(name, phase=Phase.FAILED, note=why)
        node = self.view.get(name)
        if record.touched and node is not None and node.available:
            self.hold(name)

    def hold(self, name: str) -> None:
        """Drains a node that did not pass; with the words of somebody whose drain the reboot has lifted."""
        self.act(Drain(name, self.records[name].drain or f"{self.memory.token} did not pass"))

    @property
    def halting(self) -> bool:
        """No new reboot, and what has not begun is cancelled."""
        return self.memory.stopping or self.memory.mode is Mode.ABORT

    @property
    def open(self) -> bool:
        """Whether the policy's time of day has come."""
        return self.policy.window is None or self.policy.window.contains(self.clock.minute)
