"""The command `rollout`: environment, output, signals and exit status. Only this module prints."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import sys
import threading
import time

from lab.rollout import commands, errors, options, report
from lab.rollout.errors import Kind, RolloutError

VERSION = "0.1.0"


def main(words: list[str] | None = None) -> int:
    """Runs the command and returns its exit status."""
    words = sys.argv[1:] if words is None else words
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    output = Output(json="--json" in words, quiet="-q" in words or "--quiet" in words)
    try:
        return _main(words, output).status
    except RolloutError as error:
        failed = error
    except SystemExit as end:  # argparse has printed the help
        sys.stdout.flush()
        return int(end.code or 0)
    except KeyboardInterrupt:
        failed = RolloutError(errors.INTERRUPTED, "interrupted", hint="rollout resume")
    except OSError as error:
        if isinstance(error, BrokenPipeError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        failed = RolloutError(errors.OUTPUT, "cannot write the output", evidence=str(error))
    except Exception as error:
        failed = _bug(error)
    return output.error(failed)


def _bug(error: Exception) -> RolloutError:
    return RolloutError(
        errors.BUG,
        "rollout itself failed",
        evidence=f"{type(error).__name__} at {_where(error)}: {error}",
        hint="rollout resume",
    )


def _main(words: list[str], output: Output) -> Kind:
    found = options.parse(words)
    if found.version:
        output.line(f"rollout {VERSION}")
        return errors.OK
    told = threading.Event()

    def tell(*_: object) -> None:
        """The first signal ends the loop at its next turn; the second one ends whatever takes so long."""
        if told.is_set():
            raise KeyboardInterrupt
        told.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, tell)
    return commands.run(found, commands.Surroundings(output, told.wait))


def _where(error: BaseException) -> str:
    step = error.__traceback__
    while step is not None and step.tb_next is not None:
        step = step.tb_next
    return "an unknown place" if step is None else f"{step.tb_frame.f_code.co_filename}:{step.tb_lineno}"


class Output:
    """Results on standard output; errors, and the progress of a rollout, on standard error."""

    def __init__(self, *, json: bool = False, quiet: bool = False) -> None:
        self.json = json
        self.quiet = quiet

    def event(self, name: str, text: str) -> None:
        """A line of progress; with `--json` on standard output."""
        if self.json:
            self.line(report.event_json(name, text, time.time()))
        elif not self.quiet:
            self._complain(report.event(name, text, time.time()))

    def result(self, text: str, data: str) -> None:
        """A result."""
        self.line(data if self.json else text)

    def picture(self, text: str) -> None:
        """A table in the place of the one before, on a terminal."""
        self.line(f"\x1b[H\x1b[J{text}" if sys.stdout.isatty() else f"{text}\n")

    def line(self, text: str) -> None:
        """A line on standard output, at once."""
        if sys.stdout is None:
            raise OSError("it is closed")
        sys.stdout.write(text if text.endswith("\n") else f"{text}\n")
        sys.stdout.flush()

    def error(self, error: RolloutError) -> int:
        """A failure, with `--json` on standard output, too; returns its exit status."""
        self._complain(report.error_text(error))
        if self.json:
            try:
                self.line(report.error_json(error))
            except OSError:
                os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return error.kind.status

    def _complain(self, text: str) -> None:
        with contextlib.suppress(OSError, AttributeError):  # None if the caller closed it
            sys.stderr.write(f"{text}\n")
            sys.stderr.flush()
