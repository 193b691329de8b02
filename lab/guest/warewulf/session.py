"""One run of wwsh: what it may print, whether it may ask, the store, and the events still to come."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TextIO

from lab.guest.system import System

if TYPE_CHECKING:
    from lab.guest.warewulf.model import Record
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


GLOBAL = {
    "-y": "yes", "--yes": "yes", "--noask": "yes",
    "-q": "quiet", "--quiet": "quiet",
    "-v": "verbose", "--verbose": "verbose",
    "-d": "debug", "--debug": "debug",
    "--nodhcp": "nodhcp",
    "--help": "help",
}  # fmt: skip


def split_flags(words: Sequence[str], flags: Flags) -> tuple[list[str], Flags]:
    """Takes wwsh's own options out of a line; a module's own `-d` is lost to them, as in Warewulf."""
    found = {GLOBAL[word]: True for word in words if word in GLOBAL}
    return [word for word in words if word not in GLOBAL], replace(flags, **found)


class Session:
    """What the commands of wwsh act through."""

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
        """Whether questions are asked; when not, every answer is yes."""
        return self._terminal and not self.flags.yes and not self.flags.quiet

    @property
    def strict(self) -> bool:
        """Whether printing commands end with 1 on success, as Warewulf's do."""
        return os.environ.get("WW_STRICT_RC") == "1"

    @property
    def store(self) -> Store:
        """The datastore, opened when first used."""
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
        """A line that is always shown."""
        self._out.write(text + "\n")

    def notice(self, text: str = "") -> None:
        """A line that --quiet hides."""
        if not self.flags.quiet:
            self._out.write(text + "\n")

    def info(self, text: str) -> None:
        """A line that only --verbose shows."""
        if self.flags.verbose or self.flags.debug:
            self._out.write(text + "\n")

    def debug(self, text: str) -> None:
        """A line for the curious."""
        if self.flags.debug:
            self._out.write(f"[wwsh]:  {text}\n")

    def raw(self, data: bytes) -> None:
        """Bytes as they are."""
        self._out.flush()
        self._out.buffer.write(data)
        self._out.buffer.flush()

    def error(self, text: str) -> bool:
        """An error; returns False so that a command can `return session.error(...)`."""
        self._message("ERROR:  ", text)
        return False

    def warning(self, text: str) -> None:
        """A warning."""
        self._message("WARNING:  ", text)

    def _message(self, prefix: str, text: str) -> None:
        self._out.flush()
        self._err.write(f"{prefix}{text}\n")
        self._err.flush()

    # Questions

    def ask(self, question: str, prompt: str = "Yes/No [no]> ") -> bool:
        """Asks when there is somebody to ask; anything but y or yes means no."""
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
        """Shows changes before asking, and only then: the way of `node set` and `provision set`."""
        if not self.interactive:
            return True
        listing = "\n".join((question, "", *changes, ""))
        if self.ask(listing, prompt):
            return True
        self.row("No update performed")
        return False

    def proceed(self, count: int, noun: str, changes: Sequence[str]) -> bool:
        """Shows actions even when nobody is asked: the way of `file set` and `node delete`."""
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
        """Asks before an image of that name is replaced, and says so when it is not."""
        if not self.interactive:
            return True
        self.warning(f"Do you wish to overwrite '{name}' in the Warewulf data store?")
        if self.ask("", "Yes/No> "):
            return True
        self.row(f"Not importing '{name}'")
        return False

    # Events

    def changed(self) -> None:
        """Says that objects changed: what depends on them is rewritten when the command is done."""
        if not self.events_on:
            return
        self.pending = True
        if self.flags.nodhcp:
            self.warning("Skipping DHCP update. Manually run: wwsh dhcp update")
        else:
            self.pending_dhcp = True

    def apply_events(self) -> bool:
        """Rewrites what depends on changed objects; says whether all went well."""
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


def title_line(record: Record) -> str:
    """The line above one object's values."""
    return f"#### {record.name} {'#' * max(1, 73 - len(record.name))}"
