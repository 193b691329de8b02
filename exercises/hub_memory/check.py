"""PORTAL-3: servers ask for enough memory after the next boot, too, and the analysis ran in one of them.

Which job the analysis ran in, it has written itself; the job must be the server that the Hub knows.
"""

from __future__ import annotations

import re

from lab.checks import ClusterView, check, coming, failed, require_settings
from lab.checks.api import CheckFailedError
from lab.checks.slurm_conf import Setting
from lab.facts import portal, slurm

LOGS = "/home/user1/jupyterhub_slurmspawner_*.log"
RESULT = "/home/user1/hub_memory/result.txt"
NEEDED = 450  # MiB: the table, a kernel and the server
UNITS = {"K": 1 / 1024, "M": 1, "G": 1024, "T": 1 << 20}


@check(step="die")
def a_server_was_ended(cluster: ClusterView) -> None:
    """Slurm has ended a server that took more memory than it asked for."""
    found = cluster.sms.run(f"grep -l 'exceeded memory limit' {LOGS} 2>/dev/null")
    if not found.output.strip():
        raise failed(
            expected="the output of a server's job that says why it was ended",
            actual="no job of user1's was ended for its memory",
            hint="Run the analysis in user1's server, and read what the server's job wrote last.",
            node="sms",
            look=f"tail -n 4 {LOGS}",
        )


def mebibytes(text: str) -> float:
    """Memory as sbatch reads it, in MiB; 0 stands for all that a node has (sbatch(1), --mem)."""
    found = re.fullmatch(r"([0-9]+)([KMGT]?)B?", text.upper())
    return int(found[1]) * UNITS[found[2] or "M"] if found else -1


@check(step="size")
def next_start_asks_for_enough(cluster: ClusterView) -> None:
    """The configuration that the login node's next boot brings asks for enough memory, and a node has it."""
    brought = coming(cluster, "login", portal.CONF)[portal.CONF]
    look = "sudo wwsh file show jupyterhub_config.py | grep req_"
    settings = cluster.login.fact(portal.next_start(brought.text), timeout=60)
    if settings.problem:
        raise failed(
            expected=f"a configuration that the Hub can read: {brought.source}",
            actual=settings.problem,
            hint="The file is Python. What does the Hub itself say about it?",
            node="login",
            look="journalctl -u jupyterhub -n 20",
        )
    asked = settings.options().get("mem", "")
    most = min(node.memory for node in cluster.sms.fact(slurm.nodes).values())
    if asked and (mebibytes(asked) == 0 or NEEDED <= mebibytes(asked) <= most):
        return
    raise failed(
        expected=f"servers that ask for at least {NEEDED} MiB, and at most {most}, which a node has",
        actual=f"after the next boot they ask for {asked or 'nothing'}",
        hint="Count the table, its kernel and the server itself. Only Warewulf's copy outlives a boot.",
        node="sms",
        look=look,
    )


def fault(setting: Setting) -> CheckFailedError | None:
    """What is wrong with the settings by which Slurm ends jobs for their memory."""
    if "overmemorykill" in setting("JobAcctGatherParams").lower():
        return None
    return failed(
        expected="JobAcctGatherParams=OverMemoryKill",
        actual=f"JobAcctGatherParams={setting('JobAcctGatherParams') or '(not set)'}",
        hint="Without it, one notebook takes the memory of all others on its node. Ask for enough instead.",
        node="sms",
        look="scontrol show config | grep JobAcctGatherParams",
    )


@check(step="run", needs=[next_start_asks_for_enough])
def jobs_are_still_ended(cluster: ClusterView) -> None:
    """Slurm still ends jobs that take more memory than they asked for."""
    require_settings(cluster, fault, key="JobAcctGatherParams")


@check(step="run", needs=[jobs_are_still_ended], settle=30)
def the_analysis_ran_in_a_server(cluster: ClusterView) -> None:
    """The analysis ran to its end in user1's server, which still answers."""
    ready = [one.user for one in cluster.login.fact(portal.servers) if one.ready]
    jobs = [
        job.job_id
        for job in cluster.sms.fact(slurm.jobs)
        if (job.user, job.name, job.state) == ("user1", "spawner-jupyterhub", "RUNNING")
    ]
    result = cluster.sms.run(f"cat {RESULT} 2>/dev/null").output.split()
    if "user1" not in ready or not result or result[0] not in jobs:
        raise failed(
            expected="a result of the analysis, from the job that is user1's server now",
            actual=f"result of job {result[0] if result else 'none'}; user1's server is job "
            f"{', '.join(jobs) or 'none'}",
            hint="`hub-server run user1 FILE` runs a file in user1's server. Does it come to its end?",
            node="login",
            look=f"hub-server list; squeue; cat {RESULT}",
        )
