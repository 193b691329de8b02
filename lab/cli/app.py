"""Gives every command its environment, the lab it works on, the backend and the lock."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, Protocol

import click

from lab.errors import LabError, UsageError

if TYPE_CHECKING:
    from lab.backends.base import Backend
    from lab.cli.progress_display import ProgressReporter
    from lab.cluster.cluster import Cluster
    from lab.model import ClusterSpec, LabRecord
    from lab.paths import Paths

DEFAULT_LAB = "lab"
DEFAULT_BACKEND = "docker"


def _open_backend(name: str) -> Backend:
    from lab.backends import open_backend

    return open_backend(name)


def _attend(argv: Sequence[str], hang_up: Sequence[str], *, harmless: bool) -> int:
    from lab.foreground import attend

    return attend(argv, hang_up, harmless=harmless)


class Attend(Protocol):
    """Runs a client on our own terminal, as `lab.foreground.attend` does."""

    def __call__(self, argv: Sequence[str], hang_up: Sequence[str], *, harmless: bool) -> int:
        """Returns its status; with `harmless`, its output comes without what steers a terminal."""


def _replace(argv: Sequence[str]) -> NoReturn:
    from lab.process import replace

    replace(argv)


class App:
    """One run of `lab`; tests pass another environment and another backend."""

    def __init__(
        self,
        environ: Mapping[str, str],
        folder: Path | None = None,
        *,
        open_backend: Callable[[str], Backend] = _open_backend,
        replace: Callable[[Sequence[str]], NoReturn] = _replace,
        attend: Attend = _attend,
        argv: Sequence[str] | None = None,
    ) -> None:
        self.environ = environ
        self.folder = folder or Path.cwd()
        self.open_backend = open_backend
        self.replace = replace
        self._attend = attend
        self.argv = sys.argv[1:] if argv is None else argv
        self._owners: Mapping[str, str] | None = None  # of all labs, as soon as somebody has asked
        self.interrupted = (
            "nothing was changed"  # what to print after Ctrl-C; commands that change something set it
        )

    @cached_property
    def paths(self) -> Paths:
        """The user's folders."""
        from lab.paths import user_paths

        return user_paths(self.environ)

    @property
    def backend_name(self) -> str:
        """The backend's name from LAB_BACKEND, else from lab.toml, else docker."""
        return self.environ.get("LAB_BACKEND") or self._read_key("backend") or DEFAULT_BACKEND

    @cached_property
    def backend(self) -> Backend:
        """The backend of that name, opened."""
        return self.open_backend(self.backend_name)

    @property
    def interactive(self) -> bool:
        """Whether a person at a terminal can answer questions."""
        return sys.stdin.isatty() and sys.stderr.isatty()

    def config_path(self, given: Path | None) -> Path | None:
        """Finds the configuration file: the one given, else LAB_CONFIG, else lab.toml in this folder."""
        from lab.paths import find_config

        named = given or (Path(self.environ["LAB_CONFIG"]) if self.environ.get("LAB_CONFIG") else None)
        return named or find_config(self.folder)

    def lab_name(self, given: str | None) -> str:
        """Returns the name of the lab: the one given, else LAB_NAME, else the one in lab.toml, else "lab"."""
        return given or self.environ.get("LAB_NAME") or self._read_key("lab") or DEFAULT_LAB

    def spec(self, config: Path | None, sets: Sequence[str], lab: str | None) -> ClusterSpec:
        """Builds the specification that the configuration describes."""
        from lab.config.loader import load

        return load(self.config_path(config), sets, self.environ, lab)

    def record(self, given: str | None) -> LabRecord:
        """Reads the engine's record of the lab; raises a UsageError if there is no such lab."""
        name = self.lab_name(given)
        records = self.backend.labs()
        self._owners = {record.lab: record.owner for record in records}
        for record in records:
            if record.lab == name:
                return record
        others = ", ".join(record.lab for record in records)
        raise UsageError(
            f"there is no lab called {name}",
            evidence=f"existing labs: {others}" if others else "",
            hint="lab up creates it" if name == DEFAULT_LAB else f"lab up -l {name} creates it",
        )

    def known_spec(self, given: str | None) -> ClusterSpec:
        """Reads the specification of an existing lab from the engine."""
        return self.spec_of(self.record(given))

    @staticmethod
    def spec_of(record: LabRecord) -> ClusterSpec:
        """Returns the specification of a record; raises a LabError if it is not readable."""
        if record.spec is None:
            raise LabError(
                f"the engine's record of lab {record.lab} cannot be read",
                hint=f"lab down -l {record.lab} removes it",
            )
        return record.spec

    def enter(
        self,
        lab: str,
        node: str,
        command: Sequence[str] | None,
        *,
        user: str,
        tty: bool = False,
        harmless: bool = False,
    ) -> int:
        """Runs a command or a shell in a node on our own terminal; returns its status, as ssh does.

        With `harmless`, its output comes without what steers a terminal. Whatever ends us also ends the
        command in the node.
        """
        from lab.backends.hang_up import new_mark

        mark = new_mark()
        self.interrupted = ""  # the command says itself what it did
        if tty:
            self.tell_owner(lab)
        argv = self.backend.shell(lab, node, command, user=user, tty=tty, mark=mark)
        return self._attend(argv, self.backend.hang_up(lab, node, mark), harmless=harmless)

    @contextmanager
    def cluster(self, spec: ClusterSpec, progress: ProgressReporter | None = None) -> Iterator[Cluster]:
        """Opens the cluster of a specification; closes its shells at the end of the block."""
        from lab.cluster.cluster import Cluster

        cluster = Cluster(spec, self.backend, transcripts=self.paths.data / "transcripts" / spec.lab)
        if progress is not None:
            cluster.say, cluster.watch = progress.say, progress.watch
        with cluster:
            yield cluster

    def lock(
        self, lab: str, wait: Callable[[str], None] | None = None, *, yes: bool = False
    ) -> AbstractContextManager[None]:
        """Locks the lab for a command that changes it; asks first if it is another account's.

        With `wait`, waits for the lock and says so. `yes`: the user has agreed to everything.
        """
        from lab.cli.output import note

        self.agree_owner(lab, yes=yes)
        command = " ".join(["lab", *self.argv])
        return self.backend.locks.hold(lab, command, wait or note, wait=wait is not None)

    def agree_owner(self, lab: str, *, yes: bool) -> None:
        """Asks before a lab of another account is changed; raises a UsageError if that is not agreed to."""
        if owner := self.stranger(lab):
            from lab.cli.owner import agree

            ask = partial(self.confirm, yes=False) if self.interactive else None
            agree(lab, owner, ask, yes=yes)

    def stranger(self, lab: str) -> str:
        """The other account that a lab belongs to, or ""; `lab.cli.owner` says what follows."""
        from lab.cli.owner import stranger

        if self._owners is None:
            self._owners = {record.lab: record.owner for record in self.backend.labs()}
        return stranger(self._owners.get(lab, ""), self.environ)

    def tell_owner(self, lab: str) -> None:
        """Says on stderr that a lab is another account's."""
        if owner := self.stranger(lab):
            from lab.cli.owner import tell

            tell(lab, owner)

    def confirm(self, question: str, *, yes: bool) -> None:
        """Asks on a terminal; without one, raises a UsageError that names --yes. Does nothing if `yes`."""
        if yes:
            return
        if not self.interactive:
            raise UsageError(question, hint="to confirm, repeat the command with --yes")
        import shutil
        import textwrap

        from lab.printable import printable_lines

        width = min(100, shutil.get_terminal_size().columns)
        wrapped = "\n".join(textwrap.fill(line, width) for line in printable_lines(question))
        if not click.confirm(wrapped, err=True):
            raise UsageError("nothing was changed")

    def _read_key(self, key: str) -> str | None:
        path = self.config_path(None)
        if path is None:
            return None
        from lab.config.loader import read_key  # only here: most labs have no such file

        try:
            return read_key(path, key)
        except UsageError as problem:
            raise UsageError(
                f"cannot find out which {key} to use: {problem.message}",
                evidence=problem.evidence,
                hint="correct the file, or set LAB_NAME (or -l) and LAB_BACKEND",
            ) from problem
