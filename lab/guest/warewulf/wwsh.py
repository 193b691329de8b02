"""wwsh: Warewulf's shell. Runs one command, a file of commands, commands from a pipe, or a prompt."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterable, Sequence
from types import FrameType

from lab.guest.system import System
from lab.guest.warewulf.dispatch import MODULES, run_line, run_text, usage
from lab.guest.warewulf.errors import WarewulfError
from lab.guest.warewulf.session import Flags, Session, split_flags


def main(arguments: Sequence[str], system: System) -> int:
    """Runs wwsh; returns the number of failed commands as the exit status."""
    words, flags = split_flags(arguments, Flags())
    if flags.help or words[:1] == ["-h"]:
        sys.stdout.write(usage())
        return 0
    # A batch that is killed must still update the files generated from what it has changed.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _stop)
    terminal = sys.stdin.isatty() and sys.stdout.isatty()
    session = Session(system, flags, out=sys.stdout, err=sys.stderr, terminal=terminal)
    try:
        if len(words) == 1 and words[0] not in MODULES and os.path.isfile(words[0]):
            with open(words[0], encoding="utf-8") as file:
                return _batch(session, file)
        if words:
            return _one(session, words)
        if not sys.stdin.isatty():
            return _batch(session, sys.stdin)
        from lab.guest.warewulf.prompt import run_repl

        return run_repl(session)
    finally:
        session.close()


def _stop(number: int, _frame: FrameType | None) -> None:
    sys.exit(128 + number)


def _one(session: Session, words: Sequence[str]) -> int:
    failed = not run_line(session, words)
    return min(255, failed + (not _events(session)))


def _batch(session: Session, lines: Iterable[str]) -> int:
    """Runs one command per line; updates generated files once, at the end."""
    failed = 0
    try:
        for line in lines:
            failed += not run_text(session, line)
            if session.stopped:
                break
    finally:
        failed += not _events(session)
    return min(255, failed)


def _events(session: Session) -> bool:
    try:
        return session.apply_events()
    except (WarewulfError, OSError) as error:
        return session.error(f"Changes are stored but have no effect yet: {error}\nhint: wwsh pxe update")
