"""One learner's place: a lab, the learner's progress in it, the terminals, and what is being done."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from lab.backends.base import Backend
from lab.backends.hang_up import new_mark
from lab.cluster.cluster import Cluster
from lab.cluster.plan import check_names
from lab.course.catalog import Catalog
from lab.course.opening import open_course
from lab.course.progress import ProgressFile
from lab.course.runner import Course
from lab.errors import LabError, UsageError
from lab.model import ClusterSpec
from lab.nodes.accounts import USERS
from lab.web.hub import Hub
from lab.web.looking import Looker
from lab.web.sources import ConsoleSource, ProgramSource, Source
from lab.web.tasks import Progress, Tasks
from lab.web.terminals import Place, Terminals
from lab.web.threads import in_thread

CONSOLE_LINES = 500
JOURNAL = ("journalctl", "--no-pager", "-n", "200", "-f")
KINDS = ("shell", "console", "journal")


class Lab:
    """A lab as the engine has it, and the course on it; every method may wait, and raise a LabError."""

    def __init__(self, name: str, backend: Backend, catalog: Catalog, data: Path, command: str) -> None:
        self.name = name
        self.backend = backend
        self.catalog = catalog
        self.progress = ProgressFile(data, name)
        self._transcripts = data / "transcripts" / name
        self._command = command

    def spec(self) -> ClusterSpec:
        """The specification of the lab as it is now."""
        for record in self.backend.labs():
            if record.lab == self.name and record.spec is not None:
                return record.spec
        raise LabError(f"there is no lab called {self.name}", hint=f"lab up -l {self.name} creates it")

    def cluster(self) -> Cluster:
        """The cluster of that specification; the caller closes it."""
        return Cluster(self.spec(), self.backend, transcripts=self._transcripts)

    @contextmanager
    def locked(self, progress: Progress) -> Iterator[Cluster]:
        """Locks the lab for what changes it, with its progress told."""
        with self.backend.locks.hold(self.name, self._command, progress.say), self.cluster() as cluster:
            cluster.say, cluster.watch = progress.say, progress.watch
            yield cluster

    @contextmanager
    def course(self, progress: Progress) -> Iterator[Course]:
        """The course on the locked lab."""
        with self.locked(progress) as cluster:
            yield open_course(self.catalog, self.progress, cluster, progress.say)

    def open_source(self, place: Place) -> Source:
        """Starts what a terminal shows; a UsageError where there is no such node or user."""
        check_names(self.spec(), [place.node])
        if place.kind not in KINDS or place.user not in USERS:
            raise UsageError("there is no such terminal")
        if place.kind == "console":
            return ConsoleSource(
                lambda: self.backend.console(self.name, place.node, follow=True, tail=CONSOLE_LINES)
            )
        mark = new_mark()
        journal = place.kind == "journal"
        words, user = (JOURNAL, "root") if journal else (None, place.user)
        argv = self.backend.shell(self.name, place.node, words, user=user, tty=not journal, mark=mark)
        return ProgramSource(argv, self.backend.hang_up(self.name, place.node, mark), harmless=journal)


class Seat:
    """What one learner's pages share; belongs to the event loop in which it was made."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.hub = Hub()
        self.terminals = Terminals(lab.open_source)
        self.tasks = Tasks(lambda event: self.hub.keep_soon("task", event))
        self._looker = Looker(lab.cluster, self.hub)
        self._looking: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Looks at the lab from now on."""
        self._looking = asyncio.get_running_loop().create_task(self._looker.run())

    async def end(self) -> None:
        """Ends the terminals, in the nodes, too, and stops looking."""
        if self._looking is not None:
            self._looking.cancel()
            with suppress(asyncio.CancelledError):
                await self._looking
        await self.terminals.close_all()
        await in_thread(self._looker.close, "close")
