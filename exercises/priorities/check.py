"""SLURM-4: multifactor priority, and a job that overtakes one submitted before it.

The weights must last: they are looked for in the running controller and in slurm.conf.
"""

from __future__ import annotations

from collections.abc import Callable

from lab.checks import CheckFailedError, ClusterView, check, failed, require_settings
from lab.facts import accounting, partitions

WEIGHTS = ("Age", "Fairshare", "JobSize", "Partition")
TIMES = {"PriorityDecayHalfLife": "3-0", "PriorityMaxAge": "1-0"}
LOOK = "scontrol show config | grep -i ^Priority"


def weight_at_fault(setting: Callable[[str], str]) -> CheckFailedError | None:
    """What is wrong with the weights of the factors, if anything."""
    kind = setting("PriorityType")
    if kind != "priority/multifactor":
        return failed(
            expected="priority/multifactor",
            actual=kind,
            hint="A line PriorityType= in slurm.conf sets it.",
            node="sms",
            look=LOOK,
        )
    texts = {name: setting(f"PriorityWeight{name}") for name in WEIGHTS}
    weights = {name: int(text) if text.isdecimal() else 0 for name, text in texts.items()}
    unset = [name for name, weight in weights.items() if not weight]
    if unset:
        return failed(
            expected="a weight for " + ", ".join(WEIGHTS),
            actual=weights,
            hint=f"A line PriorityWeight{unset[-1]}= in slurm.conf sets it.",
            node="sms",
            look="sprio -w",
        )
    if weights["Fairshare"] <= sum(weights.values()) - weights["Fairshare"]:
        return failed(
            expected="Fairshare outweighs all others together",
            actual=weights,
            hint="Each factor is between 0 and 1 and is multiplied by its weight.",
            node="sms",
            look="sprio -w",
        )
    return None


@check(step="weigh", settle=5)
def fairshare_weighs_most(cluster: ClusterView) -> None:
    """The priority of jobs consists of age, share, size and partition, and the share weighs most."""
    require_settings(cluster, weight_at_fault, key="Priority")


def time_at_fault(setting: Callable[[str], str]) -> CheckFailedError | None:
    """The first time that is not what it should be, if any."""
    for key, wanted in TIMES.items():
        if partitions.minutes(setting(key)) != partitions.minutes(wanted):
            return failed(
                expected=f"{key} = {wanted}",
                actual=setting(key),
                hint=f"A line {key}= in slurm.conf sets it.",
                node="sms",
                look=LOOK,
            )
    return None


@check(step="weigh", settle=5)
def use_is_forgotten_in_days(cluster: ClusterView) -> None:
    """Past usage counts half after three days, and the age factor reaches its maximum after one."""
    require_settings(cluster, time_at_fault, key="Priority")


@check(step="overtake", needs=[fairshare_weighs_most, use_is_forgotten_in_days], settle=20)
def a_funded_job_overtook(cluster: ClusterView) -> None:
    """A funded job was submitted after a gratis job, had a higher priority, and started first."""
    jobs = [
        job
        for job in cluster.sms.fact(accounting.past_jobs)
        if job.started is not None and (job.priority or 0) > 1
    ]
    free = [job for job in jobs if job.account == "gratis"]
    funded = [job for job in jobs if job.account not in ("gratis", "trial", "root")]
    for slow in free:
        for quick in funded:
            if overtook(quick, slow):
                return
    told = [f"{job.job_id} {job.account} priority {job.priority}" for job in (*free, *funded)]
    raise failed(
        expected="a gratis job that waited while a later job of member1 started",
        actual=sorted(told)[-4:] or "no job since priorities have weights",
        hint="Both must wait in the same partition. How do you keep all nodes busy for a while?",
        node="sms",
        look="sacct -X --format=jobid,account,partition,priority,submit,start,state",
    )


def overtook(quick: accounting.PastJob, slow: accounting.PastJob) -> bool:
    """Whether a job started before one of the same partition that had been submitted earlier."""
    return (
        quick.partition == slow.partition
        and quick.number > slow.number
        and (quick.priority or 0) > (slow.priority or 0)
        and (quick.started or 0) < (slow.started or 0)
    )
