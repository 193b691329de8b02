"""What every command is given: surroundings, the lab that is meant, its backend and its lock."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from lab.errors import LabError, UsageError

if TYPE_CHECKING:
    from lab.backends.base import Backend
    from lab.cli.progress_display import ProgressReporter
    from lab.cluster.cluster import Cluster
    from lab.lock import Lock
    from lab.model import ClusterSpec, LabRecord
    from lab.paths import Paths

DEFAULT_LAB = "lab"
DEFAULT_BACKEND = "docker"


def _open_backend(name: str) -> Backend:
    from lab.backends import open_backend

    return open_backend(name)


def _replace(argv: Sequence[str]) -> NoReturn:
    from lab.process import replace

    replace(argv)


class App:
    """One run of `lab`; tests give it another environment and another backend."""

    def __init__(
        self,
        environ: Mapping[str, str],
        folder: Path | None = None,
        *,
        open_backend: Callable[[str], Backend] = _open_backend,
        replace: Callable[[Sequence[str]], NoReturn] = _replace,
        argv: Sequence[str] | None = None,
    ) -> None:
        self.environ = environ
        self.folder = folder or Path.cwd()
        self.open_backend = open_backend
        self.replace = replace
        self.argv = sys.argv[1:] if argv is None else argv
        self.interrupted = "nothing was changed"  # what Ctrl-C leaves behind; each command says its own

    @cached_property
    def paths(self) -> Paths:
        """The user's folders."""
        from lab.paths import user_paths

        return user_paths(self.environ)

    @cached_property
    def backend(self) -> Backend:
        """The backend: LAB_BACKEND, else lab.toml's, else docker."""
        return self.open_backend(self.environ.get("LAB_BACKEND") or self._peek("backend") or DEFAULT_BACKEND)

    @property
    def interactive(self) -> bool:
        """Whether there is somebody to ask."""
        return sys.stdin.isatty() and sys.stderr.isatty()

    def config_path(self, given: Path | None) -> Path | None:
        """The configuration file: the one given, else LAB_CONFIG's, else lab.toml in this folder."""
        from lab.paths import find_config

        named = given or (Path(self.environ["LAB_CONFIG"]) if self.environ.get("LAB_CONFIG") else None)
        return named or find_config(self.folder)

    def lab_name(self, given: str | None) -> str:
        """The lab that is meant: the one given, else LAB_NAME's, else lab.toml's, else "lab"."""
        return given or self.environ.get("LAB_NAME") or self._peek("lab") or DEFAULT_LAB

    def spec(self, config: Path | None, sets: Sequence[str], lab: str | None) -> ClusterSpec:
        """The specification that the configuration asks for."""
        from lab.config.loader import load

        return load(self.config_path(config), sets, self.environ, lab)

    def record(self, given: str | None) -> LabRecord:
        """What the engine remembers of the lab that is meant; a UsageError when there is none."""
        name = self.lab_name(given)
        records = self.backend.labs()
        for record in records:
            if record.lab == name:
                return record
        others = ", ".join(record.lab for record in records)
        raise UsageError(
            f"there is no lab called {name}",
            evidence=f"there are: {others}" if others else "",
            hint="lab up makes it" if name == DEFAULT_LAB else f"lab up -l {name} makes it",
        )

    def known_spec(self, given: str | None) -> ClusterSpec:
        """The specification of a lab that exists, as the engine remembers it."""
        return self.spec_of(self.record(given))

    @staticmethod
    def spec_of(record: LabRecord) -> ClusterSpec:
        """The specification on a record; a LabError when it cannot be read."""
        if record.spec is None:
            raise LabError(
                f"what the engine remembers of lab {record.lab} cannot be read",
                hint=f"lab down -l {record.lab} removes it",
            )
        return record.spec

    @contextmanager
    def cluster(self, spec: ClusterSpec, progress: ProgressReporter | None = None) -> Iterator[Cluster]:
        """The lab of a specification; its shells are closed at the end of the block."""
        from lab.cluster.cluster import Cluster

        cluster = Cluster(spec, self.backend, transcripts=self.paths.data / "transcripts" / spec.lab)
        if progress is not None:
            cluster.say, cluster.watch = progress.say, progress.watch
        with cluster:
            yield cluster

    def lock(self, lab: str, wait: Callable[[str], None] | None = None) -> AbstractContextManager[Lock]:
        """Holds the lab for a command that changes it; with `wait` it takes its turn, and says so."""
        from lab.lock import hold

        return hold(self.paths.lock(lab), lab, " ".join(["lab", *self.argv]), wait=wait)

    def confirm(self, question: str, *, yes: bool) -> None:
        """Asks on a terminal; elsewhere refuses, naming the flag, unless the answer was given."""
        if yes:
            return
        if not self.interactive:
            raise UsageError(question, hint="repeat the command with --yes to go on")
        import shutil
        import textwrap

        width = min(100, shutil.get_terminal_size().columns)
        wrapped = "\n".join(textwrap.fill(line, width) for line in question.splitlines())
        if not click.confirm(wrapped, err=True):
            raise UsageError("nothing was changed")

    def _peek(self, key: str) -> str | None:
        path = self.config_path(None)
        if path is None:
            return None
        from lab.config.loader import read_key  # not before: most labs have no such file

        try:
            return read_key(path, key)
        except UsageError as problem:
            raise UsageError(
                f"cannot tell which {key} is meant: {problem.message}",
                evidence=problem.evidence,
                hint="mend the file, or give LAB_NAME (or -l) and LAB_BACKEND",
            ) from problem
