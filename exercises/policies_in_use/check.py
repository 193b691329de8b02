"""SLURM-5: jobs of two users under every policy of this chapter, and jobs that fill gaps."""

from __future__ import annotations

from collections.abc import Callable

from lab.checks import Cluster, check, failed
from lab.facts import accounting, partitions, slurm

SCRIPT = "sleep15.sh"
PROJECT = "paygo-project1"
MINUTE = 60  # CPU-seconds of the quota to be used up
LOOK = "sacct -X -a --format=jobid,jobname%12,user,account%15,partition,cputimeraw,state,flags%30"
WINDOW = 7 * 24 * 60  # minutes that the longest job may take


def require_job(
    cluster: Cluster, wanted: Callable[[accounting.PastJob], bool], *, user: str, expected: str, hint: str
) -> None:
    """Fails unless a user has such a job in the accounting."""
    jobs = [job for job in cluster.sms.fact(accounting.past_jobs) if job.user == user]
    if any(wanted(job) for job in jobs):
        return
    told = [f"{job.number} {job.name} of {job.account} in {job.partition}: {job.state}" for job in jobs[-3:]]
    raise failed(expected=expected, actual=told or f"no job of {user}", hint=hint, node="sms", look=LOOK)


@check(step="gratis", settle=25)
def the_plain_job_ran_as_gratis(cluster: Cluster) -> None:
    """The given job of user1, sent off without options, ran in medium for gratis."""
    require_job(
        cluster,
        lambda job: (
            (job.name, job.state, job.account, job.partition) == (SCRIPT, "COMPLETED", "gratis", "medium")
        ),
        user="user1",
        expected=f"{SCRIPT} COMPLETED in medium, for gratis",
        hint=f"`sbatch {SCRIPT}` in the folder policies_in_use, as user1; it takes a quarter of a minute.",
    )


@check(step="gratis", needs=[the_plain_job_ran_as_gratis], settle=5)
def long_is_refused_to_gratis(cluster: Cluster) -> None:
    """The same job is refused in long, as long as nobody pays for it."""
    question = partitions.refusal("--partition=long")
    if not cluster.sms.fact(question, user="user1"):
        raise failed(
            expected="the job is refused",
            actual="the controller would take it",
            hint="Which accounts does the partition deny, and what is user1's default account?",
            node="sms",
            look=question.command,
        )


@check(step="member", needs=[long_is_refused_to_gratis], settle=25)
def the_member_job_ran_in_long(cluster: Cluster) -> None:
    """The same job of user1, paid for by member1, ran in long."""
    require_job(
        cluster,
        lambda job: (
            (job.name, job.state, job.account, job.partition) == (SCRIPT, "COMPLETED", "member1", "long")
        ),
        user="user1",
        expected=f"{SCRIPT} COMPLETED in long, for member1",
        hint="Which two options choose the partition and who pays?",
    )


def paid(job: accounting.PastJob) -> bool:
    """Whether a job was charged to the project's quota, in one of the new partitions."""
    return (job.account, job.qos) == (PROJECT, PROJECT) and job.partition in ("short", "medium", "long")


@check(step="paygo", settle=25)
def a_minute_of_the_quota_is_used(cluster: Cluster) -> None:
    """Jobs of user2 have used at least one CPU-minute of the quota."""
    jobs = cluster.sms.fact(accounting.past_jobs)
    used = sum(job.cpu_seconds for job in jobs if job.user == "user2" and paid(job))
    if used < MINUTE:
        raise failed(
            expected=f"at least {MINUTE} CPU-seconds in the partitions of this chapter",
            actual=f"{used} CPU-seconds",
            hint="A quarter of a minute on four CPUs is a CPU-minute: `--ntasks=4`.",
            node="sms",
            look=LOOK,
        )


@check(step="paygo", needs=[a_minute_of_the_quota_is_used], settle=5)
def the_rest_is_not_enough_for_ten(cluster: Cluster) -> None:
    """A later job of user2 that may take ten minutes was accepted, and did not start."""
    jobs = [job for job in cluster.sms.fact(accounting.past_jobs) if job.user == "user2" and paid(job)]
    first = min(job.number for job in jobs if job.cpu_seconds)
    later = [job for job in jobs if job.number > first]
    if any(job.started is None and job.state in ("PENDING", "CANCELLED") for job in later):
        return
    raise failed(
        expected="a job of user2 that waits for its quota, or was cancelled while it did",
        actual=[f"{job.number} {job.state}" for job in later] or "no later job",
        hint="How long may a job be that is sent off with `--time=10`, and what is left of the ten minutes?",
        node="sms",
        look="squeue --format='%i %u %a %t %l %r'",
    )


@check(step="backfill", settle=5)
def backfill_looks_a_week_ahead(cluster: Cluster) -> None:
    """The backfill scheduler is in charge, and plans as far ahead as the longest job may take."""
    config = cluster.sms.fact(slurm.config)
    words = [item.partition("=") for item in config.get("SchedulerParameters", "").lower().split(",")]
    found = {key.strip(): value.strip() for key, _, value in words}
    window = found.get("bf_window", "")
    good = window.isdecimal() and int(window) >= WINDOW and "bf_continue" in found
    if config.get("SchedulerType") != "sched/backfill" or not good:
        raise failed(
            expected=f"sched/backfill, with bf_window={WINDOW} or more and bf_continue",
            actual=f"{config.get('SchedulerType')}, {config.get('SchedulerParameters') or 'no parameters'}",
            hint="Two lines in slurm.conf, and a controller that has read them.",
            node="sms",
            look="scontrol show config | grep ^Scheduler",
        )


@check(step="backfill", needs=[backfill_looks_a_week_ahead], settle=35)
def a_small_job_used_a_gap(cluster: Cluster) -> None:
    """A job was started by the backfill scheduler, before one that stood ahead of it."""
    jobs = cluster.sms.fact(accounting.past_jobs)
    filled = [job for job in jobs if "SchedBackfill" in job.flags and job.started is not None]
    if any(overtook(quick, slow) for quick in filled for slow in jobs):
        return
    told = {
        str(job.number): ", ".join(sorted(f for f in job.flags if f.startswith("Sched"))) for job in jobs[-4:]
    }
    raise failed(
        expected="a job with the flag SchedBackfill, while one before it waited",
        actual=told or "no job",
        hint="Three jobs make a gap: one holds one node, one waits for both until the end, one is short.",
        node="sms",
        look=LOOK,
    )


def overtook(quick: accounting.PastJob, slow: accounting.PastJob) -> bool:
    """Whether a job began while one of the same partition, before it in the queue, had to wait."""
    waited = slow.state == "PENDING" or (slow.started or 0) > (quick.started or 0)
    ahead = slow.number < quick.number and (slow.priority or 0) >= (quick.priority or 0)
    return waited and ahead and slow.partition == quick.partition
