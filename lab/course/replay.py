"""Types a script into nodes, visibly and line by line, and stops at the first command that fails."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from typing import Protocol

from lab.checks.shell_pool import Answer, OpenShell, Shell
from lab.course.script import Block, Expect, Typed, Wait
from lab.course.variables import fill_shell
from lab.errors import LabError
from lab.host_speed import HostSpeed
from lab.model import ClusterSpec
from lab.nodes.interactive import Reply
from lab.nodes.shell import CommandTimeout
from lab.polling import Clock, Sleep, monotonic, pause, wait_for, with_reason
from lab.process import last_lines

LONGEST = 300.0  # seconds: time limit of one typed command
LOOK = 10.0  # seconds: time limit of one test of a condition
EVERY = 0.5  # seconds between two tests


class Session(Protocol):
    """A learner's login shell that shows what is typed into it."""

    def type_visible(self, command: str, replies: Sequence[Reply], *, timeout: float) -> Answer:
        """Types a command, shows it with its output, and returns its exit status and output."""

    def close(self) -> None:
        """Ends the shell."""


OpenSession = Callable[[str, str], Session]  # node, user


class ScriptReplayer:
    """Types the blocks of a script."""

    def __init__(
        self,
        spec: ClusterSpec,
        open_session: OpenSession,
        open_shell: OpenShell,
        *,
        say: Callable[[str], None],
        before: Callable[[str], None] = lambda _: None,
        clock: Clock = monotonic,
        sleep: Sleep = pause,
        speed: HostSpeed | None = None,
    ) -> None:
        self._speed = HostSpeed(most=1.0) if speed is None else speed
        self._spec = spec
        self._open_session = open_session
        self._open_shell = open_shell
        self._say = say
        self._before = before
        self._clock = clock
        self._sleep = sleep

    def type(self, name: str, blocks: Iterable[Block]) -> None:
        """Types every block of the script `name`; raises a LabError at the first command that fails."""
        with ExitStack() as stack:
            sessions: dict[tuple[str, str], Session] = {}
            for block in blocks:
                self._say(f"step {block.step} on {block.node} as {block.user}")
                for action in block.actions:
                    if isinstance(action, Wait):
                        self._wait(name, block, action)
                        continue
                    place = (block.node, block.user)
                    if place not in sessions:
                        sessions[place] = self._open_session(*place)
                        stack.callback(sessions[place].close)
                    self._type(name, block, action, sessions[place])

    def _type(self, name: str, block: Block, action: Typed, session: Session) -> None:
        command = fill_shell(action.text, self._spec)
        self._before(command)
        try:
            answer = session.type_visible(command, _replies(action), timeout=LONGEST)
        except CommandTimeout as silence:
            raise _failure(
                name, block, action.line, command, silence.message.partition("` ")[2], silence.output
            ) from silence
        succeeded = answer.exit_status == 0
        if action.expect is Expect.SUCCESS and not succeeded:
            outcome = f"ended with status {answer.exit_status}"
        elif action.expect is Expect.FAILURE and succeeded:
            outcome = "was expected to fail, but succeeded"
        else:
            return
        raise _failure(name, block, action.line, command, outcome, answer.output)

    def _wait(self, name: str, block: Block, action: Wait) -> None:
        condition = fill_shell(action.condition, self._spec)
        limit = self._speed.limit(action.seconds, clock=self._clock)
        self._say(f"waiting at most {limit.left():.0f} s for: {condition}")
        shell = self._open_shell(block.node, block.user)
        try:
            exit_status, output = wait_for(
                lambda: _look(shell, condition),
                limit,
                self._clock,
                self._sleep,
                done=lambda seen: seen[0] == 0,
                every=EVERY * self._speed.backend_scale,
            )
        finally:
            shell.close()
        if exit_status != 0:
            outcome = f"did not become true within {limit.waited:.0f} s"
            raise _failure(name, block, action.line, condition, outcome, with_reason(output, limit))


def _replies(action: Typed) -> tuple[Reply, ...]:
    return tuple(Reply(re.compile(re.escape(item.question)), item.answer) for item in action.asked)


def _look(shell: Shell, condition: str) -> tuple[int, str]:
    try:
        answer = shell.run(condition, LOOK)
    except CommandTimeout as silence:
        return 124, silence.output
    return answer.exit_status, answer.output


def _failure(name: str, block: Block, line: int, command: str, outcome: str, output: str) -> LabError:
    return LabError(
        f"{name}, line {line} (step {block.step}, {block.user} on {block.node}): {outcome}",
        evidence="\n".join([f"$ {command}", last_lines(output)]).rstrip(),
        hint="lab reset, then lab solve: a solution needs the start state of its exercise; "
        f"or try the command yourself: lab shell {block.node}",
    )
