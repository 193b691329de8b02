"""Facts about Slurm's accounting, from sacctmgr and sacct."""

from __future__ import annotations

from dataclasses import dataclass

from lab.facts.fact import Fact, FactError, require_success, split_fields


@dataclass(frozen=True)
class Account:
    """One account; `parent` is the account above it."""

    name: str
    parent: str
    shares: str  # a number, or "parent"
    qos: frozenset[str]


@dataclass(frozen=True)
class Membership:
    """One user's association with an account, on all partitions or on one."""

    user: str
    account: str
    partition: str
    shares: str
    qos: frozenset[str]


@dataclass(frozen=True)
class Book:
    """All associations of the cluster in slurmdbd."""

    accounts: dict[str, Account]
    memberships: tuple[Membership, ...]

    def accounts_of(self, user: str) -> frozenset[str]:
        """Returns the accounts that a user may use."""
        return frozenset(entry.account for entry in self.memberships if entry.user == user)

    def qos_of(self, user: str, account: str) -> frozenset[str]:
        """Returns the QOS that a user may request in an account."""
        found = [entry.qos for entry in self.memberships if (entry.user, entry.account) == (user, account)]
        return frozenset().union(*found)


@dataclass(frozen=True)
class Qos:
    """One quality of service."""

    name: str
    flags: frozenset[str]
    minutes: dict[str, float]  # GrpTRESMins: resource-minutes that all its jobs may use together


@dataclass(frozen=True)
class PastJob:
    """One job in the accounting; times in seconds since 1970, None if unknown."""

    job_id: str
    user: str
    account: str
    qos: str
    partition: str
    state: str  # one word, e.g. COMPLETED
    submitted: int | None
    started: int | None
    priority: int | None
    cpu_seconds: int
    flags: frozenset[str]  # e.g. SchedBackfill
    name: str

    @property
    def number(self) -> int:
        """Its number; numbers are in the order of submission."""
        return int(self.job_id.split("_")[0].split("+")[0])


_CLUSTERS = "sacctmgr -nP show cluster format=Cluster"
_BOOK = "sacctmgr -nP show assoc format=Account,User,Partition,ParentName,Share,QOS"
_DEFAULTS = "sacctmgr -nP show user format=User,DefaultAccount"
_QOS = "sacctmgr -nP show qos format=Name,Flags,GrpTRESMins"
_JOBS = (
    "SLURM_TIME_FORMAT=%s sacct -aXnPD -S now-7days "
    "-o JobIDRaw,User,Account,QOS,Partition,State,Submit,Start,Priority,CPUTimeRAW,Flags,JobName"
)


def _rows(command: str, count: int, status: int, output: str) -> list[list[str]]:
    require_success(command, status, output)
    return [split_fields(line, count, command) for line in output.splitlines() if line.strip()]


def _clusters(status: int, output: str) -> tuple[str, ...]:
    return tuple(name for (name,) in _rows(_CLUSTERS, 1, status, output))


def _names(text: str) -> frozenset[str]:
    return frozenset(filter(None, text.split(",")))


def _book(status: int, output: str) -> Book:
    accounts: dict[str, Account] = {}
    memberships = []
    for account, user, partition, parent, shares, qos in _rows(_BOOK, 6, status, output):
        if user:
            memberships.append(Membership(user, account, partition, shares, _names(qos)))
        else:
            accounts[account] = Account(account, parent, shares, _names(qos))
    return Book(accounts, tuple(memberships))


def _defaults(status: int, output: str) -> dict[str, str]:
    return {row[0]: row[1] for row in _rows(_DEFAULTS, 2, status, output)}


def _qos(status: int, output: str) -> dict[str, Qos]:
    found = {}
    for name, flags, minutes in _rows(_QOS, 3, status, output):
        limits = (item.partition("=") for item in minutes.split(",") if item)
        found[name] = Qos(name, _names(flags), {key: _number(value, _QOS) for key, _, value in limits})
    return found


def _number(text: str, command: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise FactError(f"`{command}` printed {text!r} where a number was expected", 0, text) from None


def _jobs(status: int, output: str) -> tuple[PastJob, ...]:
    return tuple(_job(row) for row in _rows(_JOBS, 12, status, output))


def _job(row: list[str]) -> PastJob:
    job_id, user, account, qos, partition, state, submitted, started, priority, used, flags, name = row
    return PastJob(
        job_id=job_id,
        user=user,
        account=account,
        qos=qos,
        partition=partition,
        state=state.split()[0] if state else "",  # CANCELLED by 1001
        submitted=_whole(submitted),
        started=_whole(started),
        priority=_whole(priority),
        cpu_seconds=_whole(used) or 0,
        flags=_names(flags),
        name=name,
    )


def _whole(text: str) -> int | None:
    return int(text) if text.isdecimal() else None


clusters: Fact[tuple[str, ...]] = Fact(_CLUSTERS, _clusters)
"""Names of the clusters in slurmdbd."""
book: Fact[Book] = Fact(_BOOK, _book)
default_accounts: Fact[dict[str, str]] = Fact(_DEFAULTS, _defaults)
"""The default account of each user."""
qos: Fact[dict[str, Qos]] = Fact(_QOS, _qos)
past_jobs: Fact[tuple[PastJob, ...]] = Fact(_JOBS, _jobs)
"""Jobs of the last seven days, pending and running ones included, oldest first."""
