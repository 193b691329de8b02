"""What to type when Docker's engine does not answer."""

from __future__ import annotations

import grp

from lab.account import account_name

GROUP = "docker"
"""The host's group whose members may use the engine's socket (dockerd, --group)."""
NOT_RUNNING = "./quickstart starts it; lab doctor shows details"
NOT_REACHED = "docker version shows whether it answers; docker context ls lists other engines"


def no_answer_hint(evidence: str) -> str:
    """The next command where the engine does not answer: one that may not be asked needs no start."""
    if "Permission denied" not in evidence:
        return NOT_RUNNING
    user = account_name()
    try:
        member = user in grp.getgrnam(GROUP).gr_mem
    except KeyError:
        member = False
    if member:  # a login keeps the groups that it began with
        return f"newgrp {GROUP}   ({user} became a member of the group {GROUP} after this login had begun)"
    return (
        f"./quickstart; or: sudo usermod -aG {GROUP} {user}, then newgrp {GROUP}; its members can become root"
    )
