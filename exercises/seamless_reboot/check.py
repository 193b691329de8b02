"""COMP-1: c1 is in service again, and Slurm has rebooted it without further help."""

from __future__ import annotations

import re
import shlex

from lab.checks import ClusterView, check, failed
from lab.facts import slurm

CONF = "/etc/slurm/slurm.conf"
LOG = "/var/log/slurm/slurmctld.log"
# Words of slurmctld's log (slurmctld/proc_req.c, node_mgr.c): a request, and how it may end.
QUEUED = "reboot request queued for nodes"
RETURNED = "returned to service"
BY_HAND = "state set to"
EVENTS = f"{QUEUED}|{RETURNED}|{BY_HAND}|Canceling REBOOT|reboot timed out"
WRITTEN = "^[[:space:]]*RebootProgram[[:space:]]*=[[:space:]]*[^[:space:]]"


def first_node(cluster: ClusterView) -> str:
    """The compute node of this exercise: c1."""
    return cluster.compute[0].name


def log_file(cluster: ClusterView) -> str:
    """The log file of the controller."""
    return cluster.sms.fact(slurm.config).get("SlurmctldLogFile") or LOG


def ordered(cluster: ClusterView, event: str) -> bool:
    """Whether a line of the log requests a reboot of c1; Slurm writes `c1`, `c[1-3],g1` or `ALL`."""
    listed = event.partition(QUEUED)[2].strip()
    if listed.upper() == "ALL":
        return True
    names = cluster.sms.run(f"scontrol show hostnames {shlex.quote(listed)}").output.split()
    return first_node(cluster) in names


def since_last_order(cluster: ClusterView) -> list[str] | None:
    """What the log says about c1 since its last requested reboot; None if there was no request."""
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
def node_is_in_service(cluster: ClusterView) -> None:
    """The first compute node, c1, takes jobs."""
    name = first_node(cluster)
    info = cluster.sms.fact(slurm.node(name))
    if info.takes_jobs:
        return
    rebooting = bool(info.flags & {"REBOOT_REQUESTED", "REBOOT_ISSUED"})
    hint = "`sinfo -R` shows the reason. If it no longer applies, an operator must resume the node."
    if rebooting:
        hint = f"Is it booting? If not, `journalctl -u slurmd` on {name} says why it did not reboot."
    raise failed(
        expected=f"{name} is idle or busy",
        actual=f"{info.label.lower()}: {info.reason}" if info.reason else info.label.lower(),
        hint=hint,
        node="sms",
        look=f"scontrol show node {name}",
        final=not rebooting and "NOT_RESPONDING" not in info.flags,
    )


@check(step="program")
def reboot_program_is_known(cluster: ClusterView) -> None:
    """The controller has a RebootProgram."""
    if cluster.sms.fact(slurm.config).get("RebootProgram"):
        return
    written = cluster.sms.run(f"grep -Ei {shlex.quote(WRITTEN)} {CONF}")
    unread = written.exit_status == 0
    raise failed(
        expected="a RebootProgram",
        actual=f"the controller has not read this line: {written.output.strip()}"
        if unread
        else f"no active line for it in {CONF}",
        hint="`sudo scontrol reconfigure` makes the controller read its file."
        if unread
        else "Everything after a # is a comment.",
        node="sms",
        look="scontrol show config | grep RebootProgram",
    )


@check(step="program", needs=[reboot_program_is_known], settle=60)
def node_has_the_program(cluster: ClusterView) -> None:
    """The program exists on the node that it must reboot."""
    node = cluster.compute[0]
    path = cluster.sms.fact(slurm.config)["RebootProgram"].split()[0].strip("\"'")
    if node.run(f"test -x {shlex.quote(path)}").exit_status != 0:
        raise failed(
            expected=f"{path} on {node.name}, executable by root",
            actual="no such program there",
            hint="slurmd runs it on the node that is to be rebooted, not on the SMS.",
            node=node.name,
            look=f"ls -l {path}",
        )


@check(step="reboot", needs=[reboot_program_is_known])
def slurm_ordered_a_reboot(cluster: ClusterView) -> None:
    """A reboot of that node was requested from Slurm."""
    if since_last_order(cluster) is None:
        raise failed(
            expected=f"a request to reboot {first_node(cluster)} in the log of the controller",
            actual="none",
            hint="Slurm does not know about a reboot by ssh; `scontrol reboot` requests one from Slurm.",
            node="sms",
            look=f"sudo grep '{QUEUED}' {log_file(cluster)}",
        )


@check(step="reboot", needs=[slurm_ordered_a_reboot, node_is_in_service], settle=120)
def node_came_back_by_itself(cluster: ClusterView) -> None:
    """After that reboot the node returned to service without being resumed by hand."""
    since = since_last_order(cluster) or []
    if since and RETURNED in since[0]:
        return
    raise failed(
        expected="a requested reboot that ended with the node in service",
        actual=since[0] if since else "the node has not returned from the last one yet",
        hint="Request another reboot with nextstate=RESUME, and then only watch."
        if since
        else "`sinfo` shows boot^ while Slurm waits for the node.",
        node="sms",
        look=f"sudo tail {log_file(cluster)}",
        final=bool(since),
    )
