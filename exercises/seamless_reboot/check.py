"""COMP-1: c1 is in service again, and Slurm has rebooted it without further help.

Two things must last: slurm.conf must say what the running controller knows, and the program must be where the
node's next boot finds it, not only on the node that runs.
"""

from __future__ import annotations

import re
import shlex

from lab.checks import (
    CheckFailedError,
    ClusterView,
    NodeView,
    check,
    failed,
    given_files,
    image_of,
    require_both,
    slurm_conf_of,
    stands,
)
from lab.facts import slurm, slurm_conf

LOG = "/var/log/slurm/slurmctld.log"
# Words of slurmctld's log (slurmctld/proc_req.c, node_mgr.c): a request, and how it may end.
QUEUED = "reboot request queued for nodes"
RETURNED = "returned to service"
BY_HAND = "state set to"
EVENTS = f"{QUEUED}|{RETURNED}|{BY_HAND}|Canceling REBOOT|reboot timed out"
PATIENCE = 10  # seconds that a node may go on after slurmd has run the program
ASKED = (
    """journalctl -u slurmd -q --no-pager -o short-unix -n 1 -g 'reboot request' | cut -d. -f1; date +%s"""
)
"""When slurmd last ran the program (slurmd/req.c, _rpc_reboot), and the time now."""


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
    return first_node(cluster) in cluster.sms.fact(slurm.hostnames(listed))


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
    if "REBOOT_ISSUED" in info.flags and (seconds := ignored(cluster.compute[0])):
        raise failed(
            expected=f"{name} reboots when Slurm requests it",
            actual=f"slurmd ran {program(cluster)} {seconds} s ago, and {name} runs on",
            hint="What does RebootProgram do on the node? Resume the node, which cancels the request. Then "
            "correct the program, and request the reboot again.",
            node="sms",
            look="scontrol show config | grep RebootProgram",
            final=True,
        )
    rebooting = bool(info.flags & {"REBOOT_REQUESTED", "REBOOT_ISSUED"})
    hint = "`sinfo -R` shows the reason. If it no longer applies, an operator must resume the node."
    if rebooting:
        hint = f"Is it booting? If not, `journalctl -u slurmd` on {name} says why it did not reboot."
    elif "timed out" in info.reason:
        hint = f"It was not back in time. Did it reboot at all? `uptime -s` on {name} says when."
    raise failed(
        expected=f"{name} is idle or busy",
        actual=f"{info.label.lower()}: {info.reason}" if info.reason else info.label.lower(),
        hint=hint,
        node="sms",
        look=f"scontrol show node {name}",
        final=not rebooting and "NOT_RESPONDING" not in info.flags,
    )


def ignored(node: NodeView) -> int:
    """For how many seconds a node has run on since slurmd ran the program; 0 if it may still reboot."""
    times = [int(word) for word in node.run(ASKED).output.split() if word.isdecimal()]
    if len(times) != 2 or not stands(node):
        return 0
    seconds = times[1] - times[0]
    return seconds if seconds > PATIENCE else 0


def program(cluster: ClusterView) -> str:
    """The RebootProgram of the running controller, "" if there is none."""
    return cluster.sms.fact(slurm.config).get("RebootProgram", "").strip("\"'")


@check(step="program")
def reboot_program_is_known(cluster: ClusterView) -> None:
    """The controller has a RebootProgram, and slurm.conf has the same."""
    running, written = program(cluster), slurm_conf_of(cluster).setting("RebootProgram").strip("'")

    def fault(value: str) -> CheckFailedError | None:
        if value and value == (written or running):
            return None
        return failed(
            expected=f"RebootProgram = {written or running or '…'}",
            actual=f"RebootProgram = {value}" if value else "no RebootProgram",
            hint="Everything after a # is a comment.",
            node="sms",
            look="scontrol show config | grep RebootProgram",
        )

    require_both(fault(running), fault(written), look=f"grep -i RebootProgram {slurm_conf.PATH}")


def lasting(cluster: ClusterView, node: NodeView, path: str) -> bool:
    """Whether a node's next boot has a program: from shared storage, Warewulf's files, or the image."""
    quoted = shlex.quote(path)
    places = (
        f"""d=$(readlink -f "$(dirname {quoted})"); echo "$d/$(basename {quoted})"; readlink -f {quoted}"""
    )
    found = node.run(f"{places}; findmnt -nro SOURCE -T {quoted}").output.split()
    if any(":/" in word for word in found[2:]):
        return True
    given = given_files(cluster, node.name)
    names = [name for name in found[:2] if name not in given]
    image = image_of(cluster, node.name, *names)
    return all(image.has(name) for name in names)


@check(step="program", needs=[reboot_program_is_known], settle=60)
def node_has_the_program(cluster: ClusterView) -> None:
    """The program exists on the node that it must reboot, and its next boot brings it again."""
    node = cluster.compute[0]
    path = program(cluster).split()[0]
    if node.run(f"test -x {shlex.quote(path)}").exit_status != 0:
        raise failed(
            expected=f"{path} on {node.name}, executable by root",
            actual="no such program there",
            hint="slurmd runs it on the node that is to be rebooted, not on the SMS.",
            node=node.name,
            look=f"ls -l {path}",
        )
    if not lasting(cluster, node, path):
        raise failed(
            expected=f"{path} in the image that {node.name} boots, or on shared storage",
            actual=f"it is on the running {node.name} only, and gone after the first reboot",
            hint="What you copy to a stateless node by hand is lost. Where do its other programs come from?",
            node="sms",
            look=f"ls -l ${{CHROOT}}{path}",
            final=True,
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
