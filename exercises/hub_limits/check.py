"""PORTAL-2: what the Hub's next start tells sbatch, and what a server's job really has.

The script of the next server is made by the spawner itself, from the configuration that the login node's next
boot brings: not what is set counts, but what sbatch reads.
"""

from __future__ import annotations

import re

from lab.checks import ClusterView, check, coming_hub, failed
from lab.facts import portal

WANTED = {"account": "notebooks", "qos": "notebook"}
MINUTES = 60
LOOK = "sudo wwsh file show jupyterhub_config.py | grep req_"
JOBS = "squeue -h -t RUNNING -o '%i|%j|%u|%a|%q|%l'"


def minutes(text: str) -> float:
    """A time of Slurm's in minutes: M, M:S, H:M:S, D-H, D-H:M, D-H:M:S (sbatch(1), --time)."""
    found = re.fullmatch(r"(?:(\d+)-)?(\d+)(?::(\d+))?(?::(\d+))?", text)
    if found is None:
        return float("inf")
    days, first, second, third = (int(one or 0) for one in found.groups())
    if found[1] is not None:
        return (days * 24 + first) * 60 + second + third / 60
    if found[4] is not None:
        return first * 60 + second + third / 60
    return first + second / 60


@check(step="apply")
def next_start_names_account_and_qos(cluster: ClusterView) -> None:
    """After the login node's next boot, the script of a server's job names the account and the QOS."""
    options = coming_hub(cluster)[0].options()
    found = {name: options.get(name, "none") for name in WANTED}
    if found != WANTED:
        raise failed(
            expected="a script for sbatch with --account=notebooks and --qos=notebook",
            actual=", ".join(f"{name}: {value}" for name, value in found.items()),
            hint="Only settings that Slurm's template has a line for reach sbatch, and only lines above its "
            "first command count. Only Warewulf's copy of the configuration outlives a boot.",
            node="sms",
            look=LOOK,
        )


@check(step="fit", needs=[next_start_names_account_and_qos])
def next_start_keeps_to_the_limit(cluster: ClusterView) -> None:
    """It asks for an hour at most, which the QOS still allows."""
    limit = cluster.sms.run("sacctmgr -nP show qos notebook format=maxwall").output.strip()
    if minutes(limit) != MINUTES:
        raise failed(
            expected="the QOS notebook as it was: one hour at most",
            actual=f"MaxWall of notebook is {limit or 'not set'}",
            hint="The limit is the rule. What asks for more than it allows?",
            node="sms",
            look="sacctmgr show qos notebook format=name,maxwall",
            final=True,
        )
    asked = coming_hub(cluster)[0].options().get("time", "")
    if minutes(asked) > MINUTES:
        raise failed(
            expected="a script that asks for one hour at most",
            actual=f"--time={asked}" if asked else "no --time at all",
            hint="req_runtime has a line in the template.",
            node="sms",
            look=LOOK,
        )


@check(step="serve", needs=[next_start_keeps_to_the_limit], settle=30)
def a_server_runs_under_them(cluster: ClusterView) -> None:
    """A user's server answers, and its job has the account, the QOS and the time limit."""
    ready = {one.user for one in cluster.login.fact(portal.servers) if one.ready}
    rows = [line.split("|") for line in cluster.sms.run(JOBS).output.splitlines()]
    jobs = {row[2]: row for row in rows if row[1] == "spawner-jupyterhub" and row[2] in ready}
    right = [row for row in jobs.values() if row[3:5] == list(WANTED.values()) and minutes(row[5]) <= MINUTES]
    if not right or len(right) < len(jobs):
        shown = [f"{row[2]}: {row[3]}, {row[4]}, {row[5]}" for row in jobs.values()]
        raise failed(
            expected="servers whose jobs have the account notebooks, the QOS notebook, and an hour",
            actual="; ".join(shown) or "no server that answers",
            hint="A job keeps what it was submitted with: stop the server, and start it again.",
            node="sms",
            look="squeue --format='%i %j %u %a %q %l'",
        )
