"""The loop: look, plan, save, act. Whatever is lost with the process is found again by the next look."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from lab.rollout.errors import HOOK, INTERRUPTED, RolloutError, printable
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
from lab.rollout.planning.memory import Memory, Phase, Record
from lab.rollout.planning.moment import CHANGES_A_DRAIN, still_right
from lab.rollout.planning.nodes import Node, Probe
from lab.rollout.planning.policy import Clock
from lab.rollout.planning.step import step
from lab.rollout.probing import Prober
from lab.rollout.programs import Finished, run
from lab.rollout.settings import Settings
from lab.rollout.slurm.commands import Slurm, SlurmError, no_slurm
from lab.rollout.storage.files import StateDirectory

SAVE_EVERY = 20.0
"""Seconds after which a state is saved even if only its time has changed."""


def clock() -> Clock:
    """The time now."""
    now = time.time()
    local = time.localtime(now)
    return Clock(now, local.tm_hour * 60 + local.tm_min)


@dataclass(frozen=True)
class Outside:
    """What the loop is given: how to wait, to tell, and to run programs."""

    wait: Callable[[float], bool]
    """Waits for seconds; whether it was told to end."""
    tell: Callable[[str, str], None]
    """Reports an event: a node (or nothing) and a sentence."""
    execute: Callable[..., Finished] = run
    clock: Callable[[], Clock] = clock
    monotonic: Callable[[], float] = field(default=time.monotonic)


class Runner:
    """Runs one rollout until it ends."""

    def __init__(
        self, settings: Settings, memory: Memory, slurm: Slurm, state: StateDirectory, outside: Outside
    ) -> None:
        self.settings = settings
        self.memory = replace(memory, blind=True)
        self.slurm = slurm
        self.state = state
        self.outside = outside
        self.prober = Prober(settings.probe, settings.health, settings.probe_timeout, execute=outside.execute)
        self._probes: dict[str, Probe] = {}
        self._saved: Memory | None = None
        self._last_seen = outside.monotonic()
        self._away = False

    def run(self) -> Memory:
        """Raises `RolloutError` when Slurm is away for too long, a hook fails, or it is told to end."""
        while True:
            hurry = self._step()
            if self.memory.outcome is not None:
                self._save()
                return self.memory
            if self.outside.wait(0 if hurry else self.settings.interval):
                self._save()
                raise RolloutError(
                    INTERRUPTED, "interrupted; nodes that were told to reboot do so", hint="rollout resume"
                )

    def _step(self) -> bool:
        """One turn. Returns whether the next one should follow at once."""
        before = self.memory
        memory = replace(self.memory, mode=self.state.read_mode())
        view = self._look()
        decision = step(memory, view, self._probes, self.outside.clock(), self.settings.policy)
        self._probes = {}
        self.memory = decision.memory
        self._report(before)
        if decision.actions or self._worth_saving():
            self._save()
        looks = [action.node for action in decision.actions if isinstance(action, Look)]
        for action in decision.actions:
            self._act(action)
        self._probes = self.prober.probe(looks)
        return any(self.memory.records[name].phase is Phase.WAITING for name in looks)

    def _look(self) -> dict[str, Node] | None:
        """What Slurm shows; None while it does not answer. Raises `RolloutError` after the limit."""
        try:
            view = self.slurm.look()
        except SlurmError as error:
            if self.outside.monotonic() - self._last_seen > self.settings.slurm_patience:
                self._save()
                raise no_slurm(error) from None
            if not self._away:
                self.outside.tell("", f"Slurm does not answer; nothing is done meanwhile: {error}")
            self._away = True
            return None
        if self._away:
            self.outside.tell("", "Slurm answers again")
        self._away = False
        self._last_seen = self.outside.monotonic()
        return view

    def _act(self, action: Action) -> None:
        if isinstance(action, BeforeWave):
            self._before_wave(action)
            return
        try:
            if isinstance(action, CHANGES_A_DRAIN):
                self._change(action)
            elif isinstance(action, KillJobs):
                self.slurm.kill_jobs(action.node)
        except SlurmError as error:
            # The next look shows what is so; the planner repeats what is still wanted.
            self.outside.tell(action.node, str(error))
            record = replace(self.memory.records[action.node], note=str(error))
            self._remember(action.node, record)

    def _change(self, action: Request | Withdraw | Release | Resume | Drain) -> None:
        """Looks once more, so that no drain of the last seconds is overrun."""
        name = action.node
        node = self.slurm.look_at(name)
        if node is None or not still_right(action, node):
            return
        if isinstance(action, Request):
            self.slurm.request(name, in_service=node.available)
        elif isinstance(action, Withdraw):
            self.slurm.withdraw(name)
        elif isinstance(action, Release):
            self.slurm.release(name)
        elif isinstance(action, Resume):
            self.slurm.resume(name)
        else:
            self.slurm.drain(name, action.reason)

    def _remember(self, name: str, record: Record) -> None:
        self.memory = replace(self.memory, records={**self.memory.records, name: record})

    def _before_wave(self, action: BeforeWave) -> None:
        """Runs the operator's command. It is repeated if we die meanwhile, so it must bear that."""
        self.outside.tell("", f"wave {action.wave}: {self.settings.before_wave}")
        env = {**os.environ, "ROLLOUT_WAVE": str(action.wave), "ROLLOUT_NODES": ",".join(action.nodes)}
        command = ["/bin/sh", "-c", self.settings.before_wave]
        done = self.outside.execute(command, self.settings.before_wave_timeout, env=env)
        if not done.ok:
            raise RolloutError(
                HOOK,
                f"the command before wave {action.wave} failed",
                evidence=printable(done.evidence(), 300),
                hint="rollout resume, when its cause is mended",
            )
        self.memory = replace(self.memory, opened=action.wave)

    def _report(self, before: Memory) -> None:
        for name, record in self.memory.records.items():
            old = before.records[name]
            if (old.phase, old.note) != (record.phase, record.note):
                note = f": {printable(record.note, 200)}" if record.note else ""
                self.outside.tell(name, f"{record.phase.value}{note}")

    def _worth_saving(self) -> bool:
        saved = self._saved
        if saved is None or abs(self.memory.seen_at - saved.seen_at) > SAVE_EVERY:
            return True
        return replace(self.memory, seen_at=saved.seen_at) != saved

    def _save(self) -> None:
        self.state.save(self.settings, self.memory)
        self._saved = self.memory
