"""Looks at a lab again and again while somebody has its page open, and tells every page what has changed."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from typing import Any

from lab.cluster.cluster import Cluster
from lab.cluster.readiness import ClusterSnapshot, evaluate
from lab.cluster.rows import as_row
from lab.errors import LabError
from lab.facts.slurm import RecentJob, recent_jobs
from lab.polling import monotonic
from lab.printable import printable_line
from lab.siphon.fetch.hostlist import HostlistError, expand
from lab.web.hub import Hub
from lab.web.tasks import as_data
from lab.web.threads import in_thread

EVERY = 2.0  # seconds between two looks; a slow host gets four times as long as a look takes
SHARE = 4
JOBS = 200  # the newest of them are shown
SHORT = 60  # characters of a job's name


class Looker:
    """Looks at one lab; `open_cluster` finds it anew, since it may be remade, or raises a LabError."""

    def __init__(self, open_cluster: Callable[[], Cluster], hub: Hub) -> None:
        self._open_cluster = open_cluster
        self._hub = hub
        self._cluster: Cluster | None = None
        self._jobs: dict[str, RecentJob] = {}  # also those that slurmctld has forgotten

    async def run(self) -> None:
        """Looks for ever, as long as anybody is there to see it."""
        while True:
            await self._hub.somebody()
            began = monotonic()
            self._hub.keep("status", await in_thread(self.look, "look"))
            await asyncio.sleep(max(EVERY, SHARE * (monotonic() - began)))

    def look(self) -> dict[str, Any]:
        """Looks once; what is wrong with the lab is part of the answer."""
        try:
            return self._seen(self._usable())
        except LabError as problem:
            self.close()
            return {"kind": "status", "away": as_data(problem), "nodes": [], "jobs": []}

    def close(self) -> None:
        """Closes the shells that were used."""
        found, self._cluster = self._cluster, None
        if found is not None:
            found.close()

    def _usable(self) -> Cluster:
        """The cluster of the last look, unless the lab has another shape since."""
        fresh = self._open_cluster()
        if self._cluster is None or self._cluster.spec != fresh.spec:
            self.close()
            self._cluster = fresh
        return self._cluster

    def _seen(self, cluster: Cluster) -> dict[str, Any]:
        view = cluster.look()
        trouble = self._read_jobs(cluster, view)
        jobs = sorted(self._jobs.values(), key=lambda job: job.submitted or 0)[-JOBS:]
        return {
            "kind": "status",
            "away": None,
            "nodes": _nodes(cluster, view),
            "jobs": [_job(job) for job in jobs],
            "trouble": trouble,
        }

    def _read_jobs(self, cluster: Cluster, view: ClusterSnapshot) -> str:
        if view.sms.nodes is None:
            return printable_line(view.sms.trouble or "slurmctld does not answer")
        fact = recent_jobs(secrets.token_hex(8))
        try:
            found = cluster.sms.fact(fact, timeout=5.0)
        except LabError as problem:
            return printable_line(problem.message)
        ids = [int(job.job_id) for job in found if job.job_id.isdecimal()]
        if self._jobs and ids and max(ids) < max(int(name) for name in self._jobs if name.isdecimal()):
            self._jobs.clear()  # another state of the lab was restored, and numbers begin again
        self._jobs |= {job.job_id: job for job in found}
        for old in sorted(self._jobs, key=lambda name: self._jobs[name].submitted or 0)[: -2 * JOBS]:
            del self._jobs[old]
        return ""


def _nodes(cluster: Cluster, view: ClusterSnapshot) -> list[dict[str, Any]]:
    spec = cluster.spec
    known = view.sms.nodes or {}
    found: list[dict[str, Any]] = []
    for reading in evaluate(spec, view, [node.name for node in spec.nodes]):
        node, info = spec.node(reading.node), known.get(reading.node)
        row = as_row(reading, view.statuses.get(node.name))
        row |= {"role": node.role.value, "tag": node.tag.value, "gpus": node.gpus, "cpus": node.cpus}
        row["since"] = None  # it changes with every look, and pages get what has changed
        row["slurm"] = printable_line(info.label.lower()) if info else ""
        row["reason"] = printable_line(info.reason) if info and not info.takes_jobs else ""
        found.append(row)
    return found


def _job(job: RecentJob) -> dict[str, Any]:
    try:
        nodes = list(expand(job.nodes, limit=64)) if job.nodes else []
    except HostlistError:
        nodes = []
    return {
        "id": printable_line(job.job_id, SHORT),
        "name": printable_line(job.name, SHORT),
        "user": printable_line(job.user, SHORT),
        "state": printable_line(job.state.lower(), SHORT),
        "partition": printable_line(job.partition, SHORT),
        "submitted": job.submitted,
        "started": job.started,
        "ended": job.ended,
        "nodes": [printable_line(name, SHORT) for name in nodes],
    }
