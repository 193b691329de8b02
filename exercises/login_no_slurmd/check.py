"""LOGIN-5: a condition in the VNFS stops slurmd on the login node, and lets it run on compute nodes."""

from __future__ import annotations

import re
from dataclasses import dataclass

from lab.checks import (
    ClusterView,
    NodeView,
    changed_since_packed,
    check,
    chroot_of,
    coming,
    conditions,
    failed,
    files_with_conditions,
    given_files,
    meets,
    of_each_kind,
    require_packed,
    stands,
)
from lab.facts import slurm

UNIT = "slurmd.service"
SHOWN = "ActiveState,ConditionResult,ConditionTimestampMonotonic,AssertResult,AssertTimestampMonotonic,Result"
IN_TREE = ("etc/systemd/system", *(f"usr/lib/systemd/system/{UNIT}{more}" for more in ("", ".d")))
CONFIGURATION = "/etc/slurm/slurm.conf"
LOOK = f"systemctl --no-pager status {UNIT.removesuffix('.service')}"
SAME_BOOT = 10  # seconds that two accounts of one boot may differ


@dataclass(frozen=True)
class Daemon:
    """The state of slurmd on a node."""

    active: str
    refused: bool  # it should have started, but a condition of its unit was not met


def daemon(node: NodeView) -> Daemon:
    """Asks systemd on a node."""
    output = node.run(f"systemctl show {UNIT} -p {SHOWN}").output
    found = dict(line.split("=", 1) for line in output.splitlines() if "=" in line)

    def said_no(kind: str) -> bool:
        asked = found.get(f"{kind}TimestampMonotonic", "0") not in ("", "0")
        return asked and found.get(f"{kind}Result") == "no"

    refused = said_no("Condition") or said_no("Assert") or found.get("Result") == "exec-condition"
    active = found.get("ActiveState", "unknown")
    return Daemon(active, refused and active in ("inactive", "failed"))


def in_the_image(cluster: ClusterView) -> list[str]:
    """Files in the chroot that hold a condition for slurmd."""
    return cluster.sms.run(files_with_conditions(chroot_of(cluster, "login"), UNIT)).output.split()


def delivered(cluster: ClusterView) -> list[str]:
    """Overrides of slurmd's unit that are assigned to the login node as Warewulf files."""
    return [path for path in given_files(cluster, "login") if f"/{UNIT}" in path]


def came_with_the_boot(node: NodeView) -> bool | None:
    """Whether a node's condition is as old as its boot; None when it has no condition at all."""
    output = node.run(
        "systemctl show --timestamp=unix -p UserspaceTimestamp;"
        f" {files_with_conditions('', UNIT)} | xargs -r stat -L -c '%Z %n'"
    ).output
    began = re.search(r"UserspaceTimestamp=@(\d+)", output)
    changed = [int(found[1]) for found in re.finditer(r"^(\d+) /", output, flags=re.MULTILINE)]
    if began is None or not changed:
        return None
    return min(changed) <= int(began[1])


@check(step="condition")
def login_refuses_slurmd(cluster: ClusterView) -> None:
    """The login node does not run slurmd, because a condition is not met."""
    found = daemon(cluster.login)
    if found.refused:
        return
    if found.active not in ("inactive", "failed"):
        hint = "`systemctl edit slurmd` adds conditions; systemd tests them when the service starts."
        kept = in_the_image(cluster)
        if kept or delivered(cluster):
            older = kept and changed_since_packed(cluster, "login", *IN_TREE)
            hint = (
                "The chroot has a condition, but the VNFS was packed before. `sudo wwvnfs` packs it."
                if older
                else "The VNFS is packed with a condition. Reboot login: it runs what it booted before."
            )
        raise failed(
            expected="slurmd is skipped: its start condition is unmet",
            actual=f"slurmd is {found.active}",
            hint=hint,
            node="login",
            look=LOOK,
        )
    raise failed(
        expected="slurmd is skipped: its start condition is unmet",
        actual=f"slurmd is {found.active}, but not because of a condition",
        hint="Test it with `systemctl start slurmd`: slurmd must stay inactive.",
        node="login",
        look=LOOK,
    )


@check(step="image")
def image_has_the_condition(cluster: ClusterView) -> None:
    """The condition is in the chroot that the VNFS is packed from."""
    if in_the_image(cluster) or delivered(cluster):
        return
    place = f"{chroot_of(cluster, 'login')}/etc/systemd/system/{UNIT}.d"
    raise failed(
        expected=f"a condition for slurmd in a file under {place}",
        actual="no condition there",
        hint="A change on the node only is lost at its next boot.",
        node="sms",
        look=f"ls {place}",
    )


@check(step="image", needs=[image_has_the_condition])
def image_is_packed(cluster: ClusterView) -> None:
    """The VNFS is packed with the condition, so the next boot of a node brings it."""
    if in_the_image(cluster):
        require_packed(cluster, "login", *IN_TREE)


@check(step="image", needs=[image_has_the_condition], settle=45)
def condition_sorts_the_nodes(cluster: ClusterView) -> None:
    """The condition is met on compute nodes, also on those that have not booted since, but not on login."""
    tests = conditions(cluster, chroot_of(cluster, "login"), UNIT)
    for node in of_each_kind(cluster.compute):
        if not meets(node, tests):
            raise failed(
                expected=f"conditions that {node.name} meets",
                actual=f"it does not meet: {', '.join(tests)}",
                hint="All conditions must be met, unless each begins with `|`. Which names do they match?",
                node=node.name,
                look=f"systemd-analyze condition {' '.join(map(repr, tests))}",
                final=True,
            )
    if tests and not delivered(cluster) and meets(cluster.login, tests):
        raise failed(
            expected="conditions that login does not meet",
            actual=f"it meets: {', '.join(tests)}",
            hint="Which names do they match?",
            node="login",
            look=f"systemd-analyze condition {' '.join(map(repr, tests))}",
            final=True,
        )


@check(step="boot", needs=[login_refuses_slurmd, image_is_packed], settle=45)
def login_booted_with_it(cluster: ClusterView) -> None:
    """The login node booted with the condition."""
    if not came_with_the_boot(cluster.login):
        raise failed(
            expected="a condition that was in the VNFS",
            actual="a condition that was added after the node had booted",
            hint="The VNFS is packed with it. Reboot the node.",
            node="login",
            look="systemctl cat slurmd",
            final=stands(cluster.login),
        )


@check(step="boot", needs=[login_booted_with_it], settle=15)
def sinfo_works_all_the_same(cluster: ClusterView) -> None:
    """The command sinfo works on the login node without slurmd, also after the next boot."""
    answer = cluster.login.run("sinfo", timeout=15)
    if answer.exit_status != 0 or "error:" in answer.output:
        raise failed(
            expected="partitions and nodes, and no error",
            actual=answer.output or f"status {answer.exit_status}",
            hint="Without slurmd, sinfo needs a slurm.conf: is it in the FILES of the node?",
            node="login",
            look="sinfo",
        )
    own = cluster.login.run(f"test -e {CONFIGURATION}").exit_status == 0
    if own and not coming(cluster, "login", CONFIGURATION)[CONFIGURATION].digest:
        raise failed(
            expected=f"{CONFIGURATION} that the node gets at each boot",
            actual="a file that is only in the memory of login",
            hint="Without slurmd, sinfo needs this file: is it in the FILES of the node?",
            node="sms",
            look="wwsh provision print login",
            final=True,
        )


@check(step="boot", needs=[image_is_packed], settle=45)
def compute_node_runs_slurmd(cluster: ClusterView) -> None:
    """The first compute node has booted with the condition too, and runs slurmd."""
    node = cluster.compute[0]
    if in_the_image(cluster) and not came_with_the_boot(node):
        raise failed(
            expected=f"{node.name} booted a VNFS with the condition",
            actual="the VNFS it booted has none",
            hint=f"The VNFS is packed with it now. Reboot {node.name}.",
            node=node.name,
            look="systemctl cat slurmd",
            final=stands(node),
        )
    found = daemon(node)
    if found.active != "active":
        raise failed(
            expected="slurmd is active",
            actual=f"slurmd is {found.active}" + (": its start condition is unmet" if found.refused else ""),
            hint="All conditions must be met, unless each begins with `|`." if found.refused else "",
            node=node.name,
            look=LOOK,
        )


@check(step="aftermath", needs=[compute_node_runs_slurmd], settle=45)
def slurm_knows_of_the_reboot(cluster: ClusterView) -> None:
    """Slurm has recorded the reboot of that node."""
    node = cluster.compute[0]
    info = cluster.sms.fact(slurm.node(node.name))
    uptime = node.run("cut -d. -f1 /proc/uptime").output
    now = cluster.sms.run("date +%s").output
    booted = int(now) - int(uptime)
    if info.boot_time is None or abs(info.boot_time - booted) > SAME_BOOT:
        raise failed(
            expected="the boot time that slurmd reports is the node's last boot",
            actual="slurmd has not registered since the node booted",
            hint="slurmctld records it when slurmd on the node registers.",
            node="sms",
            look=f"scontrol show node {node.name}",
        )
