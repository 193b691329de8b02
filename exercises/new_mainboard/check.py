"""TYPES-3: Warewulf has the new MAC address of c1 and all else as before, and c1 runs and takes jobs.

No wrong way holds only until the next boot: a node that nobody answers does not boot at all.
"""

from __future__ import annotations

from lab.checks import ClusterView, NodeView, check, failed
from lab.facts import slurm, warewulf

FILES = ("dynamic_hosts", "passwd", "group", "shadow", "munge.key", "network")
SSH = "ssh -o BatchMode=yes -o ConnectTimeout=3"


def repaired(cluster: ClusterView) -> NodeView:
    """The node with the new mainboard: c1."""
    return cluster.compute[0]


def cards(cluster: ClusterView, name: str, key: str) -> list[str]:
    """The values of HWADDR or IPADDR in a node object, of all its network devices."""
    found = cluster.sms.fact(warewulf.node_print(name))
    values = [value for row, value in found.items() if row.endswith(f".{key}") and value]
    return [part.lower() for value in values for part in value.split(",")]


@check(step="scan")
def mac_is_the_machines(cluster: ClusterView) -> None:
    """Warewulf has the MAC address of c1's new mainboard."""
    node = repaired(cluster)
    rows = {row.name: [mac.lower() for mac in row.macs] for row in cluster.sms.fact(warewulf.node_list)}
    known = rows.get(node.name)
    if known is not None and node.mac in known:
        return
    others = [name for name, macs in rows.items() if node.mac in macs]
    actual = ", ".join(known) if known else f"no node object called {node.name}"
    raise failed(
        expected=f"the MAC address that the firmware of {node.name} prints",
        actual=f"{actual}; {others[0]} has the address of this machine" if others else actual,
        hint="A machine that is in no node object asks several times a minute, and wwnodescan hears it.",
        node="sms",
        look=f"wwsh node print {node.name}",
    )


@check(step="scan", needs=[mac_is_the_machines])
def others_have_theirs(cluster: ClusterView) -> None:
    """Every other node has the MAC address of its own machine."""
    rows = {row.name: [mac.lower() for mac in row.macs] for row in cluster.sms.fact(warewulf.node_list)}
    wrong = {
        node.name: rows[node.name]
        for node in cluster.compute
        if node.mac not in rows.get(node.name, [node.mac])
    }
    if wrong:
        raise failed(
            expected="every node with the MAC address of its machine",
            actual={name: ", ".join(macs) or "none" for name, macs in wrong.items()},
            hint="`lab console NODE` shows the address that the firmware of a machine prints.",
            node="sms",
            look="wwsh node list",
        )


@check(step="scan", needs=[mac_is_the_machines])
def address_is_as_before(cluster: ClusterView) -> None:
    """Its IP address is the one that it had."""
    node = repaired(cluster)
    found = cards(cluster, node.name, "IPADDR")
    if node.address not in found:
        raise failed(
            expected=node.address,
            actual=found,
            hint=f"`sudo wwsh node set {node.name} --netdev=eth0 --ipaddr=…` changes it.",
            node="sms",
            look=f"wwsh node print {node.name}",
        )


@check(step="scan", needs=[mac_is_the_machines])
def provisioning_is_as_before(cluster: ClusterView) -> None:
    """It has a VNFS, a bootstrap, and the six files that every node needs."""
    name = repaired(cluster).name
    found = cluster.sms.fact(warewulf.provision_print(name))
    parts = {"VNFS": bool(found.vnfs), "bootstrap": bool(found.bootstrap)}
    missing = [
        *(part for part, there in parts.items() if not there),
        *(one for one in FILES if one not in found.files),
    ]
    if missing:
        raise failed(
            expected=("a VNFS", "a bootstrap", *FILES),
            actual=f"missing: {', '.join(missing)}",
            hint="A node that is deleted takes its settings with it. What has another compute node?",
            node="sms",
            look=f"wwsh provision print {name}",
        )


@check(step="boot", needs=[address_is_as_before, provisioning_is_as_before], settle=120)
def c1_answers(cluster: ClusterView) -> None:
    """The node with the new mainboard has booted and accepts ssh connections."""
    node = repaired(cluster)
    answer = cluster.sms.run(f"{SSH} {node.name} true")
    if answer.exit_status == 0:
        return
    state = node.state()
    raise failed(
        expected=f"ssh from the SMS opens a shell on {node.name}",
        actual=f"{node.name} is off"
        if node.is_off
        else f"stage {state.stage or 'unknown'}: {answer.output.strip()}",
        hint="Its console shows which link of the boot chain it has reached.",
        node="sms",
        look=f"lab power on {node.name}" if node.is_off else f"lab console {node.name}",
        final=node.is_off,
    )


@check(step="serve", needs=[c1_answers], settle=60)
def c1_takes_jobs(cluster: ClusterView) -> None:
    """Slurm gives it jobs again."""
    node = repaired(cluster)
    found = cluster.sms.fact(slurm.nodes)[node.name]
    if not found.takes_jobs:
        raise failed(
            expected=f"{node.name} in service",
            actual=f"{found.label}, {found.reason}",
            hint="Who drains a node resumes it.",
            node="sms",
            look="sinfo -R",
        )
