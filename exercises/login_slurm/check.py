"""LOGIN-2: Slurm's commands work on the login node also after its next boot, and it runs no jobs."""

from __future__ import annotations

import re

from lab.checks import ClusterView, check, coming, failed, slurm_conf_of
from lab.facts import slurm, systemd, warewulf

OWN_FILE = "/etc/slurm/slurm.conf"
CACHE = "/run/slurm/conf"  # slurmd writes there what it received from the controller


def is_written_down(cluster: ClusterView) -> bool:
    """Whether slurm.conf on the SMS, with what it includes, has the login node."""
    lists = ",".join(slurm_conf_of(cluster).nodes)
    return "login" in cluster.sms.fact(slurm.hostnames(lists))


def asks_the_name_service(cluster: ClusterView) -> bool:
    """Whether Slurm's commands find the configuration although neither file nor slurmd brought it."""
    return cluster.login.run(f"! test -e {CACHE} && sinfo", timeout=15).exit_status == 0


@check(step="introduce", settle=15)
def login_has_a_way_to_the_configuration(cluster: ClusterView) -> None:
    """The login node gets Slurm's configuration: from a running slurmd, a file, or the name service."""
    if cluster.login.run(f"grep -qi '^ *SlurmctldHost' {OWN_FILE}").exit_status == 0:
        return
    daemon = cluster.login.fact(systemd.unit("slurmd.service"))
    if daemon.active == "active" or asks_the_name_service(cluster):
        return
    if "login" in cluster.sms.fact(slurm.nodes):
        actual = f"slurmd is {daemon.active}, although Slurm knows the node now"
        hint = "It exited when the node was unknown, and does not start again by itself."
    elif is_written_down(cluster):
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
def a_boot_will_not_undo_it(cluster: ClusterView) -> None:
    """The login node gets the configuration after its next boot, too."""
    if is_written_down(cluster) or coming(cluster, "login", OWN_FILE)[OWN_FILE].digest:
        return
    if cluster.login.run(f"test -e {OWN_FILE}").exit_status == 0:
        stored = [row.name for row in cluster.sms.fact(warewulf.file_list) if row.path == OWN_FILE]
        raise failed(
            expected=f"{OWN_FILE} that the node gets at each boot, or its name in slurm.conf of the SMS",
            actual=f"Warewulf has {stored[0]}, but it is not assigned to login"
            if stored
            else f"{OWN_FILE} is only in the memory of login",
            hint="What you write on a node by hand is gone after its next boot. Which of its files stay?",
            node="sms",
            look="wwsh provision print login",
            final=True,
        )
    if cluster.login.fact(systemd.unit("slurmd.service")).active == "active":
        raise failed(
            expected=f"a line NodeName=login in {OWN_FILE} of the SMS",
            actual="no such line; only the running controller still knows the node",
            hint="The controller forgets the node when it reads its file again.",
            node="sms",
            look=f"grep -i NodeName {OWN_FILE}",
            final=True,
        )


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
