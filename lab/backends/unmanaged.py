"""What no SMS provides: addresses of external cards, and what an unmanaged machine must know."""

from __future__ import annotations

from lab.model import ClusterSpec, Node, Role

UNMANAGED = (Role.OUTSIDE, Role.CLIENT, Role.RUNNER)
"""Roles of unmanaged machines: no SMS provisions them, they boot a system of their own."""


def addresses(spec: ClusterSpec, node: Node) -> tuple[str, ...]:
    """`CARD=ADDRESS/LENGTH` of each card whose address is set by the backend, not by the SMS."""
    return tuple(
        f"{card.name}={card.address}/{spec.network(card.network).subnet.prefixlen}"
        for card in node.interfaces
        if card.network == "external" or node.role in (Role.CLIENT, Role.RUNNER)
    )


def names(spec: ClusterSpec, node: Node) -> tuple[str, ...]:
    """`ADDRESS NAME` of each node that an unmanaged machine can reach; none for managed nodes."""
    if node.role is Role.OUTSIDE:
        return tuple(f"{other.external} {other.name}" for other in spec.nodes if other.external is not None)
    if node.role in (Role.CLIENT, Role.RUNNER):
        return tuple(
            f"{other.address} {other.name}" for other in spec.nodes if other.role is not Role.OUTSIDE
        )
    return ()
