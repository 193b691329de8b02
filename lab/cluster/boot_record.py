"""What a command has begun with nodes: kept by the engine until somebody has seen them ready.

A command may be killed, and a host may lose its power. Slurm then keeps nodes out of service that the lab
rebooted, and a later command could not tell them from nodes that a person took out.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable
from dataclasses import replace

from lab.backends.base import Backend
from lab.model import ClusterSpec, LabRecord, PendingBoot
from lab.polling import Clock

NOTHING = PendingBoot((), 0.0)


class BootRecord:
    """The pending boot of one lab; read from the engine once, and written there at each change."""

    def __init__(self, spec: ClusterSpec, backend: Backend, today: Clock = time.time) -> None:
        self._spec = spec
        self._backend = backend
        self._today = today  # Unix time: another process, or the next boot of the host, reads it
        self._current: PendingBoot | None = None
        self._restoring = 0.0
        self._exists = False  # whether the engine has such a lab, and so a place for the record

    @property
    def current(self) -> PendingBoot:
        """What was begun and is not completed; without nodes if there is nothing."""
        if self._current is None:
            found = self._record()
            self._exists = found is not None
            self._current = found.boot if found and found.boot else NOTHING
        return self._current

    @property
    def age(self) -> float:
        """Seconds since the first of its nodes got power."""
        return max(0.0, self._today() - self.current.began) if self.current.nodes else 0.0

    def restoring(self) -> None:
        """Remembers when a restore began: the backend keeps until its end that it is not completed."""
        self._restoring = self._today()

    def begin(
        self, nodes: Collection[str], available_before: Collection[str] = (), restored: str = ""
    ) -> None:
        """Records that these nodes get power; a restore replaces what was begun before it."""
        before = PendingBoot((), self._restoring) if restored else self.current
        self._exists = self._exists or self._record() is not None
        boot = PendingBoot(
            nodes=_joined(before.nodes, nodes),
            began=before.began or self._today(),
            available_before=_joined(before.available_before, available_before),
            restored=restored or before.restored,
        )
        if boot.nodes:
            self._keep(boot)

    def finish(self, nodes: Iterable[str]) -> PendingBoot:
        """Records that these nodes are ready, or as a person set them; returns what is left."""
        gone = {*nodes} | ({*self.current.nodes} - {node.name for node in self._spec.nodes})
        left = tuple(name for name in self.current.nodes if name not in gone)
        if left != self.current.nodes:
            self._keep(replace(self.current, nodes=left) if left else NOTHING)
        return self.current

    def forget(self) -> None:
        """Forgets what is known here: the engine has no such lab any more."""
        self._current, self._exists = NOTHING, False

    def _keep(self, boot: PendingBoot) -> None:
        self._current = boot
        if self._exists:
            self._backend.note_boot(self._spec, boot if boot.nodes else None)

    def _record(self) -> LabRecord | None:
        return next((record for record in self._backend.labs() if record.lab == self._spec.lab), None)


def _joined(before: Iterable[str], more: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*before, *sorted(more))))
