"""`lab status`: shows the state of each node; asks everything at once."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Self

import click

from lab.cli.app import App
from lab.cli.options import json_option, lab_option

if TYPE_CHECKING:
    from lab.backends.base import Backend
    from lab.cluster.readiness import Reading
    from lab.process import Done

SMS, LOGIN = "sms", "login"  # the usual names of the nodes that are asked; lab.toml may change them
ENTER_SECONDS = 5.0


@click.command("status", short_help="Show the state of each node.")
@lab_option
@json_option
@click.pass_obj
def command(app: App, lab: str | None, as_json: bool) -> None:
    """Show the state of each node.

    STATE is ready, not yet, set by operator (somebody took the node out of service), or unknown (the
    node could not be asked). The command never waits for a node to become ready.
    """
    from lab.cli.output import load_tables, note, show_json, show_table
    from lab.cluster.observation import observe
    from lab.cluster.readiness import evaluate
    from lab.cluster.rows import as_row

    with EarlyQuestions(app.backend, app.lab_name(lab)) as questions:
        load_tables()  # while the nodes are being asked
        record = app.record(lab)
        spec = app.spec_of(record)
        view = observe(spec, questions.statuses.result(), questions.ask)
    readings = evaluate(spec, view, [node.name for node in spec.nodes])
    if as_json:
        rows = [as_row(reading, view.statuses.get(reading.node)) for reading in readings]
        show_json({"lab": spec.lab, "pending": record.pending, "nodes": rows})
        return
    if record.pending:
        note(f"the restore of {record.pending} was interrupted; lab up completes it")
    show_table(
        ("NODE", "ROLE", "POWER", "STAGE", "STATE", "DETAIL"),
        [
            (
                reading.node,
                spec.node(reading.node).role.value,
                str(row["power"]),
                str(row["stage"]),
                str(row["state"]),
                _detail(reading),
            )
            for reading in readings
            for row in [as_row(reading, view.statuses.get(reading.node))]
        ],
    )


class EarlyQuestions:
    """Asks nodes in processes of their own, and the likely ones before it is known what the lab is.

    A wrong guess costs nothing: its answer is not read. Asking early takes a third off `lab status`.
    """

    def __init__(self, backend: Backend, lab: str) -> None:
        from lab.cluster.sms_look import SYSTEM, sms_probe

        self._backend = backend
        self._lab = lab
        self._pool = ThreadPoolExecutor()
        self._asked: dict[tuple[str, str], Future[Done]] = {}
        self._submit(SMS, sms_probe.command)
        self._submit(LOGIN, SYSTEM)
        self.statuses = self._pool.submit(backend.status, lab)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown()

    def ask(self, node: str, command: str) -> tuple[int, str]:
        """Returns the exit status and the output of a command in a node; raises a LabError without one."""
        done = self._submit(node, command).result()
        return done.status, done.stdout or done.stderr

    def _submit(self, node: str, command: str) -> Future[Done]:
        if (node, command) not in self._asked:
            self._asked[node, command] = self._pool.submit(self._run, node, command)
        return self._asked[node, command]

    def _run(self, node: str, command: str) -> Done:
        from lab.process import run

        argv = self._backend.shell(self._lab, node, ("/bin/sh", "-c", command), user="root", tty=False)
        return run(argv, timeout=self._backend.host_speed.limit(ENTER_SECONDS), check=False)


def _detail(reading: Reading) -> str:
    """What is; and what is awaited, if that is something else."""
    from lab.cluster.readiness import IN_SLURM, ProbeResult

    if not reading.evidence:
        return reading.probe
    if reading.answer is ProbeResult.YES or reading.probe == IN_SLURM:
        return f"{reading.probe}: {reading.evidence}"
    return f"{reading.evidence} (awaited: {reading.probe})"
