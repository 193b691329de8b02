"""LOGIN-2: Slurm's commands work on the login node, and it runs no jobs."""

from __future__ import annotations

import re

from lab.checks import ClusterView, check, failed
from lab.facts import slurm, systemd

OWN_FILE = "/etc/slurm/slurm.conf"


@check(step="introduce", settle=15)
def login_has_a_way_to_the_configuration(cluster: ClusterView) -> None:
    """The login node gets Slurm's configuration from a running slurmd, or from a file of its own."""
    if cluster.login.run(f"grep -qi '^ *SlurmctldHost' {OWN_FILE}").exit_status == 0:
        return
    daemon = cluster.login.fact(systemd.unit("slurmd.service"))
    if daemon.active == "active":
        return
    if "login" in cluster.sms.fact(slurm.nodes):
        actual = f"slurmd is {daemon.active}, although Slurm knows the node now"
        hint = "It exited when the node was unknown, and does not start again by itself."
    elif cluster.sms.run(f"grep -Eqi '^ *NodeName=.*\\blogin\\b' {OWN_FILE}").exit_status == 0:
        actual = f"slurmd is {daemon.active}; the node is in slurm.conf, but the controller has not read it"
        hint = "`sudo scontrol reconfigure` makes the controller read its file."
    else:
        actual = f"slurmd is {daemon.active}, and slurm.conf on the SMS has no NodeName=login"
        hint = "`slurmd -C` on login prints the line that describes the machine."
    raise failed(
        expected=f"an active slurmd, or a file {OWN_FILE}",
        actual=actual,
        hint=hint,
        node="login",
        look="systemctl --no-pager status slurmd",
    )


@check(step="answer", needs=[login_has_a_way_to_the_configuration], settle=15)
def sinfo_answers(cluster: ClusterView) -> None:
    """The command sinfo works on the login node."""
    answer = cluster.login.run("sinfo", timeout=15)
    if answer.exit_status != 0 or "error:" in answer.output:
        raise failed(
            expected="partitions and nodes, and no error",
            actual=answer.output or f"status {answer.exit_status}",
            node="login",
            look="sinfo",
        )


@check(step="answer", needs=[sinfo_answers], settle=10)
def sinfo_tells_the_same(cluster: ClusterView) -> None:
    """It shows the same partitions and nodes as on the SMS."""
    there = {part.name: part.node_list for part in cluster.login.fact(slurm.partitions)}
    here = {part.name: part.node_list for part in cluster.sms.fact(slurm.partitions)}
    if there != here or not here:
        raise failed(expected=here, actual=there, node="login", look="sinfo")


@check(step="answer", needs=[sinfo_answers])
def login_takes_no_jobs(cluster: ClusterView) -> None:
    """No partition contains the login node."""
    answer = cluster.sms.run("sinfo -hN -n login -o '%R'")
    found = [name for name in answer.output.split() if re.fullmatch(r"[\w.-]+", name) and name != "n/a"]
    if answer.exit_status == 0 and found:
        raise failed(
            expected="login in no partition",
            actual=f"in {', '.join(found)}",
            hint="Only the `NodeName=` line is needed; a `PartitionName=` line decides where jobs run.",
            node="sms",
            look="sinfo -N -n login",
        )


@check(step="answer", needs=[sinfo_answers], settle=20)
def compute_nodes_take_jobs(cluster: ClusterView) -> None:
    """The compute nodes still take jobs."""
    known = cluster.sms.fact(slurm.nodes)
    wanted = [node.name for node in cluster.compute]
    usable = [name for name in wanted if name in known and known[name].takes_jobs]
    if not usable:
        labels = {name: known[name].label if name in known else "unknown" for name in wanted}
        raise failed(
            expected="at least one compute node idle or busy",
            actual=labels,
            hint="Did the controller accept your change? See `sudo journalctl -u slurmctld`.",
            node="sms",
            look="sinfo -R",
        )
