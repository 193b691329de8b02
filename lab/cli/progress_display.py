"""Shows progress on stderr: live on a terminal, as plain lines in a pipe, as JSON lines, or not at all."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol, Self

import click

from lab.cli.output import rich_screen
from lab.cluster.readiness import ProbeResult, Reading
from lab.cluster.rows import state
from lab.polling import Clock, monotonic
from lab.printable import LONG, as_json, printable_line

if TYPE_CHECKING:
    from rich.console import Console
    from rich.live import Live
    from rich.table import Table

REMIND = 10.0  # seconds without a line after which plain progress says what it waits for


class ProgressReporter(Protocol):
    """Receives the progress of a command."""

    def say(self, line: str) -> None:
        """Shows that a step begins."""

    def watch(self, readings: Sequence[Reading], seconds: float) -> None:
        """Shows the readings taken after `seconds` of waiting."""


@contextmanager
def showing(mode: str, environ: Mapping[str, str], clock: Clock = monotonic) -> Iterator[ProgressReporter]:
    """Opens a reporter of the given mode; `auto` is live on a terminal and plain elsewhere."""
    if mode == "auto":
        live = sys.stderr.isatty() and environ.get("TERM") != "dumb"
        mode = "tty" if live else "plain"
    if mode == "tty":
        with _Terminal(clock, environ) as terminal:
            yield terminal
    else:
        kinds: Mapping[str, Callable[[Clock], ProgressReporter]] = {
            "plain": _Plain,
            "json": _Json,
            "quiet": _Quiet,
        }
        yield kinds[mode](clock)


def describe(reading: Reading) -> str:
    """Writes a reading as one line: node, probe, answer and evidence."""
    if reading.answer is ProbeResult.YES:
        return f"{reading.node}: {reading.probe}"
    evidence = f" ({reading.evidence})" if reading.evidence else ""
    return f"{reading.node}: {reading.probe}: {state(reading)}{evidence}"


class _Quiet:
    def __init__(self, clock: Clock) -> None:
        del clock

    def say(self, line: str) -> None:
        pass

    def watch(self, readings: Sequence[Reading], seconds: float) -> None:
        pass


class _Plain:
    """Prints a line for each step and each node that is ready, and every ten seconds what is not."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._start = self._last_line = clock()
        self._settled: set[str] = set()

    def say(self, line: str) -> None:
        self._last_line = self._clock()
        click.echo(f"[{self._last_line - self._start:5.1f} s] {printable_line(line, LONG)}", err=True)

    def watch(self, readings: Sequence[Reading], seconds: float) -> None:
        del seconds
        for reading in readings:
            if reading.settled and reading.node not in self._settled:
                self._settled.add(reading.node)
                self.say(describe(reading))
            elif not reading.settled:
                self._settled.discard(reading.node)
        late = [reading for reading in readings if not reading.settled]
        if late and self._clock() - self._last_line >= REMIND:
            self.say("waiting for " + "; ".join(map(describe, late)))


class _Json:
    """Prints one object per line; a reading only when it has changed."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._start = clock()
        self._last: dict[str, Reading] = {}

    def say(self, line: str) -> None:
        self._write(event="step", text=line)

    def watch(self, readings: Sequence[Reading], seconds: float) -> None:
        del seconds
        for reading in readings:
            if self._last.get(reading.node) != reading:
                self._last[reading.node] = reading
                self._write(
                    event="reading",
                    node=reading.node,
                    probe=reading.probe,
                    answer=reading.answer.value,
                    evidence=reading.evidence,
                    outlook=reading.outlook.value,
                )

    def _write(self, **event: Any) -> None:
        seconds = round(self._clock() - self._start, 3)
        click.echo(as_json({"schema": 1, "seconds": seconds, **event}), err=True)


class _Terminal:
    """Prints the steps, and below them a table of the nodes that changes in place."""

    def __init__(self, clock: Clock, environ: Mapping[str, str]) -> None:
        self._clock = clock
        self._start = clock()
        self._environ = environ
        self._console: Console | None = None
        self._live: Live | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def say(self, line: str) -> None:
        from rich.text import Text

        seconds = self._clock() - self._start
        self._screen().print(Text.assemble((f"[{seconds:5.1f} s] ", "dim"), printable_line(line, LONG)))

    def watch(self, readings: Sequence[Reading], seconds: float) -> None:
        if self._live is None:
            from rich.live import Live

            self._live = Live(console=self._screen(), auto_refresh=False)
            self._live.start()
        self._live.update(self._table(readings, seconds), refresh=True)

    def _screen(self) -> Console:
        if self._console is None:
            self._console = rich_screen(self._environ, stderr=True)
        return self._console

    def _table(self, readings: Sequence[Reading], seconds: float) -> Table:
        from rich.table import Table
        from rich.text import Text

        late = sum(not reading.settled for reading in readings)
        title = f"waiting for {late} of {len(readings)}, {seconds:.1f} s" if late else f"{seconds:.1f} s"
        table = Table(box=None, padding=(0, 1), show_header=False, title=title, title_justify="left")
        marks = {
            ProbeResult.YES: ("✓", "green"),
            ProbeResult.NO: ("…", "yellow"),
            ProbeResult.UNKNOWN: ("?", "magenta"),
        }
        for reading in readings:
            mark, colour = marks[reading.answer]
            if reading.settled and reading.answer is not ProbeResult.YES:
                mark = "!"
            evidence = printable_line(reading.evidence)
            table.add_row(
                Text(mark, style=colour), Text(reading.node), Text(reading.probe), Text(evidence, style="dim")
            )
        return table
