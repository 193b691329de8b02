"""Gives power a second time to nodes that the lab powered on, if they fail or their boot stands still."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from lab.backends.base import Backend, Say
from lab.cluster.readiness import ClusterSnapshot, Reading
from lab.errors import LabError
from lab.model import BOOTED, CRASHED, ClusterSpec, Role
from lab.polling import Clock

JOBS = "systemctl list-jobs --no-legend --no-pager"
"""One line for each job of systemd: number, unit, type, and `waiting` or `running` (systemctl(1))."""
YOUNG = 20.0  # seconds after its boot began during which a node is not asked
AGAIN = 8.0  # seconds between two questions to the same node
RUNNER = (Role.SMS, Role.LOGIN, Role.COMPUTE)
"""Roles whose nodes run systemd."""


def waiting_jobs(output: str) -> int:
    """How many jobs wait while none runs; 0 if one runs, or there is none.

    While a system boots, waiting jobs wait for one that runs. A boot without such a job never ends.
    """
    states = [line.split()[-1] for line in output.splitlines() if len(line.split()) == 4]
    return len(states) if states and set(states) == {"waiting"} else 0


class Repower:
    """Watches the nodes of one wait; each gets power again at most once.

    `ask` runs a command in a node and returns its output; `cut` cuts a node's power and gives it back. The
    module's seconds are of a quiet host; the measured speed of this one makes them longer.
    """

    def __init__(
        self,
        spec: ClusterSpec,
        backend: Backend,
        say: Say,
        *,
        ask: Callable[[str, str], str],
        cut: Callable[[str], None],
        clock: Clock,
    ) -> None:
        self._spec = spec
        self._backend = backend
        self._say = say
        self._ask = ask
        self._cut = cut
        self._clock = clock
        self._done: set[str] = set()
        self._asked: dict[str, float] = {}
        self._stood: dict[str, str] = {}  # what systemd said when a node was last seen to stand still

    def crashed(self, view: ClusterSnapshot) -> None:
        """Gives power again to nodes whose chassis failed."""
        fallen = [
            name
            for name in sorted(view.powered - self._done)
            if name in view.statuses and view.statuses[name].stage == CRASHED
        ]
        for name in fallen:
            self._say(f"{name} lost its power ({view.statuses[name].detail}): giving it power again")
        if fallen:
            self._done.update(fallen)
            self._backend.start(self._spec.lab, fallen)

    def standing(self, view: ClusterSnapshot, readings: Sequence[Reading]) -> None:
        """Cuts the power of nodes whose boot stands still, and gives it back.

        A node counts if systemd says the same twice: jobs wait, and none runs.
        """
        late = {reading.node for reading in readings if not reading.settled}
        for name in sorted(view.powered & late - self._done):
            if not self._is_due(view, name):
                continue
            self._asked[name] = self._clock()
            said = self._jobs(name)
            jobs, before = waiting_jobs(said), self._stood.get(name, "")
            self._stood[name] = said if jobs else ""
            if jobs and said == before:
                self._done.add(name)
                self._say(f"{name} stands still in its boot ({jobs} jobs wait, none runs): power off and on")
                self._cut(name)

    def _is_due(self, view: ClusterSnapshot, name: str) -> bool:
        status, scale = view.statuses.get(name), self._backend.host_speed.timeout_scale
        if status is None or status.stage != BOOTED or self._spec.node(name).role not in RUNNER:
            return False
        asked = self._asked.get(name)
        if asked is not None:
            return self._clock() - asked >= AGAIN * scale
        return status.since is not None and status.since >= YOUNG * scale

    def _jobs(self, name: str) -> str:
        try:
            return self._ask(name, JOBS)
        except LabError:
            return ""  # it could not be asked: that says nothing about its boot
