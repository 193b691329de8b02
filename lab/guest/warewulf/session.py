"""State of one run of wwsh: output, questions, the datastore, and pending updates of generated files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TextIO

from lab.guest.system import System
from lab.guest.warewulf.options import Option, parse

if TYPE_CHECKING:
    from lab.guest.warewulf.store import Store


@dataclass(frozen=True)
class Flags:
    """The options that wwsh takes anywhere on a line."""

    yes: bool = False
    quiet: bool = False
    verbose: bool = False
    debug: bool = False
    nodhcp: bool = False
    help: bool = False


GLOBAL = (
    Option("yes", ("yes", "y", "noask"), flag=True),
    Option("quiet", ("quiet", "q"), flag=True),
    Option("verbose", ("verbose", "v"), flag=True),
    Option("debug", ("debug", "d"), flag=True),
    Option("nodhcp", ("nodhcp",), flag=True),
    Option("help", ("help",), flag=True),
)


def split_flags(words: Sequence[str], flags: Flags) -> tuple[list[str], Flags]:
    """Removes wwsh's own options from a line. A module never sees its own `-d`, as in Warewulf."""
    # common/bin/wwsh parses first, with `passthrough`: it also takes its letters out of `-qy` and `--verb`.
    parsed = parse(GLOBAL, words, lambda _: None, pass_through=True)
    return list(parsed.words), replace(flags, **dict.fromkeys(parsed.values, True))


class Session:
    """Gives the commands of wwsh their output, their questions and the datastore."""

    def __init__(self, system: System, flags: Flags, *, out: TextIO, err: TextIO, terminal: bool) -> None:
        self.system = system
        self.flags = flags  # of the line being run
        self.lasting = flags
        self.events_on = True
        self.pending = False
        self.pending_dhcp = False
        self.stopped = False
        self._terminal = terminal
        self._out = out
        self._err = err
        self._store: Store | None = None

    @property
    def interactive(self) -> bool:
        """Whether the user is asked; otherwise every answer is yes."""
        return self._terminal and not self.flags.yes and not self.flags.quiet

    @property
    def strict(self) -> bool:
        """Whether printing commands exit with status 1 on success, as Warewulf's do."""
        return os.environ.get("WW_STRICT_RC") == "1"

    @property
    def store(self) -> Store:
        """The datastore, opened on first use."""
        if self._store is None:
            from lab.guest.warewulf.store import Store

            self._store = Store(self.system)
        return self._store

    def close(self) -> None:
        """Closes the datastore."""
        if self._store is not None:
            self._store.close()
            self._store = None

    # Output

    def row(self, text: str = "") -> None:
        """Prints a line, always."""
        self._out.write(text + "\n")

    def notice(self, text: str = "") -> None:
        """Prints a line unless --quiet was given."""
        if not self.flags.quiet:
            self._out.write(text + "\n")

    def info(self, text: str) -> None:
        """Prints a line if --verbose or --debug was given."""
        if self.flags.verbose or self.flags.debug:
            self._out.write(text + "\n")

    def debug(self, text: str) -> None:
        """Prints a line if --debug was given."""
        if self.flags.debug:
            self._out.write(f"[wwsh]:  {text}\n")

    def raw(self, data: bytes) -> None:
        """Writes bytes unchanged."""
        self._out.flush()
        self._out.buffer.write(data)
        self._out.buffer.flush()

    def error(self, text: str) -> bool:
        """Reports an error; returns False, so that a command can `return session.error(...)`."""
        self._message("ERROR:  ", text)
        return False

    def warning(self, text: str) -> None:
        """Reports a warning."""
        self._message("WARNING:  ", text)

    def _message(self, prefix: str, text: str) -> None:
        self._out.flush()
        self._err.write(f"{prefix}{text}\n")
        self._err.flush()

    # Questions

    def ask(self, question: str, prompt: str = "Yes/No [no]> ") -> bool:
        """Asks an interactive user; any answer but y or yes means no. Returns True without a user."""
        if not self.interactive:
            return True
        if question:
            self._out.write(question + "\n")
        self._out.flush()
        try:
            answer = input(prompt)
        except EOFError:
            self.row()
            return False
        return answer.strip().lower() in ("y", "yes")

    def sure(self, question: str, changes: Sequence[str], prompt: str) -> bool:
        """Shows changes and asks, only if interactive: how `node set` and `provision set` ask."""
        if not self.interactive:
            return True
        listing = "\n".join((question, "", *changes, ""))
        if self.ask(listing, prompt):
            return True
        self.row("No update performed")
        return False

    def proceed(self, count: int, noun: str, changes: Sequence[str]) -> bool:
        """Shows actions, even if it does not ask: how `file set` and `node delete` ask."""
        self.notice(f"About to apply {len(changes)} action(s) to {count} {noun}:")
        self.notice()
        for change in changes:
            self.notice(change)
        self.notice()
        if self.ask("Proceed?"):
            return True
        self.row("Action(s) discarded.")
        return False

    def may_overwrite(self, name: str) -> bool:
        """Asks whether an image of that name may be replaced; prints a line if not."""
        if not self.interactive:
            return True
        self.warning(f"Do you wish to overwrite '{name}' in the Warewulf data store?")
        if self.ask("", "Yes/No> "):
            return True
        self.row(f"Not importing '{name}'")
        return False

    # Events

    def changed(self) -> None:
        """Records that objects changed: generated files are rewritten when the command ends."""
        if not self.events_on:
            return
        self.pending = True
        if self.flags.nodhcp:
            self.warning("Skipping DHCP update. Manually run: wwsh dhcp update")
        else:
            self.pending_dhcp = True

    def apply_events(self) -> bool:
        """Rewrites the files generated from changed objects; returns whether all are up to date."""
        if not self.pending:
            return True
        from lab.guest.warewulf import events

        dhcp, self.pending, self.pending_dhcp = self.pending_dhcp, False, False
        return events.apply(self.system, self.store, self.warning, dhcp=dhcp)


def change_line(what: str, key: str, value: str | None = None) -> str:
    """One line of a list of changes, in Warewulf's columns."""
    return f"{what:>8}: {key:<20}" + ("" if value is None else f" = {value}")


def print_line(name: str, key: str, value: str) -> str:
    """One line of `node print` and `provision print`."""
    return f"{name:>15}: {key:<16} = {value}"


def shortened(text: str, width: int) -> str:
    """Text cut to the width of a column; an ellipsis replaces the rest."""
    return text if len(text) <= width else text[: width - 3] + "..."


def title_line(name: str) -> str:
    """The line above one object's values."""
    return f"#### {name} {'#' * max(1, 73 - len(name))}"
