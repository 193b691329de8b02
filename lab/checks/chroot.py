"""Finds the chroot of a node on the SMS; many exercises need it."""

from __future__ import annotations

from lab.checks.api import failed
from lab.checks.cluster_view import ClusterView
from lab.facts import warewulf


def chroot_of(cluster: ClusterView, node: str) -> str:
    """Returns the folder on the SMS from which a node's VNFS is packed; fails the check if there is none."""
    vnfs = cluster.sms.fact(warewulf.provision_print(node)).vnfs
    found = [row.chroot for row in cluster.sms.fact(warewulf.vnfs_list) if row.name == vnfs]
    if not found:
        raise failed(
            expected=f"a VNFS for {node}", actual=vnfs, node="sms", look=f"wwsh provision print {node}"
        )
    return found[0]
