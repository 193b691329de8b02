"""What a node will boot next: checks of goals that must last ask here, not the running node alone."""

from __future__ import annotations

from collections.abc import Iterable

from lab.checks.api import CheckFailedError, failed
from lab.checks.cluster_view import ClusterView, NodeView
from lab.facts import next_boot, warewulf

UNPACKED = "An image is what the chroot was when `wwvnfs` packed it. Pack it again, then boot the node."


def image_of(cluster: ClusterView, node: str, *patterns: str) -> next_boot.VnfsImage:
    """Returns the image that a node's next boot unpacks; fails the check if there is none to read."""
    vnfs = cluster.sms.fact(warewulf.provision_print(node)).vnfs
    image = cluster.sms.fact(next_boot.vnfs_image(vnfs, *patterns))
    if image.problem:
        raise failed(
            expected=f"an image that {node} can boot",
            actual=image.problem,
            hint="`wwsh provision set` assigns a VNFS; `wwvnfs` packs it.",
            node="sms",
            look=f"wwsh provision print {node} | grep VNFS; wwsh vnfs list",
            final=True,
        )
    return image


def one_for_each_vnfs(cluster: ClusterView, nodes: Iterable[NodeView]) -> list[str]:
    """Returns the name of one node for each VNFS that these nodes boot, so that no image is read twice."""
    names = [node.name for node in nodes]
    return list(
        {cluster.sms.fact(warewulf.provision_print(name)).vnfs: name for name in reversed(names)}.values()
    )


def bootstrap_of(cluster: ClusterView, node: str) -> next_boot.Bootstrap:
    """Returns the bootstrap that a node's next boot starts with; fails the check if there is none to read."""
    name = cluster.sms.fact(warewulf.provision_print(node)).bootstrap
    found = cluster.sms.fact(next_boot.bootstrap(name))
    if found.problem:
        raise failed(
            expected=f"a bootstrap that {node} can boot",
            actual=found.problem,
            hint="`wwsh provision set` assigns a bootstrap; `wwbootstrap` builds it.",
            node="sms",
            look=f"wwsh provision print {node} | grep BOOTSTRAP; wwsh bootstrap list",
            final=True,
        )
    return found


def not_packed(cluster: ClusterView, node: str, path: str, *, expected: str = "") -> CheckFailedError:
    """Makes the failure of a check because the image of a node lacks a file of its chroot, or has another."""
    vnfs = cluster.sms.fact(warewulf.provision_print(node)).vnfs
    return failed(
        expected=expected or f"/{path} in the image that {node} boots, as it is in the chroot",
        actual=f"the image of {vnfs} is older than the chroot: it has no such /{path}",
        hint=UNPACKED,
        node="sms",
        look=f"ls -l --time-style=full-iso /srv/warewulf/vnfs/{vnfs}",
        final=True,
    )
