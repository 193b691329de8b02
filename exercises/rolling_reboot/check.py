"""A rolling-reboot health check: where it runs, what it does in a rehearsal, and how it updated the nodes.

What must outlive the next boot are the stamp, in the image that was packed, and the settings, in slurm.conf.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable

from lab.checks import (
    CheckFailedError,
    ClusterView,
    check,
    failed,
    image_of,
    not_packed,
    one_for_each_vnfs,
    packed_files,
    require_settings,
)
from lab.facts import slurm

SHARED = "/opt/ohpc/pub/"
FOLDER = f"{SHARED}rolling"
SCRIPT = f"{FOLDER}/check"
WANTED = f"{FOLDER}/wanted"
STAMP = "/etc/image-release"
LONGEST_INTERVAL = 60
AS_NOBODY = "setpriv --reuid=65534 --regid=65534 --clear-groups --no-new-privs"
SECONDS = 60.0
REASON = re.compile(r"update_node: node (\S+) reason set to: (.*)")
STATE = re.compile(r"update_node: node (\S+) state set to (\S+)")


def rehearse(cluster: ClusterView, *groups: str) -> None:
    """Runs the learner's script in our own copy of the rehearsal, without privileges."""
    wanted = " ".join(f"--group {group}" for group in groups)
    command = (
        f"d=$(mktemp -d) && chmod 755 $d && install -m 755 {SCRIPT} $d/check && "
        f"echo {packed_files(__file__)} | base64 -d | tar -xz -C $d --no-same-owner && "
        f"{AS_NOBODY} python3 -I -B $d/rehearse.py --json {wanted} $d/check; s=$?; rm -rf $d; exit $s"
    )
    answer = cluster.sms.run(command, timeout=SECONDS)
    played = json.loads(answer.output[answer.output.index("[{") :])
    faults = [one for one in played if one["fault"]]
    if not faults:
        return
    names = " ".join(one["name"] for one in faults)
    raise failed(
        expected="good in each of these situations: " + ", ".join(one["name"] for one in played),
        actual="; ".join(f"{one['name']} ({one['story']}): {one['fault']}" for one in faults[:2]),
        hint="The indented lines show which commands the script ran.",
        node="sms",
        look=f"python3 ~/rolling_reboot/rehearse.py {SCRIPT} {names}",
    )


def settings_fault(setting: Callable[[str], str]) -> CheckFailedError | None:
    """What is wrong with the settings of the health check."""
    look = "scontrol show config | grep HealthCheck"
    if setting("HealthCheckProgram") != SCRIPT:
        return failed(
            expected=f"HealthCheckProgram = {SCRIPT}",
            actual=f"HealthCheckProgram = {setting('HealthCheckProgram')}",
            hint="Set it in slurm.conf on the SMS; `sudo scontrol reconfigure` informs the nodes.",
            node="sms",
            look=look,
        )
    interval = (setting("HealthCheckInterval") or "0").split()[0]
    if not interval.isdecimal() or not 0 < int(interval) <= LONGEST_INTERVAL:
        return failed(
            expected=f"HealthCheckInterval between 1 and {LONGEST_INTERVAL} s",
            actual=f"{interval} s",
            hint="Each node takes that long to notice that it is drained, and again after the reboot.",
            node="sms",
            look=look,
        )
    return None


@check(step="watch")
def slurmd_runs_the_shared_script(cluster: ClusterView) -> None:
    """Slurm's health check is the script on shared storage, and it runs at least once a minute."""
    require_settings(cluster, settings_fault, key="HealthCheck")
    mode = cluster.sms.run(f"stat -c %A {SCRIPT}").output.strip()
    if mode.count("x") != len("ugo") or not mode.startswith("-"):
        raise failed(
            expected=f"{SCRIPT} is executable: -rwxr-xr-x",
            actual=mode,
            node="sms",
            look=f"ls -l {SCRIPT}",
        )


@check(step="harden", needs=[slurmd_runs_the_shared_script], timeout=SECONDS)
def it_reboots_a_drained_node_once(cluster: ClusterView) -> None:
    """It reboots a node drained with rolling:reboot once, and returns it to service with the wanted image."""
    rehearse(cluster, "drained")


@check(step="harden", needs=[slurmd_runs_the_shared_script], timeout=SECONDS)
def it_obeys_its_own_token_only(cluster: ClusterView) -> None:
    """It ignores all other reasons that people and Slurm itself write."""
    rehearse(cluster, "words")


@check(step="harden", needs=[slurmd_runs_the_shared_script], timeout=SECONDS)
def it_is_not_fooled_by_comments(cluster: ClusterView) -> None:
    """It never takes the comment of a node for its state or its reason."""
    rehearse(cluster, "comments")


@check(step="harden", needs=[it_reboots_a_drained_node_once], timeout=SECONDS)
def it_reads_states_as_flags(cluster: ClusterView) -> None:
    """It reboots a node whatever other flags its state has, but not while jobs still run there."""
    rehearse(cluster, "flags", "jobs")


@check(step="harden", needs=[it_reboots_a_drained_node_once], timeout=SECONDS)
def it_does_not_reboot_unrecorded(cluster: ClusterView) -> None:
    """It does not reboot a node if the controller does not accept the new reason."""
    rehearse(cluster, "refused")


@check(step="harden", needs=[it_reboots_a_drained_node_once], timeout=SECONDS)
def it_wants_proof(cluster: ClusterView) -> None:
    """It resumes a node only after a reboot and only with the wanted image, and never reboots in a loop."""
    rehearse(cluster, "proof")


@check(step="harden", needs=[it_reboots_a_drained_node_once], timeout=SECONDS)
def it_ends_within_a_minute(cluster: ClusterView) -> None:
    """It ends within a minute even if the metrics server never answers."""
    rehearse(cluster, "minute")


@check(step="harden", needs=[slurmd_runs_the_shared_script], timeout=SECONDS)
def the_other_checks_still_run(cluster: ClusterView) -> None:
    """When there is nothing to do, it prints nothing and runs the other health checks of the node."""
    rehearse(cluster, "others")


@check(step="roll")
def a_new_image_is_wanted(cluster: ClusterView) -> None:
    """The shared file `wanted` has the stamp of the image that nodes now boot."""
    wanted = cluster.sms.run(f"cat {WANTED}")
    stamp = cluster.sms.run(f"cat /opt/ohpc/admin/images/debian13{STAMP}")
    if wanted.exit_status != 0 or not wanted.output.strip():
        raise failed(
            expected=f"the stamp of the new image in {WANTED}",
            actual="no such file" if wanted.exit_status != 0 else "an empty file",
            hint=f"A stamp is a line in {STAMP} of the image, for example: debian13-2",
            node="sms",
            look=f"cat {WANTED}",
        )
    if wanted.output.strip() != stamp.output.strip():
        raise failed(
            expected=f"the same stamp in the chroot and in {WANTED}",
            actual=f"{stamp.output.strip()} and {wanted.output.strip()}",
            hint="Write the stamp into the chroot that the VNFS is packed from, not onto the SMS itself.",
            node="sms",
            look=f"head ${{CHROOT}}{STAMP} {WANTED}",
        )


@check(step="roll", needs=[a_new_image_is_wanted])
def image_has_the_stamp(cluster: ClusterView) -> None:
    """The image that each compute node boots has this stamp: it was packed after the stamp was written."""
    wanted = cluster.sms.run(f"cat {WANTED}").output.strip()
    for node in one_for_each_vnfs(cluster, cluster.compute):
        if image_of(cluster, node, STAMP).text(STAMP).strip() != wanted:
            raise not_packed(cluster, node, STAMP.lstrip("/"))


@check(step="roll", needs=[image_has_the_stamp], settle=90)
def every_compute_node_runs_it(cluster: ClusterView) -> None:
    """Every compute node runs that image."""
    wanted = cluster.sms.run(f"cat {WANTED}").output.strip()
    found = {
        node.name: node.run(f"cat {STAMP} 2>/dev/null || echo unstamped").output for node in cluster.compute
    }
    others = {name: text.strip() for name, text in found.items() if text.strip() != wanted}
    if others:
        raise failed(
            expected=f"{wanted} on every compute node",
            actual=others,
            hint="The image has the stamp, but the node has not booted since it was packed.",
            node=next(iter(others)),
            look=f"uptime -s; cat {STAMP}",
        )


@check(step="roll", needs=[every_compute_node_runs_it], settle=60)
def every_compute_node_is_in_service(cluster: ClusterView) -> None:
    """Every compute node is back in service."""
    known = cluster.sms.fact(slurm.nodes)
    out = {node.name: known[node.name].label for node in cluster.compute if not known[node.name].takes_jobs}
    if out:
        raise failed(
            expected="every compute node in service",
            actual=out,
            hint="Which reason does sinfo -R show, and what is in the log of slurmd on the node?",
            node="sms",
            look="sinfo -R; sinfo -N -O NodeList,StateComplete",
        )


@check(step="roll", needs=[slurmd_runs_the_shared_script, every_compute_node_runs_it])
def the_script_did_it(cluster: ClusterView) -> None:
    """The controller's log shows that the script rebooted each drained node and then resumed it."""
    path = shlex.quote(cluster.sms.fact(slurm.config).get("SlurmctldLogFile", ""))
    log = cluster.sms.run(f"grep -a 'update_node: node' {path}").output
    undone = {node.name: told(log, node.name) for node in cluster.compute if told(log, node.name)}
    if undone:
        raise failed(
            expected="for each node: rolling:reboot, then rolling:rebooting …, then state set to IDLE",
            actual=undone,
            hint="Update a node with: sudo scontrol update nodename=… state=drain reason=rolling:reboot",
            node="sms",
            look=f"sudo grep update_node {path}",
        )


def told(log: str, node: str) -> str:
    """What is missing about a node's rolling reboot in the log of the controller; empty if nothing is."""
    story = ["rolling:reboot", "rolling:rebooting", "IDLE"]
    wanted = story
    for line in log.splitlines():
        reason, state = REASON.search(line), STATE.search(line)
        found = reason or state
        if found is None or found[1] != node:
            continue
        word = " ".join(found[2].split()[:1])
        if word == wanted[0]:
            wanted = wanted[1:]
        elif reason and word == story[0]:
            wanted = story[1:]  # start again: the node may have been rebooted before
        elif reason and word not in ("", story[1]):
            wanted = story  # for example rolling:failed: whoever resumes the node now is not the script
        if not wanted:
            return ""
    return f"no {wanted[0]}"
