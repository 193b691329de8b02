"""COMP-1: c1 is in service again, and Slurm has rebooted it without anybody's help."""

from __future__ import annotations

import re
import shlex

from lab.checks import Cluster, check, failed
from lab.facts import slurm

CONF = "/etc/slurm/slurm.conf"
LOG = "/var/log/slurm/slurmctld.log"
# Words of slurmctld's log (slurmctld/proc_req.c, node_mgr.c): an order, and what may become of it.
QUEUED = "reboot request queued for nodes"
RETURNED = "returned to service"
BY_HAND = "state set to"
EVENTS = f"{QUEUED}|{RETURNED}|{BY_HAND}|Canceling REBOOT|reboot timed out"
WRITTEN = "^[[:space:]]*RebootProgram[[:space:]]*=[[:space:]]*[^[:space:]]"


def first_node(cluster: Cluster) -> str:
    """The compute node that this is about: c1."""
    return cluster.compute[0].name


def log_file(cluster: Cluster) -> str:
    """Where the controller writes its log."""
    return cluster.sms.fact(slurm.config).get("SlurmctldLogFile") or LOG


def ordered(cluster: Cluster, event: str) -> bool:
    """Whether a line of the log orders a reboot of c1; Slurm writes `c1`, `c[1-3],g1` or `ALL`."""
    listed = event.partition(QUEUED)[2].strip()
    if listed.upper() == "ALL":
        return True
    names = cluster.sms.run(f"scontrol show hostnames {shlex.quote(listed)}").output.split()
    return first_node(cluster) in names


def since_last_order(cluster: Cluster) -> list[str] | None:
    """What the log says about c1 since its last ordered reboot; None when there was no order."""
    found = cluster.sms.run(f"grep -E {shlex.quote(EVENTS)} {shlex.quote(log_file(cluster))}").output
    about = re.compile(rf"\bnode {re.escape(first_node(cluster))}\b", re.IGNORECASE)
    since: list[str] = []
    for event in reversed(found.splitlines()):
        if QUEUED in event:
            if ordered(cluster, event):
                return since[::-1]
        elif about.search(event):
            since.append(event)
    return None


@check(step="resume", settle=90)
def node_is_in_service(cluster: Cluster) -> None:
    """The first compute node, c1, takes jobs."""
    name = first_node(cluster)
    info = cluster.sms.fact(slurm.node(name))
    if info.takes_jobs:
        return
    rebooting = bool(info.flags & {"REBOOT_REQUESTED", "REBOOT_ISSUED"})
    hint = "`sinfo -R` names the reason. If it no longer holds, somebody must say so."
    if rebooting:
        hint = f"Is it booting? If not, `journalctl -u slurmd` on {name} says why nothing came of the order."
    raise failed(
        expected=f"{name} is idle or busy",
        actual=f"{info.label.lower()}: {info.reason}" if info.reason else info.label.lower(),
        hint=hint,
        node="sms",
        look=f"scontrol show node {name}",
        final=not rebooting and "NOT_RESPONDING" not in info.flags,
    )


@check(step="program")
def reboot_program_is_known(cluster: Cluster) -> None:
    """Slurm knows a program that reboots a node."""
    if cluster.sms.fact(slurm.config).get("RebootProgram"):
        return
    written = cluster.sms.run(f"grep -Ei {shlex.quote(WRITTEN)} {CONF}")
    unread = written.exit_status == 0
    raise failed(
        expected="a RebootProgram",
        actual=f"the controller has not read this line: {written.output.strip()}"
        if unread
        else f"no line for it in {CONF} that counts",
        hint="`sudo scontrol reconfigure` makes the controller read its file."
        if unread
        else "What stands behind a # is a remark.",
        node="sms",
        look="scontrol show config | grep RebootProgram",
    )


@check(step="program", needs=[reboot_program_is_known], settle=60)
def node_has_the_program(cluster: Cluster) -> None:
    """The program is on the node that it shall reboot."""
    node = cluster.compute[0]
    path = cluster.sms.fact(slurm.config)["RebootProgram"].split()[0].strip("\"'")
    if node.run(f"test -x {shlex.quote(path)}").exit_status != 0:
        raise failed(
            expected=f"{path} on {node.name}, as a program that root may run",
            actual="no such program there",
            hint="slurmd runs it on the node that is to be rebooted, not on the SMS.",
            node=node.name,
            look=f"ls -l {path}",
        )


@check(step="reboot", needs=[reboot_program_is_known])
def slurm_ordered_a_reboot(cluster: Cluster) -> None:
    """A reboot of that node was ordered from Slurm."""
    if since_last_order(cluster) is None:
        raise failed(
            expected=f"an order to reboot {first_node(cluster)} in the controller's log",
            actual="none",
            hint="A reboot over ssh goes behind Slurm's back; `scontrol reboot` goes through it.",
            node="sms",
            look=f"sudo grep '{QUEUED}' {log_file(cluster)}",
        )


@check(step="reboot", needs=[slurm_ordered_a_reboot, node_is_in_service], settle=120)
def node_came_back_by_itself(cluster: Cluster) -> None:
    """The node came back from it into service without being resumed by hand."""
    since = since_last_order(cluster) or []
    if since and RETURNED in since[0]:
        return
    raise failed(
        expected="an ordered reboot that ended with the node in service",
        actual=since[0] if since else "the node has not come back from the last one yet",
        hint="Order one more, with nextstate=RESUME, and then only look."
        if since
        else "`sinfo` shows boot^ while Slurm waits for the node.",
        node="sms",
        look=f"sudo tail {log_file(cluster)}",
        final=bool(since),
    )
