"""wwsh on a terminal: the prompt with history and completion."""

from __future__ import annotations

import os
import readline
import sys

from lab.guest.warewulf import dispatch
from lab.guest.warewulf.model import Kind
from lab.guest.warewulf.session import Session
from lab.guest.warewulf.store import StoreError

PROMPT = "Warewulf> "
HISTORY = "~/.wwsh/history"
HISTORY_LINES = 1000

COMMANDS = {
    "node": ("new", "set", "list", "print", "delete", "clone", "help"),
    "provision": ("set", "list", "print", "help"),
    "file": ("import", "export", "edit", "new", "set", "show", "list", "print", "sync", "resync", "delete",
             "help"),
    "vnfs": ("import", "export", "delete", "list", "print", "set", "help"),
    "bootstrap": ("import", "export", "delete", "list", "print", "set", "build", "rebuild", "help"),
    "object": ("print", "modify", "delete", "dump", "jsondump", "canonicalize", "help"),
    "ipmi": ("set", "list", "print", "poweron", "poweroff", "powercycle", "powerstatus", "help"),
    "dhcp": ("update", "restart", "help"),
    "pxe": ("update", "help"),
    "events": ("enable", "disable"),
    "output": ("normal", "quiet", "verbose", "debug"),
    "ucode": ("update",),
}  # fmt: skip
TARGETS = {"node": Kind.NODE, "provision": Kind.NODE, "file": Kind.FILE, "vnfs": Kind.VNFS,
           "bootstrap": Kind.BOOTSTRAP, "ssh": Kind.NODE, "ipmi": Kind.NODE,
           "pxe": Kind.NODE}  # fmt: skip


def run_repl(session: Session) -> int:
    """Reads and runs commands until the user leaves; updates generated files after each command."""
    history = os.path.expanduser(HISTORY)
    _prepare(session, history)
    failed = 0
    while not session.stopped:
        sys.stdout.flush()
        try:
            line = input(PROMPT)
        except EOFError:
            session.row()
            break
        except KeyboardInterrupt:
            session.row()
            continue
        failed += not dispatch.run_text(session, line)
        failed += not session.apply_events()
    _save(history)
    return min(255, failed)


def _prepare(session: Session, history: str) -> None:
    readline.set_completer_delims(" \t\n=,")
    readline.set_completer(_Completer(session).complete)
    readline.parse_and_bind("tab: complete")
    readline.set_history_length(HISTORY_LINES)
    if os.path.isfile(history):
        readline.read_history_file(history)


def _save(history: str) -> None:
    try:
        os.makedirs(os.path.dirname(history), mode=0o700, exist_ok=True)
        readline.write_history_file(history)
    except OSError:
        return  # a lost history is not worth an error message


class _Completer:
    """Completes module, command, then the names of objects."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._found: list[str] = []

    def complete(self, text: str, state: int) -> str | None:
        """The completion with number `state` of a text, for readline."""
        if state == 0:
            before = readline.get_line_buffer()[: readline.get_begidx()].split()
            self._found = [f"{word} " for word in self._words(before) if word.startswith(text)]
        return self._found[state] if state < len(self._found) else None

    def _words(self, before: list[str]) -> list[str]:
        if not before:
            return [*dispatch.MODULES, "help", "exit", "quit"]
        if before[0] == "help":
            return list(dispatch.MODULES)
        if len(before) == 1 and before[0] in COMMANDS:
            return list(COMMANDS[before[0]])
        kind = TARGETS.get(before[0])
        if kind is None:
            return []
        try:
            return [record.name for record in self._session.store.records(kind)]
        except StoreError:
            return []
