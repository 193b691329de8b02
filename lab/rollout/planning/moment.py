"""Whether an action is still right when it is taken: somebody may have acted since the look."""

from __future__ import annotations

import re

from lab.rollout.planning.actions import Action, Drain, Release, Request, Resume, Withdraw
from lab.rollout.planning.nodes import Node

TOKEN = re.compile(r"rollout:[0-9]{8}-[0-9]{6}-[0-9a-f]{4}(?: |$)")
"""How the reasons that a rollout sets begin: nobody writes that by accident."""
CHANGES_A_DRAIN = (Request, Withdraw, Release, Resume, Drain)
"""The actions that are not taken without one more look at the node."""


def foreign(node: Node) -> bool:
    """Whether somebody else set its reason, so that it is left alone. Former rollouts are not others."""
    return TOKEN.match(node.reason) is None


def still_right(action: Action, node: Node) -> bool:
    """Whether a node is as the planner saw it, as far as the drains of others go."""
    if isinstance(action, Request):
        return node.available or not foreign(node)
    if isinstance(action, Withdraw):
        return node.reboot_pending
    if isinstance(action, Release):
        return leftover(node, action.reason)
    if isinstance(action, Resume):
        return not node.available and not foreign(node)
    if isinstance(action, Drain):
        return not (node.drained and foreign(node))
    return True


def leftover(node: Node, reason: str) -> bool:
    """Whether a drain of ours stands with no request below it. `reason` is that of our drains."""
    on_its_way = node.reboot_pending or node.reboot_issued
    return node.drained and node.reason == reason and not on_its_way
