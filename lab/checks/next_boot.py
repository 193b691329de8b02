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
    _require_readable(
        f"an image that {node} can boot",
        image.problem,
        hint="`wwsh provision set` assigns a VNFS; `wwvnfs` packs it.",
        look=f"wwsh provision print {node} | grep VNFS; wwsh vnfs list",
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
    _require_readable(
        f"a bootstrap that {node} can boot",
        found.problem,
        hint="`wwsh provision set` assigns a bootstrap; `wwbootstrap` builds it.",
        look=f"wwsh provision print {node} | grep BOOTSTRAP; wwsh bootstrap list",
    )
    return found


def not_in_bootstrap(cluster: ClusterView, node: NodeView) -> list[str]:
    """The modules that a node has loaded, but that the bootstrap of its next boot does not have."""
    loaded = [line.split()[0] for line in node.run("lsmod").output.splitlines()[1:]]
    return bootstrap_of(cluster, node.name).lacking(*loaded)


def not_packed(cluster: ClusterView, node: str, path: str) -> CheckFailedError:
    """Makes the failure of a check because the image of a node lacks a file of its chroot, or has another."""
    vnfs = cluster.sms.fact(warewulf.provision_print(node)).vnfs
    return failed(
        expected=f"/{path} in the image that {node} boots, as it is in the chroot",
        actual=f"the image of {vnfs} is older than the chroot: it has no such /{path}",
        hint=UNPACKED,
        node="sms",
        look=f"ls -l --time-style=full-iso /srv/warewulf/vnfs/{vnfs}",
        final=True,
    )


def _require_readable(expected: str, problem: str, *, hint: str, look: str) -> None:
    if problem:
        raise failed(expected=expected, actual=problem, hint=hint, node="sms", look=look, final=True)
