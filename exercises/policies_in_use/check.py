"""SLURM-5: jobs of two users under every policy of this chapter, and jobs that use gaps.

Jobs that ran stay in the accounting. What must last is the scheduler's setting: it is looked for in the
running controller and in slurm.conf.
"""

from __future__ import annotations

from collections.abc import Callable

from lab.checks import CheckFailedError, ClusterView, check, failed, require_settings
from lab.facts import accounting, partitions

SCRIPT = "sleep15.sh"
PROJECT = "paygo-project1"
MINUTE = 60  # CPU-seconds of the quota to be used up
LOOK = "sacct -X -a --format=jobid,jobname%12,user,account%15,partition,cputimeraw,state,flags%30"
WINDOW = 7 * 24 * 60  # minutes of the longest time limit


def require_job(
    cluster: ClusterView, wanted: Callable[[accounting.PastJob], bool], *, user: str, expected: str, hint: str
) -> None:
    """Fails unless a user has such a job in the accounting."""
    jobs = [job for job in cluster.sms.fact(accounting.past_jobs) if job.user == user]
    if any(wanted(job) for job in jobs):
        return
    told = [f"{job.number} {job.name} of {job.account} in {job.partition}: {job.state}" for job in jobs[-3:]]
    raise failed(expected=expected, actual=told or f"no job of {user}", hint=hint, node="sms", look=LOOK)


@check(step="gratis", settle=25)
def the_plain_job_ran_as_gratis(cluster: ClusterView) -> None:
    """The job script of user1, submitted without options, has completed in medium under gratis."""
    require_job(
        cluster,
        lambda job: (
            (job.name, job.state, job.account, job.partition) == (SCRIPT, "COMPLETED", "gratis", "medium")
        ),
        user="user1",
        expected=f"{SCRIPT} COMPLETED in medium, under gratis",
        hint=f"Run `sbatch {SCRIPT}` in the directory policies_in_use, as user1; the job takes 15 seconds.",
    )


@check(step="gratis", needs=[the_plain_job_ran_as_gratis], settle=5)
def long_is_refused_to_gratis(cluster: ClusterView) -> None:
    """The controller rejects the same job in long under gratis."""
    question = partitions.refusal("--partition=long")
    if not cluster.sms.fact(question, user="user1"):
        raise failed(
            expected="the controller rejects the job",
            actual="the controller would accept it",
            hint="Which accounts does the partition deny, and what is user1's default account?",
            node="sms",
            look=question.command,
        )


@check(step="member", needs=[long_is_refused_to_gratis], settle=25)
def the_member_job_ran_in_long(cluster: ClusterView) -> None:
    """The same job of user1, charged to member1, has completed in long."""
    require_job(
        cluster,
        lambda job: (
            (job.name, job.state, job.account, job.partition) == (SCRIPT, "COMPLETED", "member1", "long")
        ),
        user="user1",
        expected=f"{SCRIPT} COMPLETED in long, under member1",
        hint="Which two options select the partition and the account?",
    )


def paid(job: accounting.PastJob) -> bool:
    """Whether a job was charged to the project's quota, in one of the new partitions."""
    return (job.account, job.qos) == (PROJECT, PROJECT) and job.partition in ("short", "medium", "long")


@check(step="paygo", settle=25)
def a_minute_of_the_quota_is_used(cluster: ClusterView) -> None:
    """Jobs of user2 have used at least one CPU-minute of the quota."""
    jobs = cluster.sms.fact(accounting.past_jobs)
    used = sum(job.cpu_seconds for job in jobs if job.user == "user2" and paid(job))
    if used < MINUTE:
        raise failed(
            expected=f"at least {MINUTE} CPU-seconds in the partitions of this chapter",
            actual=f"{used} CPU-seconds",
            hint="15 seconds on four CPUs are one CPU-minute: `--ntasks=4`.",
            node="sms",
            look=LOOK,
        )


@check(step="paygo", needs=[a_minute_of_the_quota_is_used], settle=5)
def the_rest_is_not_enough_for_ten(cluster: ClusterView) -> None:
    """A later job of user2 with a limit of ten minutes was accepted but did not start."""
    jobs = [job for job in cluster.sms.fact(accounting.past_jobs) if job.user == "user2" and paid(job)]
    first = min(job.number for job in jobs if job.cpu_seconds)
    later = [job for job in jobs if job.number > first]
    if any(job.started is None and job.state in ("PENDING", "CANCELLED") for job in later):
        return
    raise failed(
        expected="a job of user2 that waits for its quota, or was cancelled while waiting",
        actual=[f"{job.number} {job.state}" for job in later] or "no later job",
        hint="How long may a job with `--time=10` run, and how much is left of the ten minutes?",
        node="sms",
        look="squeue --format='%i %u %a %t %l %r'",
    )


def backfill_at_fault(setting: Callable[[str], str]) -> CheckFailedError | None:
    """What is wrong with the backfill scheduler, if anything."""
    words = [item.partition("=") for item in setting("SchedulerParameters").lower().split(",")]
    found = {key.strip(): value.strip() for key, _, value in words}
    window = found.get("bf_window", "")
    good = window.isdecimal() and int(window) >= WINDOW and "bf_continue" in found
    if setting("SchedulerType") == "sched/backfill" and good:
        return None
    return failed(
        expected=f"sched/backfill, with bf_window={WINDOW} or more and bf_continue",
        actual=f"{setting('SchedulerType')}, {setting('SchedulerParameters') or 'no parameters'}",
        hint="Two lines in slurm.conf set this: SchedulerType= and SchedulerParameters=.",
        node="sms",
        look="scontrol show config | grep ^Scheduler",
    )


@check(step="backfill", settle=5)
def backfill_looks_a_week_ahead(cluster: ClusterView) -> None:
    """The backfill scheduler is active and plans as far ahead as the longest time limit."""
    require_settings(cluster, backfill_at_fault, key="Scheduler")


@check(step="backfill", needs=[backfill_looks_a_week_ahead], settle=35)
def a_small_job_used_a_gap(cluster: ClusterView) -> None:
    """The backfill scheduler started a job before one that was ahead of it in the queue."""
    jobs = cluster.sms.fact(accounting.past_jobs)
    filled = [job for job in jobs if "SchedBackfill" in job.flags and job.started is not None]
    if any(overtook(quick, slow) for quick in filled for slow in jobs):
        return
    told = {
        str(job.number): ", ".join(sorted(f for f in job.flags if f.startswith("Sched"))) for job in jobs[-4:]
    }
    raise failed(
        expected="a job with the flag SchedBackfill, while one ahead of it waited",
        actual=told or "no job",
        hint="Three jobs: one occupies a node, one needs both nodes and waits, one is short.",
        node="sms",
        look=LOOK,
    )


def overtook(quick: accounting.PastJob, slow: accounting.PastJob) -> bool:
    """Whether a job started while one of the same partition, ahead of it in the queue, had to wait."""
    waited = slow.state == "PENDING" or (slow.started or 0) > (quick.started or 0)
    ahead = slow.number < quick.number and (slow.priority or 0) >= (quick.priority or 0)
    return waited and ahead and slow.partition == quick.partition
