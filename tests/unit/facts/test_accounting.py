"""Accounting and partitions against recordings (tests/data/facts/ORIGIN.md), and against nonsense."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lab.facts import accounting, partitions
from lab.facts.fact import Fact, FactError

DATA = Path(__file__).resolve().parents[2] / "data" / "facts"


def recorded(name: str) -> str:
    return (DATA / f"{name}.txt").read_text()


def test_clusters() -> None:
    assert accounting.clusters.parse(0, recorded("accounting-clusters")) == ("cluster",)


def test_accounts_and_who_is_in_them() -> None:
    book = accounting.book.parse(0, recorded("accounting-book"))
    assert set(book.accounts) == {"root", "gratis", "member1", "paygo", "paygo-project1", "trial"}
    assert (book.accounts["member1"].shares, book.accounts["member1"].parent) == ("10", "root")
    assert book.accounts["paygo-project1"].parent == "paygo"
    assert book.accounts_of("user1") == {"gratis", "member1", "trial"}
    assert book.accounts_of("nobody") == frozenset()
    assert book.qos_of("user2", "paygo-project1") == {"normal", "paygo-project1"}
    assert book.qos_of("user2", "gratis") == {"normal"}
    assert [entry.partition for entry in book.memberships if entry.account == "member1"] == ["", "gpu"]


def test_default_accounts() -> None:
    found = accounting.default_accounts.parse(0, recorded("accounting-defaults"))
    assert found == {"root": "root", "user1": "gratis", "user2": "gratis"}


def test_qos_with_flags_and_minutes() -> None:
    found = accounting.qos.parse(0, recorded("accounting-qos"))
    assert found["paygo-project1"].flags == {"DenyOnLimit", "NoDecay"}
    assert found["paygo-project1"].minutes == {"cpu": 10.0}
    assert (found["normal"].flags, found["normal"].minutes) == (frozenset(), {})
    both = accounting.qos.parse(0, "q|NoDecay|cpu=10,gres/gpu=2\n")["q"]
    assert both.minutes == {"cpu": 10.0, "gres/gpu": 2.0}


def test_past_jobs() -> None:
    jobs = {job.number: job for job in accounting.past_jobs.parse(0, recorded("accounting-jobs"))}
    assert (jobs[1].state, jobs[1].account, jobs[1].cpu_seconds) == ("NODE_FAIL", "trial", 170)
    cancelled = jobs[21]
    assert (cancelled.state, cancelled.started) == ("CANCELLED", 1795282613)
    waited = jobs[39]
    assert (waited.state, waited.started, waited.qos) == ("CANCELLED", None, "paygo-project1")
    assert (jobs[20].priority, jobs[20].partition, jobs[20].name) == (77416, "medium", "wrap")
    assert "SchedBackfill" in jobs[27].flags


def test_jobs_of_arrays_and_with_bars_in_their_name() -> None:
    line = "7_3|user1|a|q|p|RUNNING|10|11|5|0|SchedMain|odd|name\n"
    (job,) = accounting.past_jobs.parse(0, line)
    assert (job.number, job.name) == (7, "odd|name")


def test_partitions_with_their_rules() -> None:
    found = partitions.queues.parse(0, recorded("queues"))
    short, medium, long = (found[name] for name in ("short", "medium", "long"))
    assert (short.max_minutes, medium.max_minutes, long.max_minutes) == (120, 2880, 10080)
    assert (short.tier, medium.tier, long.tier) == (3, 2, 1)
    assert [queue.default for queue in (short, medium, long)] == [False, True, False]
    assert (medium.default_minutes, medium.memory_per_cpu, medium.nodes) == (360, 400, "c[1-2]")
    assert [queue.admits("gratis") for queue in (short, medium, long)] == [True, True, False]


def test_a_partition_without_limits_that_admits_a_few() -> None:
    line = (
        "PartitionName=x AllowAccounts=a,b Default=NO DefaultTime=NONE MaxTime=UNLIMITED Nodes=(null) "
        "PriorityTier=1 DefMemPerNode=UNLIMITED\n"
    )
    found = partitions.queues.parse(0, line)["x"]
    assert (found.default_minutes, found.max_minutes, found.memory_per_cpu, found.nodes) == (
        None,
        None,
        None,
        "",
    )
    assert [found.admits(name) for name in ("a", "gratis")] == [True, False]


def test_no_partitions_at_all() -> None:
    assert partitions.queues.parse(0, "No partitions in the system\n") == {}


@pytest.mark.parametrize(
    ("text", "minutes"),
    [("02:00:00", 120), ("1-00:00:00", 1440), ("7-12:30:30", 10830.5), ("UNLIMITED", None), ("NONE", None)],
)
def test_times(text: str, minutes: float | None) -> None:
    assert partitions.minutes(text) == minutes


def test_a_refusal_is_what_the_controller_says() -> None:
    question = partitions.refusal("--partition=long")
    assert question.command == "sbatch --test-only --partition=long --wrap true"
    assert question.parse(0, "sbatch: Job 3 to start at …") == ""
    assert question.parse(1, "allocation failure: Invalid account\n") == "allocation failure: Invalid account"
    assert question.parse(1, "") == "status 1"


FACTS: list[Fact[Any]] = [
    accounting.clusters,
    accounting.book,
    accounting.default_accounts,
    accounting.qos,
    accounting.past_jobs,
    partitions.queues,
]


@pytest.mark.parametrize("fact", FACTS, ids=lambda fact: fact.command)
def test_a_command_that_fails_is_an_error_with_what_it_said(fact: Fact[Any]) -> None:
    with pytest.raises(FactError) as caught:
        fact.parse(1, "sacctmgr: error: Connection refused\n")
    assert "Connection refused" in caught.value.evidence


@pytest.mark.parametrize("fact", FACTS[1:], ids=lambda fact: fact.command)
def test_nonsense_is_an_error(fact: Fact[Any]) -> None:
    text = "PartitionName=x PriorityTier=high" if fact is partitions.queues else "You have new mail\n"
    with pytest.raises(FactError):
        fact.parse(0, text)


def test_a_limit_that_is_no_number_is_an_error() -> None:
    with pytest.raises(FactError, match="ten"):
        accounting.qos.parse(0, "q|NoDecay|cpu=ten\n")
