"""Facts about the partitions of slurmctld: limits, tiers, and which accounts may use them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from lab.facts.fact import Fact, FactError, pairs, require_success

_TRUE = ("yes", "up", "true", "1")  # s_p_handle_boolean in src/common/parse_config.c
_TIME = re.compile(r"(?:(\d+)-)?(\d+)(?::(\d+))?(?::(\d+))?")


@dataclass(frozen=True)
class Queue:
    """The rules of one partition; times in minutes, None means no limit."""

    name: str
    default: bool
    default_minutes: float | None
    max_minutes: float | None
    tier: int
    allowed: frozenset[str]  # accounts; empty: all
    denied: frozenset[str]
    nodes: str
    memory_per_cpu: int | None  # MiB; default of jobs that request none
    memory_per_node: int | None = None  # the same for each node; a partition has at most one of the two

    def admits(self, account: str) -> bool:
        """Whether jobs of an account may use the partition."""
        return account not in self.denied and (not self.allowed or account in self.allowed)


_COMMAND = "scontrol -o show partition"


def _queues(status: int, output: str) -> dict[str, Queue]:
    if "No partitions in the system" in output:
        return {}
    require_success(_COMMAND, status, output)
    found = [pairs(line) for line in output.splitlines()]
    return {record["PartitionName"]: _shown(record) for record in found if "PartitionName" in record}


def _shown(record: dict[str, str]) -> Queue:
    tier = record.get("PriorityTier", "")
    if not tier.isdecimal():
        raise FactError(f"`{_COMMAND}` printed {tier!r} as PriorityTier", 0, str(record))
    return queue(record["PartitionName"], {key.lower(): value for key, value in record.items()})


def queue(name: str, record: Mapping[str, str]) -> Queue:
    """The rules of a partition as Slurm understands its keys, which are in lower case here."""
    tier = record.get("prioritytier", record.get("priority", "1"))
    allowed = accounts(record.get("allowaccounts", ""))
    nodes = record.get("nodes", "")
    return Queue(
        name=name,
        default=record.get("default", "").lower() in _TRUE,
        default_minutes=minutes(record.get("defaulttime", "")),
        max_minutes=minutes(record.get("maxtime", "")),
        tier=int(tier) if tier.isdecimal() else 1,
        allowed=allowed,
        denied=frozenset() if allowed else accounts(record.get("denyaccounts", "")),
        nodes="" if nodes == "(null)" else nodes,
        memory_per_cpu=mebibytes(record.get("defmempercpu", "")),
        memory_per_node=mebibytes(record.get("defmempernode", "")),
    )


def accounts(text: str) -> frozenset[str]:
    """Reads a list of accounts; a word for all or none is an empty list."""
    if text.upper() in ("ALL", "NONE", "(NULL)"):
        return frozenset()
    return frozenset(filter(None, text.split(",")))


def mebibytes(text: str) -> int | None:
    """Reads an amount of memory; returns None for a word such as UNLIMITED, or if there is none."""
    return int(text) if text.isdecimal() and int(text) else None


def minutes(text: str) -> float | None:
    """Reads a time as Slurm does; returns None for a word such as UNLIMITED.

    The forms are `minutes`, `minutes:seconds`, `hours:minutes:seconds`, and `days-hours` with or without
    more behind it (time_str2secs in src/common/parse_time.c).
    """
    found = _TIME.fullmatch(text.strip())
    if not found:
        return None
    days, *given = found.groups()
    parts = [float(part) for part in given if part is not None]
    if days is None and len(parts) < len(given):
        parts.insert(0, 0)
    hours, whole, seconds = (*parts, 0.0, 0.0)[:3]
    return (int(days or 0) * 24 + hours) * 60 + whole + seconds / 60


def refusal(options: str) -> Fact[str]:
    """Tests a job without submitting it; the fact is the reason for refusal, "" if there is none."""
    command = f"sbatch --test-only {options} --wrap true"

    def parse(status: int, output: str) -> str:
        return "" if status == 0 else output.strip() or f"status {status}"

    return Fact(command, parse)


queues: Fact[dict[str, Queue]] = Fact(_COMMAND, _queues)
