"""siphon: a client without a munge key fetches the configuration, submits a job, and gets known errors.

A token ends and the client's copy is in memory: both are meant to be short-lived. What must last is that the
controller sends good names again, so slurm.conf is read beside the running controller.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from lab.checks import (
    CheckFailedError,
    ClusterView,
    NodeView,
    check,
    failed,
    require_both,
    slurm_conf_of,
)
from lab.facts import slurm, slurm_conf

USER = "user1"
HOME = f"/home/{USER}"
TOKEN = f"{HOME}/slurm.jwt"
CONF = "/run/slurm/conf"
OUTPUT = f"{HOME}/from_client.out"
ANSWERS = f"{HOME}/fetch_config/refusals.txt"
FETCH = f"siphon --token-file {TOKEN} --dry-run -o /tmp sms"  # writes nothing
TRUTH = {
    "no-token": "22",
    "expired": "14",
    "changed": "14",
    "slurmd-set": "15",
    "nobody-there": "10",
    "unsafe-name": "19",
}


def client(cluster: ClusterView) -> NodeView:
    """The machine without a munge key."""
    return cluster.node("client")


@check(step="fetch")
def the_token_is_a_secret(cluster: ClusterView) -> None:
    """user1 has a valid token in slurm.jwt that no other user may read."""
    answer = cluster.sms.run(f"stat -c '%A %U' {TOKEN}")
    look = "ls -l ~/slurm.jwt"
    if answer.exit_status != 0:
        raise failed(
            expected=f"a token in {TOKEN}",
            actual="no such file",
            hint="`scontrol token` creates a token, but only where you are authenticated: on the SMS.",
            node="sms",
            look=look,
        )
    mode, owner = answer.output.split()
    if owner != USER or mode[4:] != "------":
        raise failed(
            expected=f"-rw------- {USER}",
            actual=f"{mode} {owner}",
            hint="Whoever can read the token can act as you. umask(1) sets the mode of a new file.",
            node="sms",
            look=look,
        )
    tried = client(cluster).run(f"{FETCH} --quiet", user=USER)
    if tried.exit_status != 0:
        raise failed(
            expected="a token that the controller accepts",
            actual=tried.output.strip(),
            hint="Tokens expire. `scontrol token lifespan=…` takes seconds.",
            node="client",
            look="siphon --token-file ~/slurm.jwt --dry-run -o /tmp sms",
        )


@check(step="fetch", needs=[the_token_is_a_secret])
def the_copy_is_the_controllers(cluster: ClusterView) -> None:
    """slurm.conf in /run/slurm/conf on the client is identical to that of the controller."""
    lines = client(cluster).run(f"{FETCH} --json", user=USER).output.splitlines()
    sent = json.loads(next((line for line in lines if line.startswith("{")), "{}")).get("files", [])
    wanted = [file["sha256"] for file in sent if file["name"] == "slurm.conf"]
    found = client(cluster).run(f"sha256sum < {CONF}/slurm.conf")
    if found.exit_status != 0 or found.output.split()[:1] != wanted:
        raise failed(
            expected=f"{CONF}/slurm.conf identical to the one that the controller sends",
            actual="no such file" if found.exit_status != 0 else "different content",
            hint="siphon does not poll by itself: after a change, fetch again, with -o as before."
            if found.exit_status == 0
            else "`siphon -o DIR SERVER` fetches; Slurm's commands look in /run/slurm/conf by themselves.",
            node="client",
            look=f"siphon --token-file ~/slurm.jwt --check -o {CONF} sms",
        )


@check(step="fetch", needs=[the_copy_is_the_controllers])
def the_client_has_no_key(cluster: ClusterView) -> None:
    """The client still has no munge key, no munged, and no /etc/slurm/slurm.conf."""
    found = client(cluster).run("ls /etc/munge/munge.key /run/munge/munge.socket.2 /etc/slurm/slurm.conf")
    there = [line for line in found.output.splitlines() if line.startswith("/")]
    if there:
        raise failed(
            expected="none of the three: a munge key, munged's socket, /etc/slurm/slurm.conf",
            actual=there,
            hint="Whoever has munge.key can act as any user. A client does not need it.",
            node="client",
            look="ls /etc/munge /run/munge /etc/slurm",
        )


@check(step="submit", needs=[the_copy_is_the_controllers], settle=10)
def commands_work_on_the_client(cluster: ClusterView) -> None:
    """With the token in SLURM_JWT, sinfo on the client shows the controller's partitions."""
    wanted = sorted(part.name for part in cluster.sms.fact(slurm.partitions))
    answer = client(cluster).run(f"export $(cat {TOKEN}); sinfo -h -o '%P'", user=USER)
    found = sorted({name.rstrip("*") for name in answer.output.split()})
    if answer.exit_status != 0 or found != wanted:
        raise failed(
            expected=wanted,
            actual=answer.output or f"status {answer.exit_status}",
            hint="The token must be in the environment: export $(cat slurm.jwt)",
            node="client",
            look="sinfo",
        )


@check(step="submit", needs=[the_token_is_a_secret], settle=30)
def a_job_came_from_the_client(cluster: ClusterView) -> None:
    """from_client.out shows that a job was submitted on the client and ran on a compute node."""
    answer = cluster.sms.run(f"cat {OUTPUT}")
    words = set(re.findall(r"[\w-]+", answer.output))
    names = {node.name for node in cluster.compute}
    if answer.exit_status != 0 or "client" not in words or not names & words:
        raise failed(
            expected=f"client and one of {', '.join(sorted(names))} in {OUTPUT}",
            actual="no such file" if answer.exit_status != 0 else answer.output.strip(),
            hint="In a job, $SLURM_SUBMIT_HOST is where sbatch ran, and `hostname` where the job runs.",
            node="client",
            look="cat ~/from_client.out",
        )


@check(step="refusals")
def each_refusal_has_its_status(cluster: ClusterView) -> None:
    """refusals.txt has the exit status of each of the six refusals."""
    text = cluster.sms.run(f"cat {ANSWERS}").output
    found = dict(re.findall(r"^\s*([a-z-]+)\s*=\s*(\d+)\s*$", text, flags=re.MULTILINE))
    faults = {
        "wrong": [name for name, status in TRUTH.items() if found.get(name, status) != status],
        "missing": [name for name in TRUTH if name not in found],
    }
    if any(faults.values()):
        raise failed(
            expected=f"the right number for each of {', '.join(TRUTH)}",
            actual="; ".join(f"{word}: {', '.join(names)}" for word, names in faults.items() if names),
            hint="`siphon …; echo $?` shows it; the end of siphon --help explains each.",
            node="client",
            look="cat ~/fetch_config/refusals.txt",
        )


def name_at_fault(settings: Mapping[str, str]) -> CheckFailedError | None:
    """The settings whose value leads out of a directory, if any."""
    names = {key: value for key, value in settings.items() if ".." in value.split("/")}
    if not names:
        return None
    return failed(
        expected="no setting with .. in a path",
        actual=names,
        hint="Remove the line from slurm.conf, and run `sudo scontrol reconfigure`.",
        node="sms",
        look="scontrol show config | grep -F ..",
    )


@check(step="refusals", needs=[each_refusal_has_its_status])
def the_controller_sends_good_names(cluster: ClusterView) -> None:
    """slurm.conf names no script any more that nodes would write outside of their directory."""
    require_both(
        name_at_fault(cluster.sms.fact(slurm.config)),
        name_at_fault(slurm_conf_of(cluster).settings),
        look=f"grep -nF .. {slurm_conf.PATH}",
    )
