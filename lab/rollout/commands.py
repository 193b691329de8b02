"""What each verb does. Nothing here prints: results and events go to the `Output` that it is given."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from lab.rollout import errors, options, picture, programs, report, runner
from lab.rollout.errors import Kind, RolloutError
from lab.rollout.planning import capacity, starting
from lab.rollout.planning.memory import Memory, Mode, Outcome
from lab.rollout.planning.nodes import Node
from lab.rollout.planning.policy import EACH, Clock
from lab.rollout.programs import Finished
from lab.rollout.runner import Outside, Runner
from lab.rollout.settings import Settings
from lab.rollout.slurm.commands import Slurm, SlurmError, chosen, no_slurm
from lab.rollout.storage.files import StateDirectory

KIND_OF = {
    Outcome.COMPLETE: errors.OK,
    Outcome.INCOMPLETE: errors.INCOMPLETE,
    Outcome.STOPPED: errors.STOPPED,
    Outcome.ABORTED: errors.ABORTED,
    Outcome.BLOCKED: errors.BLOCKED,
}
REDRAW = 2.0


class Output(Protocol):
    """Where results and events go."""

    json: bool

    def event(self, name: str, text: str) -> None:
        """Something has happened to a node, or to the whole."""

    def result(self, text: str, data: str) -> None:
        """A result, as text for people and as JSON."""

    def picture(self, text: str) -> None:
        """A table that takes the place of the one before."""


@dataclass(frozen=True)
class Surroundings:
    """What a verb is given: where to write, how to wait and learn of an end, how to run programs."""

    output: Output
    wait: Callable[[float], bool]
    execute: Callable[..., Finished] = programs.run
    clock: Callable[[], Clock] = runner.clock


def run(found: argparse.Namespace, around: Surroundings) -> Kind:
    """Runs a verb. Raises `RolloutError`."""
    state = StateDirectory(found.state)
    if found.verb == "plan":
        return _plan(found, around)
    if found.verb == "start":
        return _start(found, state, around)
    if found.verb == "status":
        return _status(found, state, around)
    if found.verb == "pause":
        return _pause(state, around)
    if found.verb == "resume":
        return _resume(found, state, around)
    return _abort(state, around)


def _prepared(settings: Settings, around: Surroundings) -> tuple[Memory, Mapping[str, Node]]:
    """The memory of a new rollout, and what Slurm shows now."""
    slurm = Slurm(execute=around.execute)
    try:
        slurm = _with_switches(slurm, settings)
        view = slurm.look()
        names = chosen(slurm, view, settings.nodes, settings.exclude, settings.partitions)
    except SlurmError as error:
        raise no_slurm(error) from None
    unknown = [name for name in names if name not in view]
    if unknown or not names:
        raise RolloutError(
            errors.USAGE,
            f"Slurm has no node {unknown[0]}" if unknown else "no node is chosen",
            hint="scontrol show nodes; rollout plan --help",
        )
    groups = capacity.sizes(view.values())
    for floor in settings.policy.floors:
        if floor.name != EACH and (floor.kind, floor.name) not in groups:
            known = sorted(name for kind, name in groups if kind == floor.kind)
            raise RolloutError(
                errors.USAGE,
                f"no node is in {floor.kind} {floor.name}",
                evidence=f"there are: {', '.join(known) or 'none'}",
            )
    now = around.clock().now
    token = f"rollout:{time.strftime('%Y%m%d-%H%M%S', time.localtime(now))}-{os.urandom(2).hex()}"
    return starting.begun(token, now, names, view, settings.policy), view


def _with_switches(slurm: Slurm, settings: Settings) -> Slurm:
    needed = any(floor.kind == "switch" for floor in settings.policy.floors)
    return slurm.with_topology() if needed else slurm


def _plan(found: argparse.Namespace, around: Surroundings) -> Kind:
    settings = options.settings(found)
    memory, view = _prepared(settings, around)
    data = report.plan_data(settings, memory, view)
    around.output.result(report.plan_text(settings, data), report.as_json(data))
    return errors.OK


def _start(found: argparse.Namespace, state: StateDirectory, around: Surroundings) -> Kind:
    settings = options.settings(found)
    with state.locked():
        kept = state.load()
        if kept is not None and kept[1].outcome is None:
            if kept[0] != settings:
                raise RolloutError(
                    errors.UNFINISHED,
                    "another rollout has not ended",
                    evidence=f"{kept[1].token} to {', '.join(kept[0].policy.wanted)}",
                    hint="rollout status; rollout resume; rollout abort",
                )
            around.output.event("", f"continues {kept[1].token}")
            memory = kept[1]
        else:
            Slurm(execute=around.execute).check()
            memory, view = _prepared(settings, around)
            if kept is not None:
                state.archive(kept[1].token)
            for text in report.warnings(settings, memory.records, view):
                around.output.event("", f"warning: {text}")
            around.output.event("", f"{memory.token}: {len(memory.records)} nodes")
        state.write_mode(Mode.RUN)
        return _loop(settings, memory, state, around)


def _loop(settings: Settings, memory: Memory, state: StateDirectory, around: Surroundings) -> Kind:
    """Runs until the end, in the directory that the caller has locked."""
    state.save(settings, memory)
    slurm = Slurm(memory.token, settings.policy.prove_first, around.execute)
    slurm = _patiently(lambda: _with_switches(slurm, settings), settings, around)
    memory = Runner(
        settings,
        memory,
        slurm,
        state,
        Outside(around.wait, around.output.event, around.execute, around.clock),
    ).run()
    text = report.status_text(settings, memory, os.getpid(), time.time())
    around.output.result(text, report.as_json(report.status_data(settings, memory, os.getpid())))
    return KIND_OF[memory.outcome or Outcome.INCOMPLETE]


def _patiently(ask: Callable[[], Slurm], settings: Settings, around: Surroundings) -> Slurm:
    """Repeats a question while Slurm does not answer, as after a boot of this machine."""
    end = time.monotonic() + settings.slurm_patience
    while True:
        try:
            return ask()
        except SlurmError as error:
            if time.monotonic() > end:
                raise no_slurm(error) from None
        if around.wait(settings.interval):
            raise RolloutError(errors.INTERRUPTED, "interrupted", hint="rollout resume")


def _kept(state: StateDirectory, *, ended: bool = False) -> tuple[Settings, Memory]:
    """What the directory holds. Raises `RolloutError` if there is no rollout, or it has ended."""
    kept = state.load()
    if kept is None:
        raise RolloutError(errors.NONE, f"there is no rollout in {state.path}", hint="rollout start --help")
    if kept[1].outcome is not None and not ended:
        raise RolloutError(
            errors.NONE,
            f"{kept[1].token} has ended: {kept[1].outcome.value}",
            hint="rollout status; rollout resume --retry",
        )
    return kept


def _status(found: argparse.Namespace, state: StateDirectory, around: Surroundings) -> Kind:
    while True:
        settings, memory = _kept(state, ended=True)
        memory = replace(memory, mode=state.read_mode())
        pid = state.running()
        if found.svg:
            _draw(found.svg, picture.draw(memory, time.time()), around)
        text = report.status_text(settings, memory, pid, time.time())
        data = report.as_json(report.status_data(settings, memory, pid))
        if found.svg != "-":
            if found.watch and not around.output.json:
                around.output.picture(text)
            else:
                around.output.result(text, data)
        if not found.watch or memory.outcome is not None or around.wait(REDRAW):
            return errors.OK


def _draw(path: str, text: str, around: Surroundings) -> None:
    if path == "-":
        around.output.result(text, text)
        return
    try:
        Path(path).write_text(text, encoding="utf-8")
    except OSError as error:
        raise RolloutError(errors.OUTPUT, f"cannot write {path}", evidence=error.strerror or "") from None


def _pause(state: StateDirectory, around: Surroundings) -> Kind:
    _, memory = _kept(state)
    state.write_mode(Mode.PAUSE)
    text = "nothing new begins; nodes on their way are finished. Continue with: rollout resume"
    around.output.result(
        text, report.as_json({"schema": report.SCHEMA, "rollout": memory.token, "mode": "pause"})
    )
    return errors.OK


def _resume(found: argparse.Namespace, state: StateDirectory, around: Surroundings) -> Kind:
    if found.unattended and _nothing_to_continue(state):
        around.output.event("", "nothing to continue")
        return errors.OK
    settings, memory = _kept(state, ended=found.retry)
    if pid := state.running():
        if found.retry:
            raise RolloutError(
                errors.LOCKED,
                "nodes get another turn only when the rollout has ended",
                evidence=f"process {pid} runs it",
                hint="rollout status --watch; then: rollout resume --retry",
            )
        state.write_mode(Mode.RUN)
        data = report.as_json({"schema": report.SCHEMA, "rollout": memory.token, "mode": "run"})
        around.output.result("the rollout goes on", data)
        return errors.OK
    with state.locked():
        settings, memory = _kept(state, ended=found.retry)
        if found.retry:
            memory = starting.retried(memory)
        if not found.unattended:  # nobody has said so
            state.write_mode(Mode.RUN)
        around.output.event("", f"continues {memory.token}")
        return _loop(settings, memory, state, around)


def _nothing_to_continue(state: StateDirectory) -> bool:
    kept = state.load()
    return kept is None or kept[1].outcome is not None or bool(state.running())


def _abort(state: StateDirectory, around: Surroundings) -> Kind:
    settings, memory = _kept(state)
    state.write_mode(Mode.ABORT)
    if state.running():
        data = report.as_json({"schema": report.SCHEMA, "rollout": memory.token, "mode": "abort"})
        around.output.result("the running rollout withdraws what has not begun, and ends", data)
        return errors.OK
    with state.locked():
        settings, memory = _kept(state)
        kind = _loop(settings, memory, state, around)
        return errors.OK if kind is errors.ABORTED else kind
