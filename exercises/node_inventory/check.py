"""CPLX-1: the database as text; all compute nodes have the same settings, and the text is up to date.

The next boot of a node follows the database. So only the database is asked for the settings: neither the node
that runs nor the text is believed.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping

from lab.checks import ClusterView, check, failed
from lab.facts import warewulf

INVENTORY = "/home/user1/inventory.txt"
OWN = re.compile(r"(NAME|NODENAME|ID|.*\.(HWADDR|IPADDR|FQDN))$")  # settings that differ for each node
KERNEL = "net.ifnames=0 biosdevname=0 quiet"
FILES = {"dynamic_hosts", "group", "munge.key", "network", "passwd", "shadow"}


def settings(cluster: ClusterView) -> dict[str, dict[str, str]]:
    """All settings in the database, by node."""
    found = {}
    for row in cluster.sms.fact(warewulf.node_list):
        node = cluster.sms.fact(warewulf.node_print(row.name))
        provision = dict(cluster.sms.fact(warewulf.provision_print(row.name)).values)
        found[row.name] = {**node, **provision}
    return found


def inventory(cluster: ClusterView) -> str:
    """The learner's text; "" if there is none."""
    answer = cluster.sms.run(f"cat {INVENTORY}")
    return answer.output if answer.exit_status == 0 else ""


def tells(text: str, value: str) -> bool:
    """Whether a value is in the text by itself, not as part of a longer one."""
    comma = "," if "," in value else ""  # between the items of a list, or between the columns of a table
    return re.search(rf"(?<![\w.:{comma}]){re.escape(value)}(?![\w{comma}]|[.:]\w)", text) is not None


@check(step="write")
def inventory_names_every_node(cluster: ClusterView) -> None:
    """~/inventory.txt has the name, the MAC address and the IP address of every node."""
    text = inventory(cluster)
    if not text.strip():
        raise failed(
            expected=f"settings in {INVENTORY}",
            actual="no such file, or an empty one",
            hint="`wwsh node print` and `wwsh provision print` show all settings; `>` writes them to a file.",
            node="sms",
            look=f"cat {INVENTORY}",
        )
    for row in cluster.sms.fact(warewulf.node_list):
        missing = [value for value in (row.name, *row.macs, *row.addresses) if not tells(text, value)]
        if missing:
            raise failed(
                expected=f"{row.name} with its MAC address and its IP address",
                actual=f"missing: {', '.join(missing)}",
                hint="Without a node name, the print commands show all nodes.",
                node="sms",
                look=f"grep {row.name} {INVENTORY}",
            )


@check(step="mend")
def netmasks_fit_the_network(cluster: ClusterView) -> None:
    """The device of every node has the netmask of the internal network."""
    wanted = str(cluster.spec.network("internal").subnet.netmask)
    found = {name: values.get("eth0.NETMASK", "") for name, values in settings(cluster).items()}
    odd = {name: mask or "none" for name, mask in found.items() if mask != wanted}
    if odd:
        raise failed(
            expected=f"{wanted} on every node",
            actual=odd,
            hint="`wwsh node set` has an option for it, and needs the name of the device.",
            node="sms",
            look="wwsh node print | grep NETMASK",
        )


@check(step="mend")
def files_are_complete(cluster: ClusterView) -> None:
    """Every node is assigned the files that all nodes had in the beginning."""
    for name in settings(cluster):
        given = cluster.sms.fact(warewulf.provision_print(name)).files
        if missing := FILES - set(given):
            raise failed(
                expected=f"{name} with {', '.join(sorted(FILES))}",
                actual=f"without {', '.join(sorted(missing))}",
                hint="`wwsh provision set` can add a file to a node's list.",
                node="sms",
                look=f"wwsh provision print {name} | grep FILES",
            )


@check(step="mend")
def kernels_are_told_the_same(cluster: ClusterView) -> None:
    """Every node has the kernel arguments that all nodes had in the beginning."""
    for name in settings(cluster):
        told = cluster.sms.fact(warewulf.provision_print(name)).kargs
        if sorted(told.split()) != sorted(KERNEL.split()):
            raise failed(
                expected=f"{name}: {KERNEL}",
                actual=told or "none",
                hint="Quotes keep the words of `--kargs` together.",
                node="sms",
                look=f"wwsh provision print {name} | grep KARGS",
            )


def differences(found: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """Settings that are not equal on all nodes, with the nodes that differ."""
    keys = {key for values in found.values() for key in values if not OWN.match(key)}
    odd = {}
    for key in sorted(keys):
        counted = Counter(values.get(key, "") for values in found.values())
        if len(counted) > 1:
            usual = counted.most_common(1)[0][0]
            odd[key] = ", ".join(name for name, values in found.items() if values.get(key, "") != usual)
    return odd


@check(step="mend", needs=[netmasks_fit_the_network, files_are_complete, kernels_are_told_the_same])
def nothing_differs(cluster: ClusterView) -> None:
    """Except for names, MAC addresses and IP addresses, all compute nodes have the same settings."""
    compute = {node.name for node in cluster.compute}
    odd = differences({name: values for name, values in settings(cluster).items() if name in compute})
    if odd:
        raise failed(
            expected="no setting that differs on a compute node",
            actual={key: f"different on {names}" for key, names in odd.items()},
            hint="Did you intend to change this one?",
            node="sms",
            look="(wwsh node print; wwsh provision print) | grep = | cut -d: -f2- | sort | uniq -c | sort -n",
        )


@check(step="again", needs=[inventory_names_every_node, nothing_differs])
def inventory_is_of_now(cluster: ClusterView) -> None:
    """~/inventory.txt shows the current settings, and none of the old ones."""
    text = inventory(cluster)
    now = settings(cluster)
    masks = {values.get("eth0.NETMASK", "") for values in now.values()}
    files = {values.get("FILES", "") for values in now.values()}
    missing = [value for value in sorted(masks | files) if value and not tells(text, value)]
    if missing:
        raise failed(
            expected="the netmask and the files of every node",
            actual=f"missing: {missing[0]}",
            hint="The file needs the output of both print commands.",
            node="sms",
            look=f"cat {INVENTORY}",
        )
    old = [value for value in ("255.255.255.252", "maxcpus=1", *shorter(files)) if tells(text, value)]
    if old:
        raise failed(
            expected="the settings as they are now",
            actual=f"it still contains {', '.join(old)}",
            hint="The file was written before you fixed the node.",
            node="sms",
            look=f"grep -n {old[0]} {INVENTORY}",
        )


def shorter(lists: set[str]) -> list[str]:
    """The lists of files without the group file, as on the odd node."""
    return [
        ",".join(name for name in text.split(",") if name != "group") for text in lists if "group" in text
    ]
