"""`lab status`: how each node stands, by one look that asks everything at once."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Self

import click

from lab.cli.app import App
from lab.cli.options import json_option, lab_option
from lab.errors import LabError

if TYPE_CHECKING:
    from lab.backends.base import Backend
    from lab.cluster.readiness import ClusterSnapshot, Reading, SmsReport
    from lab.model import ClusterSpec, NodeStatus
    from lab.process import Done

SMS, LOGIN = "sms", "login"  # what nodes that are entered are called, unless lab.toml says otherwise
ENTER_SECONDS = 5.0
_WORDS = {"yes": "well", "no": "not yet", "unknown": "could not look"}


@click.command("status", short_help="Show how each node stands.")
@lab_option
@json_option
@click.pass_obj
def command(app: App, lab: str | None, as_json: bool) -> None:
    """Show how each node stands.

    Asks the engine's labels and the SMS once; needs no configuration and never waits for the lab.
    """
    from lab.cli.output import note, show_json, show_table
    from lab.cluster.readiness import evaluate

    with Glance(app.backend, app.lab_name(lab)) as glance:
        record = app.record(lab)
        spec = app.spec_of(record)
        view = glance.view(spec)
    readings = evaluate(spec, view, [node.name for node in spec.nodes])
    if as_json:
        rows = [as_row(reading, view.statuses.get(reading.node)) for reading in readings]
        show_json({"lab": spec.lab, "pending": record.pending, "nodes": rows})
        return
    if record.pending:
        note(f"the lab was interrupted on its way to {record.pending}; lab up completes it")
    show_table(
        ("NODE", "ROLE", "POWER", "STAGE", "STATE", "DETAIL"),
        [
            (
                reading.node,
                spec.node(reading.node).role.value,
                str(row["power"]),
                str(row["stage"]),
                _state(reading),
                _detail(reading),
            )
            for reading in readings
            for row in [as_row(reading, view.statuses.get(reading.node))]
        ],
    )


class Glance:
    """One look: it enters nodes before it knows what the lab is, and a wrong guess costs nothing."""

    def __init__(self, backend: Backend, lab: str) -> None:
        from lab.cluster.readiness import SYSTEM, sms_probe

        self._backend = backend
        self._lab = lab
        self._pool = ThreadPoolExecutor()
        self._asked: dict[str, Future[Done]] = {}
        self._enter(SMS, sms_probe.command)
        self._enter(LOGIN, SYSTEM)
        self._statuses = self._pool.submit(backend.status, lab)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown()

    def view(self, spec: ClusterSpec) -> ClusterSnapshot:
        """What was found; nodes whose names were not guessed are asked now."""
        from lab.cluster.readiness import BOOTED, NOT_BOOTED, SYSTEM, ClusterSnapshot, SmsReport, sms_probe
        from lab.model import Role

        statuses = {status.name: status for status in self._statuses.result()}
        booted = {name for name, status in statuses.items() if status.stage == BOOTED}
        logins = [node.name for node in spec.nodes if node.role is Role.LOGIN and node.name in booted]
        for name in logins:
            self._enter(name, SYSTEM)
        head = spec.sms.name
        sms = self._sms(head, sms_probe.command) if head in booted else SmsReport(trouble=NOT_BOOTED)
        return ClusterSnapshot(statuses, sms, {name: self._system(name) for name in logins})

    def _enter(self, node: str, question: str) -> None:
        if node not in self._asked:
            self._asked[node] = self._pool.submit(self._run, node, question)

    def _run(self, node: str, question: str) -> Done:
        from lab.process import run

        command = ("/bin/sh", "-c", question)
        argv = self._backend.shell(self._lab, node, command, user="root", tty=False)
        return run(argv, timeout=ENTER_SECONDS * self._backend.timeout_scale, check=False)

    def _sms(self, name: str, question: str) -> SmsReport:
        from lab.cluster.readiness import SmsReport, parse_look

        self._enter(name, question)
        try:
            done = self._asked[name].result()
        except LabError as problem:
            return SmsReport(trouble=problem.message)
        return parse_look(done.status, done.stdout or done.stderr)

    def _system(self, name: str) -> str:
        try:
            done = self._asked[name].result()
        except LabError as problem:
            return problem.message
        return done.stdout.strip() or done.stderr.strip()


def as_row(reading: Reading, status: NodeStatus | None = None) -> dict[str, object]:
    """A reading as plain data, with what the engine says of the node where it was asked."""
    row: dict[str, object] = {
        "node": reading.node,
        "probe": reading.probe,
        "answer": reading.answer.value,
        "evidence": reading.evidence,
    }
    if status is not None:
        row |= {"power": status.power.value, "stage": status.stage, "since": status.since}
    else:
        row |= {"power": "absent", "stage": "", "since": None}
    return row


def _state(reading: Reading) -> str:
    from lab.cluster.readiness import Expectation

    return "left so" if reading.outlook is Expectation.LEFT else _WORDS[reading.answer.value]


def _detail(reading: Reading) -> str:
    return f"{reading.probe}: {reading.evidence}" if reading.evidence else reading.probe
