"""Facts about the partitions of slurmctld: limits, tiers, and which accounts may use them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from lab.facts.fact import Fact, FactError, pairs, require_success

_TIME = re.compile(r"(?:(\d+)-)?(\d+):(\d+):(\d+)")


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

    def admits(self, account: str) -> bool:
        """Whether jobs of an account may use the partition."""
        return account not in self.denied and (not self.allowed or account in self.allowed)


_COMMAND = "scontrol -o show partition"


def _queues(status: int, output: str) -> dict[str, Queue]:
    if "No partitions in the system" in output:
        return {}
    require_success(_COMMAND, status, output)
    found = [pairs(line) for line in output.splitlines()]
    return {record["PartitionName"]: _queue(record) for record in found if "PartitionName" in record}


def _queue(record: dict[str, str]) -> Queue:
    tier, memory = record.get("PriorityTier", ""), record.get("DefMemPerCPU", "")
    if not tier.isdecimal():
        raise FactError(f"`{_COMMAND}` printed {tier!r} as PriorityTier", 0, str(record))
    return Queue(
        name=record["PartitionName"],
        default=record.get("Default") == "YES",
        default_minutes=minutes(record.get("DefaultTime", "NONE")),
        max_minutes=minutes(record.get("MaxTime", "UNLIMITED")),
        tier=int(tier),
        allowed=_accounts(record.get("AllowAccounts", "")),
        denied=_accounts(record.get("DenyAccounts", "")),
        nodes="" if record.get("Nodes") == "(null)" else record.get("Nodes", ""),
        memory_per_cpu=int(memory) if memory.isdecimal() else None,
    )


def _accounts(text: str) -> frozenset[str]:
    return frozenset() if text in ("ALL", "NONE", "(null)") else frozenset(filter(None, text.split(",")))


def minutes(text: str) -> float | None:
    """Reads `[days-]hours:minutes:seconds`; returns None for a word such as UNLIMITED."""
    found = _TIME.fullmatch(text)
    if not found:
        return None
    days, hours, whole, seconds = (int(part or 0) for part in found.groups())
    return (days * 24 + hours) * 60 + whole + seconds / 60


def refusal(options: str) -> Fact[str]:
    """Tests a job without submitting it; the fact is the reason for refusal, "" if there is none."""
    command = f"sbatch --test-only {options} --wrap true"

    def parse(status: int, output: str) -> str:
        return "" if status == 0 else output.strip() or f"status {status}"

    return Fact(command, parse)


queues: Fact[dict[str, Queue]] = Fact(_COMMAND, _queues)
