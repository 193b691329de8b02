"""Runs the planner in a simulated cluster, killed and resumed as a test wants it; checks each step."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

from lab.rollout.planning import waves
from lab.rollout.planning.actions import BeforeWave, Decision, Request
from lab.rollout.planning.capacity import groups_of, needs
from lab.rollout.planning.memory import ACTIVE, Memory, Mode, Phase
from lab.rollout.planning.nodes import Probe
from lab.rollout.planning.policy import Clock, Policy
from lab.rollout.planning.step import step
from lab.rollout.settings import Settings
from lab.rollout.storage.encoding import decode, encode
from tests.unit.rollout.simulated import NEW, TOKEN, Broken, World


class History:
    """A rollout in a world. After a kill its memory is what was in the state file."""

    def __init__(self, world: World, policy: Policy | None = None) -> None:
        self.world = world
        self.policy = policy or Policy((NEW,), prove_first=world.prove_first)
        view = world.look()
        assert view is not None
        names = waves.ordered(view, view, self.policy.order)
        self.memory = Memory(TOKEN, world.now, waves.records(names, self.policy), world.now)
        self.probes: dict[str, Probe] = {}
        self.steps = 0
        self.between: Callable[[], None] = lambda: None
        self.minute = 0

    def step(self, killed: str = "") -> None:
        """One step of the loop; `killed` names where the program dies: save, act, half, probes."""
        self.steps += 1
        view = self.world.look()
        clock = Clock(self.world.now, self.minute)
        decision = step(self.memory, view, self.probes, clock, self.policy)
        self.probes = {}
        if killed == "save":
            self.memory = replace(self.memory, blind=True)
            return
        self.memory = decision.memory
        if view is not None:
            self.world.remembered()
        if killed:  # only what was saved is left
            kept = decode(json.loads(json.dumps(encode(Settings(self.policy), self.memory))))[1]
            self.memory = replace(kept, blind=True)
        if killed == "act":
            return
        actions = decision.actions[: len(decision.actions) // 2] if killed == "half" else decision.actions
        self.check_floors(Decision(decision.memory, actions))
        for action in actions:
            self.between()
            probe = self.world.do(action)
            if isinstance(action, BeforeWave):
                self.memory = replace(self.memory, opened=action.wave)
            elif probe is not None and not killed:
                self.probes[action.node] = probe
        if killed == "half" and len(decision.actions) > len(actions):
            self.world.do(decision.actions[len(actions)], dies=True)
        self.check_done()

    def check_floors(self, decision: Decision) -> None:
        """No request may take a group below its floor, nor more nodes than permitted."""
        asked = {action.node for action in decision.actions if isinstance(action, Request)}
        if not asked:
            return
        view = self.world.look()
        assert view is not None
        ours = {name for name, record in decision.memory.records.items() if record.phase in ACTIVE}
        for group, need in needs(self.policy.floors, view.values()).items():
            members = [node for node in view.values() if group in groups_of(node)]
            touched = any(node.name in asked and node.available for node in members)
            left = sum(node.available and node.name not in ours for node in members)
            if touched and left < need.least:
                raise Broken(f"{need.name}: {left} of {need.size} left, {need.least} are to stay")
        most = self.policy.max_unavailable.at_most(len(self.memory.records))
        if len(ours) > most:
            raise Broken(f"{len(ours)} nodes are away at once, {most} may be")

    def check_done(self) -> None:
        """Done is: rebooted, wanted image, passed health check."""
        for name, record in self.memory.records.items():
            node = self.world.nodes[name]
            good = node.image == NEW and not node.health_down and f"boot-{node.boot}" != record.boot_id
            if record.phase is Phase.DONE and not good:
                raise Broken(f"{name} counts as done: boot {node.boot}, {node.image}")

    def run(self, limit: int = 400, meanwhile: Callable[[int], str | None] | None = None) -> Memory:
        """Steps until it ends. `meanwhile` acts between steps, and may name where the next one dies."""
        killed = ""
        for number in range(limit):
            self.step(killed)
            if self.memory.outcome is not None:
                return self.memory
            self.world.tick()
            killed = (meanwhile(number) or "") if meanwhile else ""
        raise Broken(f"it has not ended after {limit} steps: {self.notes()}")

    def notes(self) -> dict[str, str]:
        return {name: f"{record.phase.value} {record.note}" for name, record in self.memory.records.items()}

    def say(self, mode: Mode) -> None:
        self.memory = replace(self.memory, mode=mode)

    def phases(self) -> dict[str, str]:
        return {name: record.phase.value for name, record in self.memory.records.items()}
