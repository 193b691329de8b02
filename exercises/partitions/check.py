"""SLURM-3: partitions short, medium and long, with limits, tiers, and one that gratis may not use.

What `scontrol create` and `scontrol update` do is gone after the next start of the controller. So each rule
is looked for twice: in the partitions of the running controller, and in those that slurm.conf describes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from lab.checks import (
    CheckFailedError,
    ClusterView,
    check,
    failed,
    require_both,
    require_partitions,
    slurm_conf_of,
)
from lab.facts import accounting, partitions, slurm, slurm_conf

HOUR, DAY = 60.0, 24 * 60.0
NAMES = ("short", "medium", "long")
LONGEST = {"short": (2 * HOUR, 2 * HOUR), "medium": (DAY, 2 * DAY), "long": (7 * DAY, 7 * DAY)}
LOOK = "scontrol show partition"
WRITTEN = f"grep -iE 'PartitionName|DefMem' {slurm_conf.PATH}"
Queues = Mapping[str, partitions.Queue]


def hours(minutes: float | None) -> str:
    """A time limit as text."""
    return "no limit" if minutes is None else f"{minutes / 60:g} h"


@check(step="define", settle=5)
def three_partitions_instead_of_one(cluster: ClusterView) -> None:
    """The partitions are short, medium and long, there is no normal, and slurm.conf says the same."""

    def fault(found: Queues) -> CheckFailedError | None:
        if set(NAMES) <= set(found) and "normal" not in found:
            return None
        hint = "A line in `/etc/slurm/slurm.conf` defines a partition; one that begins with `#` does not."
        return failed(expected=NAMES, actual=list(found), hint=hint, node="sms", look="sinfo")

    require_partitions(cluster, fault)


@check(step="define", needs=[three_partitions_instead_of_one])
def medium_takes_jobs_that_name_none(cluster: ClusterView) -> None:
    """A job that names no partition goes to medium."""

    def fault(found: Queues) -> CheckFailedError | None:
        names = [queue.name for queue in found.values() if queue.default]
        if names == ["medium"]:
            return None
        return failed(
            expected="medium as the default",
            actual=names or "no default",
            hint="`Default=YES` makes a partition the default; only one can have it.",
            node="sms",
            look="sinfo",
        )

    require_partitions(cluster, fault)


def time_at_fault(found: Queues) -> CheckFailedError | None:
    """The first partition whose time limits are not those of the policy, if any."""
    for name, (least, most) in LONGEST.items():
        limit, default = found[name].max_minutes, found[name].default_minutes
        if limit is None or not least <= limit <= most:
            wanted = hours(most) if least == most else f"{hours(least)} to {hours(most)}"
            return failed(
                expected=f"MaxTime of {name}: {wanted}",
                actual=hours(limit),
                node="sms",
                look=f"{LOOK} {name}",
            )
        if default is None or default > limit:
            return failed(
                expected=f"a DefaultTime for {name}, of at most {hours(limit)}",
                actual=hours(default),
                hint="Without one, a job that states no time limit gets the maximum.",
                node="sms",
                look=f"{LOOK} {name}",
            )
    return None


@check(step="define", needs=[three_partitions_instead_of_one])
def times_are_limited(cluster: ClusterView) -> None:
    """Time limits are 2 hours in short, 1 to 2 days in medium, 7 days in long; each has a default time."""
    require_partitions(cluster, time_at_fault)


@check(step="define", needs=[three_partitions_instead_of_one])
def short_jobs_come_first(cluster: ClusterView) -> None:
    """Jobs in short start before those in medium, and those before the ones in long."""

    def fault(found: Queues) -> CheckFailedError | None:
        tiers = {name: found[name].tier for name in NAMES}
        if tiers["short"] > tiers["medium"] > tiers["long"]:
            return None
        return failed(
            expected="PriorityTier decreases from short to long",
            actual=tiers,
            hint="Slurm compares `PriorityTier` before the priority of jobs.",
            node="sms",
            look=f"{LOOK} | grep -E 'PartitionName|PriorityTier'",
        )

    require_partitions(cluster, fault)


@check(step="define", needs=[three_partitions_instead_of_one])
def they_have_nodes(cluster: ClusterView) -> None:
    """Each partition has nodes."""

    def fault(found: Queues) -> CheckFailedError | None:
        empty = [name for name in NAMES if not found[name].nodes]
        if not empty:
            return None
        return failed(
            expected="nodes in each partition",
            actual=f"none in {', '.join(empty)}",
            hint="A DEFAULT line applies to the lines below it only.",
            node="sms",
            look="sinfo",
        )

    require_partitions(cluster, fault)


@check(step="define", needs=[three_partitions_instead_of_one])
def long_is_closed_to_gratis(cluster: ClusterView) -> None:
    """The account gratis may use short and medium but not long; member1 may use all three."""

    def fault(found: Queues) -> CheckFailedError | None:
        open_to = {who: [n for n in NAMES if found[n].admits(who)] for who in ("gratis", "member1")}
        if open_to == {"gratis": ["short", "medium"], "member1": list(NAMES)}:
            return None
        return failed(
            expected="gratis: short, medium; member1: short, medium, long",
            actual=open_to,
            hint="`AllowAccounts` lists who may use a partition, `DenyAccounts` who may not.",
            node="sms",
            look=f"{LOOK} long | grep Accounts",
        )

    require_partitions(cluster, fault)


def usual_memory(found: Queues, setting: Callable[[str], str]) -> dict[str, str]:
    """What a job that requests no memory gets in each partition."""
    usual = {}
    for name in NAMES:
        own = (found[name].memory_per_cpu, found[name].memory_per_node)
        common = (partitions.mebibytes(setting(key)) for key in ("DefMemPerCPU", "DefMemPerNode"))
        each_cpu, each_node = own if any(own) else common
        usual[name] = (
            f"{each_cpu} MiB for each CPU" if each_cpu else f"{each_node} MiB" if each_node else "all"
        )
    return usual


def memory_at_fault(cluster: ClusterView, usual: Mapping[str, str]) -> CheckFailedError | None:
    """The first partition in which a job without options is rejected, or gets all memory, if any."""
    for name in NAMES:
        options = f"--partition={name}" + (" --account=member1" if name == "long" else "")
        against = cluster.sms.fact(partitions.refusal(options), user="user1")
        if against:
            return failed(
                expected=f"the controller accepts a job without options in {name}",
                actual=against,
                hint="How much memory does a node have, how many CPUs, and what is DefMemPerCPU?",
                node="sms",
                look=partitions.refusal(options).command,
            )
    unbounded = [name for name in NAMES if usual[name] == "all"]
    if not unbounded:
        return None
    return failed(
        expected="DefMemPerCPU for each partition",
        actual=f"none for {', '.join(unbounded)}",
        node="sms",
        look=f"{LOOK} | grep -E 'PartitionName|DefMem'",
    )


@check(step="fit", needs=[they_have_nodes, long_is_closed_to_gratis], settle=10)
def ordinary_jobs_fit(cluster: ClusterView) -> None:
    """In each partition, a job that requests no memory gets a limited amount and fits on a node."""
    config = cluster.sms.fact(slurm.config)
    conf = slurm_conf_of(cluster)
    now = usual_memory(cluster.sms.fact(partitions.queues), lambda key: config.get(key, ""))
    later = usual_memory(conf.queues, conf.setting)
    fault = memory_at_fault(cluster, now)
    other = failed(expected=now, actual=later) if now != later else None
    # Whether a job would fit as the file has it, only a controller that has read the file can say.
    mended = fault and other and "all" not in later.values()
    require_both(fault, None if mended else fault or other, look=WRITTEN)


@check(step="try", needs=[ordinary_jobs_fit], settle=10)
def closed_doors_are_closed(cluster: ClusterView) -> None:
    """The controller rejects a job of three hours in short, and one of gratis in long, at submission."""
    for options in ("--partition=short --time=3:00:00", "--partition=long --account=gratis"):
        if not cluster.sms.fact(partitions.refusal(options), user="user1"):
            raise failed(
                expected="the controller rejects the job",
                actual="the controller accepts it",
                hint="Is EnforcePartLimits still ALL? Otherwise such a job waits for ever.",
                node="sms",
                look=partitions.refusal(options).command,
            )


@check(step="try", needs=[ordinary_jobs_fit], settle=10)
def jobs_went_through_the_open_ones(cluster: ClusterView) -> None:
    """A job of gratis has completed in short, and one of member1 in long."""
    ran = {
        (job.partition, job.account)
        for job in cluster.sms.fact(accounting.past_jobs)
        if job.state == "COMPLETED" and job.partition in NAMES
    }
    missing = [pair for pair in (("short", "gratis"), ("long", "member1")) if pair not in ran]
    if missing:
        raise failed(
            expected=" and ".join(f"a COMPLETED job of {account} in {name}" for name, account in missing),
            actual=[f"{account} in {name}" for name, account in sorted(ran)]
            or "no job in the new partitions",
            hint="Which options of `srun` select the partition and the account?",
            node="sms",
            look="sacct -X --format=jobid,user,account,partition,state",
        )
