"""CPLX-1: the database as text; the compute nodes are given the same, and the text is of now."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping

from lab.checks import Cluster, check, failed
from lab.facts import warewulf

INVENTORY = "/home/user1/inventory.txt"
OWN = re.compile(r"(NAME|NODENAME|ID|.*\.(HWADDR|IPADDR|FQDN))$")  # what a node has for itself
KERNEL = "net.ifnames=0 biosdevname=0 quiet"
FILES = {"dynamic_hosts", "group", "munge.key", "network", "passwd", "shadow"}


def settings(cluster: Cluster) -> dict[str, dict[str, str]]:
    """All that the database says, by node."""
    found = {}
    for row in cluster.sms.fact(warewulf.node_list):
        node = cluster.sms.fact(warewulf.node_print(row.name))
        provision = dict(cluster.sms.fact(warewulf.provision_print(row.name)).values)
        found[row.name] = {**node, **provision}
    return found


def inventory(cluster: Cluster) -> str:
    """The learner's text; "" where there is none."""
    answer = cluster.sms.run(f"cat {INVENTORY}")
    return answer.output if answer.exit_status == 0 else ""


def tells(text: str, value: str) -> bool:
    """Whether a value stands in the text by itself, not as part of a longer one."""
    comma = "," if "," in value else ""  # between the items of a list, or between the columns of a table
    return re.search(rf"(?<![\w.:{comma}]){re.escape(value)}(?![\w{comma}]|[.:]\w)", text) is not None


@check(step="write")
def inventory_names_every_node(cluster: Cluster) -> None:
    """~/inventory.txt tells of every node: its name, its MAC and its address."""
    text = inventory(cluster)
    if not text.strip():
        raise failed(
            expected=f"a text in {INVENTORY}",
            actual="no such file, or nothing in it",
            hint="`wwsh node print` and `wwsh provision print` show all there is; `>` writes it to a file.",
            node="sms",
            look=f"cat {INVENTORY}",
        )
    for row in cluster.sms.fact(warewulf.node_list):
        missing = [value for value in (row.name, *row.macs, *row.addresses) if not tells(text, value)]
        if missing:
            raise failed(
                expected=f"{row.name} with its MAC and its address",
                actual=f"no word of {', '.join(missing)}",
                hint="Without names behind them, the print commands show all nodes.",
                node="sms",
                look=f"grep {row.name} {INVENTORY}",
            )


@check(step="mend")
def netmasks_fit_the_network(cluster: Cluster) -> None:
    """Every node's card has the netmask of the internal network."""
    wanted = str(cluster.spec.network("internal").subnet.netmask)
    found = {name: values.get("eth0.NETMASK", "") for name, values in settings(cluster).items()}
    odd = {name: mask or "none" for name, mask in found.items() if mask != wanted}
    if odd:
        raise failed(
            expected=f"{wanted} everywhere",
            actual=odd,
            hint="`wwsh node set` has an option for it, and wants to know for which card.",
            node="sms",
            look="wwsh node print | grep NETMASK",
        )


@check(step="mend")
def files_are_complete(cluster: Cluster) -> None:
    """Every node is given the files that all were given in the beginning."""
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
def kernels_are_told_the_same(cluster: Cluster) -> None:
    """No kernel is told more than all kernels were in the beginning."""
    for name in settings(cluster):
        told = cluster.sms.fact(warewulf.provision_print(name)).kargs
        if sorted(told.split()) != sorted(KERNEL.split()):
            raise failed(
                expected=f"{name}: {KERNEL}",
                actual=told or "nothing",
                hint="Quotes keep the words of `--kargs` together.",
                node="sms",
                look=f"wwsh provision print {name} | grep KARGS",
            )


def differences(found: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """Settings in which not all nodes agree, with who has what."""
    keys = {key for values in found.values() for key in values if not OWN.match(key)}
    odd = {}
    for key in sorted(keys):
        counted = Counter(values.get(key, "") for values in found.values())
        if len(counted) > 1:
            usual = counted.most_common(1)[0][0]
            odd[key] = ", ".join(name for name, values in found.items() if values.get(key, "") != usual)
    return odd


@check(step="mend", needs=[netmasks_fit_the_network, files_are_complete, kernels_are_told_the_same])
def nothing_differs(cluster: Cluster) -> None:
    """In all else than names, MACs and addresses, the compute nodes are the same."""
    compute = {node.name for node in cluster.compute}
    odd = differences({name: values for name, values in settings(cluster).items() if name in compute})
    if odd:
        raise failed(
            expected="no setting in which a compute node stands alone",
            actual={key: f"other at {names}" for key, names in odd.items()},
            hint="Did you mean to change this one?",
            node="sms",
            look="(wwsh node print; wwsh provision print) | grep = | cut -d: -f2- | sort | uniq -c | sort -n",
        )


@check(step="again", needs=[inventory_names_every_node, nothing_differs])
def inventory_is_of_now(cluster: Cluster) -> None:
    """~/inventory.txt tells what the database says now, and nothing that it said before."""
    text = inventory(cluster)
    now = settings(cluster)
    masks = {values.get("eth0.NETMASK", "") for values in now.values()}
    files = {values.get("FILES", "") for values in now.values()}
    missing = [value for value in sorted(masks | files) if value and not tells(text, value)]
    if missing:
        raise failed(
            expected="the text with every node's netmask and files",
            actual=f"no word of {missing[0]}",
            hint="Both print commands belong into it.",
            node="sms",
            look=f"cat {INVENTORY}",
        )
    old = [value for value in ("255.255.255.0", "maxcpus=1", *shorter(files)) if tells(text, value)]
    if old:
        raise failed(
            expected="the text as the database is now",
            actual=f"it still tells of {', '.join(old)}",
            hint="It was written before you mended the node.",
            node="sms",
            look=f"grep -n {old[0]} {INVENTORY}",
        )


def shorter(lists: set[str]) -> list[str]:
    """The lists of files that lack just the group file, as one node's did."""
    return [
        ",".join(name for name in text.split(",") if name != "group") for text in lists if "group" in text
    ]
