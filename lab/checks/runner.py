"""Runs every check in a thread of its own, so that a check that hangs or crashes does not stop the others."""

from __future__ import annotations

import queue
import threading
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from lab.checks.api import Check, CheckFailedError, Outcome, Verdict
from lab.checks.cluster_view import ClusterView, NoAnswerError, NotUpError, RefusedError
from lab.checks.shell_pool import ShellPool, TimeBudget

PAUSE = 0.5  # seconds between two runs of a check that may still come true
GRACE = 5.0  # seconds that a run may exceed its time limit before the check counts as hung


@dataclass(frozen=True)
class Notice:
    """Progress of the run: a check has begun, will run again, or has its verdict."""

    check: Check
    waited: float = 0.0
    found: str = ""
    verdict: Verdict | None = None


@dataclass
class _Trial:
    """One check, and its verdict once there is one."""

    check: Check
    began: float | None = None
    scale: float = 1.0  # the largest that any look of it was allowed
    verdict: Verdict | None = None


class Runner:
    """Runs the checks of one exercise."""

    def __init__(
        self,
        checks: Sequence[Check],
        pool: ShellPool,
        *,
        patience: float = 1.0,
        timeout_scale: Callable[[], float] = lambda: 1.0,
        notice: Callable[[Notice], None] = lambda _: None,
        pause: float = PAUSE,
        grace: float = GRACE,
    ) -> None:
        self._trials = {check: _Trial(check) for check in checks}
        self._pool = pool
        self._patience = patience  # multiplies the time in which a check may still come true
        self._timeout_scale = timeout_scale  # on a slow host one run may take this many times longer
        self._notice = notice
        self._pause = pause
        self._grace = grace
        self._ends: queue.Queue[tuple[Check, Verdict]] = queue.Queue()
        self._stop = threading.Event()

    def run(self) -> tuple[Verdict, ...]:
        """Returns the verdict of every check, in the order of the checks."""
        try:
            self._begin_ready()
            while any(trial.verdict is None for trial in self._trials.values()):
                self._collect_one()
                self._begin_ready()
        finally:
            self._stop.set()
        return tuple(trial.verdict for trial in self._trials.values() if trial.verdict is not None)

    def _begin_ready(self) -> None:
        """Starts checks whose needs have passed, and blocks those with a need that has not.

        Checks are defined after the checks that they need.
        """
        for trial in self._trials.values():
            if trial.began is not None or trial.verdict is not None:
                continue
            needs = [self._trials[need].verdict for need in trial.check.needs if need in self._trials]
            missing = tuple(v.check for v in needs if v is not None and v.outcome is not Outcome.PASSED)
            if missing:
                self._settle(trial, _verdict(trial.check, Outcome.BLOCKED, because=missing))
            elif None not in needs:
                trial.began = self._pool.clock()
                self._notice(Notice(trial.check))
                threading.Thread(
                    target=self._work, args=(trial.check, trial.began), name=trial.check.name, daemon=True
                ).start()

    def _collect_one(self) -> None:
        try:
            check, verdict = self._ends.get(timeout=0.1)
        except queue.Empty:
            self._break_hung()
            return
        trial = self._trials[check]
        if trial.verdict is None:
            self._settle(trial, verdict)

    def _break_hung(self) -> None:
        now = self._pool.clock()
        for trial in self._trials.values():
            if trial.began is None or trial.verdict is not None:
                continue
            check = trial.check
            limit = check.settle * self._patience + (check.timeout + self._grace) * self._scale(trial)
            if now - trial.began > limit:
                actual = f"the check itself did not end within {limit:.0f} s"
                verdict = _verdict(check, Outcome.BROKEN, actual=actual, seconds=now - trial.began)
                self._settle(trial, verdict)

    def _scale(self, trial: _Trial) -> float:
        """How many times its own time a look may take now; no less than what an earlier look was allowed."""
        trial.scale = max(trial.scale, self._patience, self._timeout_scale())
        return trial.scale

    def _settle(self, trial: _Trial, verdict: Verdict) -> None:
        trial.verdict = verdict
        self._notice(Notice(trial.check, verdict=verdict))

    def _work(self, check: Check, began: float) -> None:
        deadline = began + check.settle * self._patience
        while True:
            verdict, final = self._run_once(check)
            now = self._pool.clock()
            verdict = replace(verdict, seconds=now - began)
            if verdict.outcome is not Outcome.FAILED or final or now >= deadline or self._stop.is_set():
                self._ends.put((check, verdict))
                return
            self._notice(Notice(check, waited=now - began, found=verdict.actual))
            self._stop.wait(min(self._pause, max(deadline - now, 0.0)))

    def _run_once(self, check: Check) -> tuple[Verdict, bool]:
        try:
            check(ClusterView(self._pool, TimeBudget(check.timeout * self._scale(self._trials[check]))))
        except CheckFailedError as failure:
            return _from_failure(check, failure), failure.final
        except NoAnswerError as silence:
            return _from_silence(check, silence), False
        except NotUpError as absence:
            return _from_absence(check, absence), False
        except RefusedError as refusal:
            return _from_refusal(check, refusal), False
        except (Exception, SystemExit) as crash:  # noqa: BLE001 - nothing above this thread could catch it
            actual = f"{type(crash).__name__}: {crash}"
            trace = traceback.format_exc()
            return _verdict(check, Outcome.BROKEN, actual=actual, trace=trace), True
        return _verdict(check, Outcome.PASSED), True


def _verdict(
    check: Check,
    outcome: Outcome,
    *,
    actual: str = "",
    because: tuple[str, ...] = (),
    seconds: float = 0.0,
    trace: str = "",
) -> Verdict:
    return Verdict(
        check.name,
        check.sentence,
        check.step,
        outcome,
        actual=actual,
        because=because,
        seconds=seconds,
        trace=trace,
    )


def _from_failure(check: Check, failure: CheckFailedError) -> Verdict:
    return replace(
        _verdict(check, Outcome.FAILED, actual=failure.actual),
        expected=failure.expected,
        node=failure.node,
        look=failure.look,
        hint=failure.hint,
    )


def _from_silence(check: Check, silence: NoAnswerError) -> Verdict:
    return replace(
        _verdict(check, Outcome.FAILED, actual=f"no answer within {silence.seconds:.0f} s"),
        expected=f"an answer from: {silence.command}",
        node=silence.node,
        look=silence.command,
    )


def _from_absence(check: Check, absence: NotUpError) -> Verdict:
    return replace(
        _verdict(check, Outcome.FAILED, actual=absence.state),
        expected=f"{absence.node} is up and opens a shell",
        node=absence.node,
        look=absence.look,
        hint=absence.hint,
    )


def _from_refusal(check: Check, refusal: RefusedError) -> Verdict:
    printed = refusal.output.strip() or f"status {refusal.status}, without a message"
    return replace(
        _verdict(check, Outcome.FAILED, actual=printed),
        expected=f"success of: {refusal.command}",
        node=refusal.node,
        look=refusal.command,
    )
