"""What no SMS gives: addresses of external cards, and all that a machine beside the cluster must know."""

from __future__ import annotations

from lab.model import ClusterSpec, Node, Role

BESIDE = (Role.OUTSIDE, Role.CLIENT)
"""Machines that no SMS provisions: they boot a system of their own."""


def addresses(spec: ClusterSpec, node: Node) -> tuple[str, ...]:
    """`CARD=ADDRESS/LENGTH` of each card that a node comes with an address for."""
    return tuple(
        f"{card.name}={card.address}/{spec.network(card.network).subnet.prefixlen}"
        for card in node.interfaces
        if card.network == "external" or node.role is Role.CLIENT
    )


def names(spec: ClusterSpec, node: Node) -> tuple[str, ...]:
    """`ADDRESS NAME` of each node that a machine beside the cluster can reach; none for other nodes."""
    if node.role is Role.OUTSIDE:
        return tuple(f"{other.external} {other.name}" for other in spec.nodes if other.external is not None)
    if node.role is Role.CLIENT:
        return tuple(
            f"{other.address} {other.name}" for other in spec.nodes if other.role is not Role.OUTSIDE
        )
    return ()
