"""The accounts of people in a lab, and which of them works on a node."""

from __future__ import annotations

from lab.model import Role

LEARNER = "user1"
USERS = (LEARNER, "user2", "root")
"""Who may open a shell; the head node's set-up makes the first two (lab/guest/setup/identity.py)."""


def default_user(role: Role) -> str:
    """Returns user1 for nodes where learners work, else root: compute nodes admit users only with a job."""
    return LEARNER if role in (Role.SMS, Role.LOGIN, Role.CLIENT) else "root"
