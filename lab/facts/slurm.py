"""Facts about Slurm, from its own commands on any node that has its configuration."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from datetime import UTC, datetime

from lab.facts.fact import Fact, FactError, pairs, require_success, split_fields

IN_USE = frozenset({"IDLE", "MIXED", "ALLOCATED"})
_UNWELL = frozenset(
    {"DRAIN", "FAIL", "NOT_RESPONDING", "INVALID_REG", "REBOOT_REQUESTED", "REBOOT_ISSUED", "POWERED_DOWN"}
)
_SUFFIXES = "*~#!%$@^-+"  # appended to a state; see sinfo(1), NODE STATE CODES


@dataclass(frozen=True)
class NodeInfo:
    """One node in slurmctld; times in seconds since 1970, None if it never registered."""

    name: str
    state: str  # the base state, e.g. IDLE
    flags: frozenset[str]  # e.g. DRAIN, NOT_RESPONDING
    reason: str
    reason_time: int | None
    boot_time: int | None
    slurmd_start: int | None
    cpus: int
    memory: int  # MiB, as configured
    gres: str

    @property
    def takes_jobs(self) -> bool:
        """Whether the node is idle or busy, and neither drained nor unresponsive."""
        return self.state in IN_USE and not self.flags & _UNWELL

    @property
    def label(self) -> str:
        """State and flags in one word, in the form of `scontrol show node`."""
        return "+".join([self.state, *sorted(self.flags)])


@dataclass(frozen=True)
class Partition:
    """One partition in the output of sinfo."""

    name: str
    available: bool
    time_limit: str
    nodes: int
    node_list: str
    default: bool


@dataclass(frozen=True)
class Job:
    """One job in the queue."""

    job_id: str
    user: str
    state: str
    partition: str
    nodes: str
    name: str
    reason: str


@dataclass(frozen=True)
class RecentJob:
    """One job that slurmctld still knows, or an ended one; times in seconds since 1970, None if unknown."""

    job_id: str
    user: str
    state: str  # e.g. COMPLETED
    partition: str
    submitted: int | None
    started: int | None  # expected, while it is pending
    ended: int | None  # expected, until it has ended
    nodes: str  # a host list
    name: str


_SINFO = "sinfo -hN -o '%N|%T|%E'"
_SINFO_PARTITIONS = "sinfo -h -o '%P|%a|%l|%D|%N'"
_SQUEUE = "squeue -h -o '%i|%u|%T|%P|%N|%r|%j'"
_NODES = "TZ=UTC0 scontrol -o show nodes"
_CONFIG = "scontrol show config"


def _node_states(status: int, output: str) -> dict[str, str]:
    require_success(_SINFO, status, output)
    rows = [split_fields(line, 3, _SINFO) for line in output.splitlines() if line.strip()]
    return {name: state for name, state, _ in rows}


def _node_reasons(status: int, output: str) -> dict[str, str]:
    require_success(_SINFO, status, output)
    rows = [split_fields(line, 3, _SINFO) for line in output.splitlines() if line.strip()]
    return {name: "" if reason == "none" else reason for name, _, reason in rows}


def _partitions(status: int, output: str) -> tuple[Partition, ...]:
    require_success(_SINFO_PARTITIONS, status, output)
    found = []
    for line in output.splitlines():
        name, state, limit, count, nodes = split_fields(line, 5, _SINFO_PARTITIONS)
        found.append(
            Partition(name.rstrip("*"), state == "up", limit, int(count), nodes, default=name.endswith("*"))
        )
    return tuple(found)


def _jobs(status: int, output: str) -> tuple[Job, ...]:
    require_success(_SQUEUE, status, output)
    found = []
    for line in output.splitlines():
        job_id, user, state, partition, nodes, reason, name = split_fields(line, 7, _SQUEUE)
        found.append(Job(job_id, user, state, partition, nodes, name, reason))
    return tuple(found)


def parse_nodes(status: int, output: str) -> dict[str, NodeInfo]:
    """Parses the output of `scontrol -o show nodes`, run with TZ=UTC0."""
    require_success(_NODES, status, output)
    return {info.name: info for info in map(_node, output.split("\n")) if info is not None}


def _node(line: str) -> NodeInfo | None:
    found = pairs(line)
    if "NodeName" not in found:
        return None
    base, *flags = found.get("State", "UNKNOWN").split("+")
    if base.endswith("*"):
        flags.append("NOT_RESPONDING")
    gres = found.get("Gres", "")
    reason, _, signature = found.get("Reason", "").partition(" [")
    return NodeInfo(
        name=found["NodeName"],
        state=base.rstrip(_SUFFIXES),
        flags=frozenset(flag.rstrip(_SUFFIXES) for flag in flags),
        reason=reason,
        reason_time=_seconds(signature.rstrip("]").rpartition("@")[2]),
        boot_time=_seconds(found.get("BootTime", "")),
        slurmd_start=_seconds(found.get("SlurmdStartTime", "")),
        cpus=_count(found.get("CPUTot", "0")),
        memory=_count(found.get("RealMemory", "0")),
        gres="" if gres == "(null)" else gres,
    )


def _count(text: str) -> int:
    if not re.fullmatch("[0-9]{1,18}", text):
        raise FactError(f"`{_NODES}` printed {text[:40]!r} in the place of a number", 0, text)
    return int(text)


def _seconds(text: str) -> int | None:
    try:
        return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())
    except ValueError:
        return None  # "None" or "Unknown": the node has not registered


def _config(status: int, output: str) -> dict[str, str]:
    require_success(_CONFIG, status, output)
    found = {}
    for line in output.splitlines():
        key, equals, value = line.partition("=")
        if equals:
            found[key.strip()] = "" if value.strip() == "(null)" else value.strip()
    return found


def _controller(status: int, output: str) -> bool:
    if "is UP" in output:
        return True
    if "is DOWN" in output:
        return False
    raise FactError("`scontrol ping` printed neither UP nor DOWN", status, output)


node_states: Fact[dict[str, str]] = Fact(_SINFO, _node_states)
"""State of every node in the long form of sinfo, e.g. `idle` or `down*`."""
node_reasons: Fact[dict[str, str]] = Fact(_SINFO, _node_reasons)
nodes: Fact[dict[str, NodeInfo]] = Fact(_NODES, parse_nodes)
partitions: Fact[tuple[Partition, ...]] = Fact(_SINFO_PARTITIONS, _partitions)
jobs: Fact[tuple[Job, ...]] = Fact(_SQUEUE, _jobs)
config: Fact[dict[str, str]] = Fact(_CONFIG, _config)
controller_up: Fact[bool] = Fact("scontrol ping", _controller)


def hostnames(listed: str) -> Fact[tuple[str, ...]]:
    """The nodes that a hostlist such as `c[1-3],g1` names; none, if it is no hostlist."""
    command = f"scontrol show hostnames {shlex.quote(listed)}"
    return Fact(command, lambda status, output: () if status else tuple(output.split()))


def recent_jobs(separator: str) -> Fact[tuple[RecentJob, ...]]:
    """Jobs that slurmctld knows (it forgets one MinJobAge after its end).

    `separator` is a word that nobody can have in a job's name: one drawn at random.
    """
    fields = separator.join(("", "%i", "%u", "%T", "%P", "%V", "%S", "%e", "%N", "%j", ""))

    def parse(status: int, output: str) -> tuple[RecentJob, ...]:
        require_success("squeue -t all", status, output)
        words = output.split(separator)[1:]  # each job's fields, and the line end after them
        rows = [words[i : i + 9] for i in range(0, len(words) - 9, 10)]
        return tuple(map(_recent_job, rows))

    return Fact(f"SLURM_TIME_FORMAT=%s squeue -t all -h -o '{fields}'", parse, "squeue -t all")


def _recent_job(row: list[str]) -> RecentJob:
    job_id, user, state, partition, submitted, started, ended, nodes, name = (word.strip() for word in row)
    times = [int(text) if re.fullmatch("[0-9]{1,12}", text) else None for text in (submitted, started, ended)]
    return RecentJob(job_id, user, state, partition, times[0], times[1], times[2], nodes, name)


def node(name: str) -> Fact[NodeInfo]:
    """One node in slurmctld; the fact raises a FactError if there is no such node."""
    command = f"TZ=UTC0 scontrol -o show node {shlex.quote(name)}"

    def parse(status: int, output: str) -> NodeInfo:
        require_success(command, status, output)
        found = _node(output.strip())
        if found is None:
            raise FactError(f"slurmctld has no node called {name}", status, output)
        return found

    return Fact(command, parse)
