"""Where on the SMS the image of a node is made: asked by many exercises."""

from __future__ import annotations

from lab.checks.api import failed
from lab.checks.cluster_view import Cluster
from lab.facts import warewulf


def chroot_of(cluster: Cluster, node: str) -> str:
    """The folder on the SMS that a node's VNFS is packed from; fails the check where it has none."""
    vnfs = cluster.sms.fact(warewulf.provision_print(node)).vnfs
    found = [row.chroot for row in cluster.sms.fact(warewulf.vnfs_list) if row.name == vnfs]
    if not found:
        raise failed(
            expected=f"a VNFS for {node}", actual=vnfs, node="sms", look=f"wwsh provision print {node}"
        )
    return found[0]
