"""SLURM-4: multifactor priority, and a job that overtakes one submitted before it."""

from __future__ import annotations

from lab.checks import ClusterView, check, failed
from lab.facts import accounting, slurm

WEIGHTS = ("Age", "Fairshare", "JobSize", "Partition")
TIMES = {"PriorityDecayHalfLife": "3-00:00:00", "PriorityMaxAge": "1-00:00:00"}
LOOK = "scontrol show config | grep -i ^Priority"


def why_not(cluster: ClusterView, key: str) -> str:
    """Why the controller may not have a setting."""
    if cluster.sms.run(f"grep -qi '^ *{key} *=' /etc/slurm/slurm.conf").exit_status == 0:
        return f"slurm.conf has a line {key}. Has the controller read it? `sudo scontrol reconfigure`"
    return f"A line {key}= in slurm.conf sets it."


@check(step="weigh", settle=5)
def fairshare_weighs_most(cluster: ClusterView) -> None:
    """The priority of jobs consists of age, share, size and partition, and the share weighs most."""
    config = {key.lower(): value for key, value in cluster.sms.fact(slurm.config).items()}
    kind = config.get("prioritytype", "")
    if kind != "priority/multifactor":
        hint = why_not(cluster, "PriorityType")
        raise failed(expected="priority/multifactor", actual=kind, hint=hint, node="sms", look=LOOK)
    texts = {name: config.get(f"priorityweight{name.lower()}", "0") for name in WEIGHTS}
    weights = {name: int(text) if text.isdecimal() else 0 for name, text in texts.items()}
    unset = [name for name, weight in weights.items() if not weight]
    if unset:
        raise failed(
            expected="a weight for " + ", ".join(WEIGHTS),
            actual=weights,
            hint=why_not(cluster, f"PriorityWeight{unset[-1]}"),
            node="sms",
            look="sprio -w",
        )
    if weights["Fairshare"] <= sum(weights.values()) - weights["Fairshare"]:
        raise failed(
            expected="Fairshare outweighs all others together",
            actual=weights,
            hint="Each factor is between 0 and 1 and is multiplied by its weight.",
            node="sms",
            look="sprio -w",
        )


@check(step="weigh", settle=5)
def use_is_forgotten_in_days(cluster: ClusterView) -> None:
    """Past usage counts half after three days, and the age factor reaches its maximum after one."""
    config = cluster.sms.fact(slurm.config)
    for key, wanted in TIMES.items():
        if config.get(key) != wanted:
            raise failed(
                expected=f"{key} = {wanted}",
                actual=config.get(key, ""),
                hint=why_not(cluster, key),
                node="sms",
                look=LOOK,
            )


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
