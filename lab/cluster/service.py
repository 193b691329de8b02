"""Which nodes Slurm had in service when a snapshot was taken, so that going back to it gives that back.

The controller's saved state cannot tell: it is written some seconds late (slurmctld/state_save.c), a node
that was found to have rebooted only when something else changes, and in a restored lab every node rebooted.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass

from lab.facts.slurm import NodeInfo

NOTE_FILE = "/etc/rackling/service.json"
"""On the SMS's disk while a snapshot is taken: part of the snapshot, and of nothing else."""
UNANSWERED = "Not responding"  # slurmctld's reason for a node it missed; ends with the next registration
NO_REASON = "out of service when the snapshot was taken"  # Slurm wants one
_REBOOTING = frozenset({"REBOOT_REQUESTED", "REBOOT_ISSUED"})


@dataclass(frozen=True)
class Post:
    """How one node stood: "" in service, else Slurm's word for how it was taken out, and why."""

    out: str  # "", "down" or "drain"
    reason: str = ""

    def holds(self, info: NodeInfo) -> bool:
        """Whether the node stands like that now."""
        found = post(info)
        if not self.out:
            return found is None or not found.out
        return found == self


def post(info: NodeInfo) -> Post | None:
    """How a node stands; None while that is passing."""
    if info.takes_jobs:
        return Post("")
    if info.flags & _REBOOTING or info.reason == UNANSWERED:
        return None
    if "DRAIN" in info.flags:
        return Post("drain", info.reason)
    return Post("down", info.reason) if info.state == "DOWN" else None


def write(snapshot: str, nodes: Mapping[str, NodeInfo]) -> str:
    """The note that goes into a snapshot."""
    posts = {name: found for name, found in ((n, post(info)) for n, info in nodes.items()) if found}
    table = {name: {"out": found.out, "reason": found.reason} for name, found in posts.items()}
    return json.dumps({"snapshot": snapshot, "nodes": table})


def read(text: str, snapshot: str) -> dict[str, Post]:
    """The posts noted in that snapshot; none when the note is another's, or none."""
    try:
        found = json.loads(text)
        if found["snapshot"] != snapshot:
            return {}
        return {str(name): Post(str(p["out"]), str(p["reason"])) for name, p in found["nodes"].items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}


def orders(wanted: Post, info: NodeInfo) -> tuple[str, ...]:
    """What `scontrol update nodename=…` must be told, in turn, for a node to stand as noted."""
    if wanted.holds(info):
        return ()
    if not wanted.out:
        return ("state=resume",)
    take_out = f"state={wanted.out} reason={shlex.quote(wanted.reason or NO_REASON)}"
    return (take_out,) if info.takes_jobs else ("state=resume", take_out)
