"""Looks at every node once: what the engine, the SMS and the login nodes say."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

from lab.cluster.readiness import ClusterSnapshot
from lab.cluster.sms_look import NOT_BOOTED, SYSTEM, SmsReport, look_at_sms
from lab.errors import LabError
from lab.model import BOOTED, ClusterSpec, NodeStatus, Role

Ask = Callable[[str, str], tuple[int, str]]
"""Runs a command in a node and returns its exit status and output; raises a LabError if it cannot."""


def observe(
    spec: ClusterSpec, statuses: Iterable[NodeStatus], ask: Ask, slowness: float = 1.0
) -> ClusterSnapshot:
    """Asks the SMS and the login nodes that have booted, all at once, and returns what was found.

    On a host `slowness` times slower than usual, slurmctld gets that much more time to answer.
    """
    found = {status.name: status for status in statuses}
    booted = {name for name, status in found.items() if status.stage == BOOTED}
    logins = [node.name for node in spec.nodes if node.role is Role.LOGIN and node.name in booted]
    with ThreadPoolExecutor() as pool:
        systems = {name: pool.submit(_system_state, ask, name) for name in logins}
        head = spec.sms.name
        sms = ask_sms(ask, head, slowness) if head in booted else SmsReport(trouble=NOT_BOOTED)
        return ClusterSnapshot(found, sms, {name: state.result() for name, state in systems.items()})


def ask_sms(ask: Ask, name: str, slowness: float = 1.0) -> SmsReport:
    """Asks the SMS everything in one command; a report with `trouble` if it cannot be asked."""
    question = look_at_sms(slowness)
    try:
        return question.read(*ask(name, question.command))
    except LabError as problem:
        return SmsReport(trouble=_one_line(problem))


def _system_state(ask: Ask, name: str) -> str:
    try:
        return ask(name, SYSTEM)[1].strip()
    except LabError as problem:
        return _one_line(problem)


def _one_line(problem: LabError) -> str:
    return f"{problem.message}; {problem.evidence.splitlines()[-1]}" if problem.evidence else problem.message
