"""Restores Slurm's node availability: after reboots that the lab caused, and after going back to a snapshot.

The controller's saved state cannot tell which nodes were in service: it is written some seconds late
(slurmctld/state_save.c), and in a restored lab every node has rebooted. So a snapshot carries a note.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from lab.errors import LabError
from lab.facts.slurm import NodeInfo
from lab.nodes.client import NodeClient

AVAILABILITY_FILE = "/etc/rackling/service.json"
"""On the SMS's disk while a snapshot is taken: part of the snapshot, and of nothing else."""
UNANSWERED = "Not responding"  # slurmctld's reason for a node it missed; ends with the next registration
NO_REASON = "out of service when the snapshot was taken"  # Slurm wants one
_REBOOTING = frozenset({"REBOOT_REQUESTED", "REBOOT_ISSUED"})

SECONDS = 8.0  # one command on the SMS may take this long
NOTE = f'"${{RACKLING_ROOT:-}}"{AVAILABILITY_FILE}'

SAVE_SECONDS = 8
"""slurmctld writes its jobs down at most five seconds after a change (state_save.c, SAVE_MAX_WAIT)."""
SAVED = f"""\
folder=$(scontrol show config 2>/dev/null | sed -n 's/^StateSaveLocation *= *//p')
last=$(SLURM_TIME_FORMAT=%s scontrol -o show jobs 2>/dev/null | grep -oE '(Submit|Start|End)Time=[0-9]+' |
    awk -F= -v now="$(date +%s)" '$2 <= now && $2 > last {{ last = $2 }} END {{ print last + 0 }}')
until [ "$(stat -c %Y "$folder/job_state" 2>/dev/null || echo 0)" -gt "$last" ]; do
    [ "$(date +%s)" -le $((last + {SAVE_SECONDS})) ] || break
    sleep 0.2
done
"""


@dataclass(frozen=True)
class NodeAvailability:
    """How one node stood: "" in service, else Slurm's word for how it was taken out, and why."""

    out: str  # "", "down" or "drain"
    reason: str = ""

    def holds(self, info: NodeInfo) -> bool:
        """Whether the node stands like that now."""
        found = availability_of(info)
        if not self.out:
            return found is None or not found.out
        return found == self


def availability_of(info: NodeInfo) -> NodeAvailability | None:
    """How a node stands; None while that is passing."""
    if info.takes_jobs:
        return NodeAvailability("")
    if info.flags & _REBOOTING or info.reason == UNANSWERED:
        return None
    if "DRAIN" in info.flags:
        return NodeAvailability("drain", info.reason)
    return NodeAvailability("down", info.reason) if info.state == "DOWN" else None


def write(snapshot: str, nodes: Mapping[str, NodeInfo]) -> str:
    """The note that goes into a snapshot."""
    saved_states = {
        name: found for name, found in ((n, availability_of(info)) for n, info in nodes.items()) if found
    }
    table = {name: {"out": found.out, "reason": found.reason} for name, found in saved_states.items()}
    return json.dumps({"snapshot": snapshot, "nodes": table})


def read(text: str, snapshot: str) -> dict[str, NodeAvailability]:
    """How nodes stood when that snapshot was taken; empty when the note is missing or another snapshot's."""
    try:
        found = json.loads(text)
        if found["snapshot"] != snapshot:
            return {}
        return {
            str(name): NodeAvailability(str(p["out"]), str(p["reason"])) for name, p in found["nodes"].items()
        }
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}


def orders(wanted: NodeAvailability, info: NodeInfo) -> tuple[str, ...]:
    """What `scontrol update nodename=…` must be notified, in turn, for a node to stand as noted."""
    if wanted.holds(info):
        return ()
    if not wanted.out:
        return ("state=resume",)
    take_out = f"state={wanted.out} reason={shlex.quote(wanted.reason or NO_REASON)}"
    return (take_out,) if info.takes_jobs else ("state=resume", take_out)


def report(
    sms: NodeClient,
    resume: Sequence[str],
    put_back: Mapping[str, NodeAvailability],
    nodes: Mapping[str, NodeInfo],
    notified: set[str],
    say: Callable[[str], None],
) -> None:
    """Tells Slurm, once a node, which nodes to resume and which to put back; adds them to `notified`."""
    late = tuple(name for name in resume if name not in notified)
    if late and sms.update_nodes(late, "state=resume").ok:
        notified.update(late)
        say(f"told Slurm that {', '.join(late)} rebooted on purpose")
    for name, wanted in put_back.items():
        if all(sms.update_nodes((name,), order).ok for order in orders(wanted, nodes[name])):
            notified.add(name)
            say(f"told Slurm that {name} is {wanted.out or 'in service'} as it was")


def write_note(sms: NodeClient, snapshot: str, nodes: Mapping[str, NodeInfo]) -> bool:
    """Writes down on the SMS which nodes Slurm has in service; says whether that worked."""
    text = shlex.quote(write(snapshot, nodes))
    command = f"mkdir -p $(dirname {NOTE}) && (umask 077; printf '%s' {text} >{NOTE})"
    return bool(nodes) and _tried(sms, command)


def await_saved_jobs(sms: NodeClient) -> None:
    """Waits until slurmctld has written down what became of jobs.

    A disk that is kept before it has would come back with jobs that run for ever: nobody is left who waits
    for an interactive one, and who could tell that it ended.
    """
    _tried(sms, SAVED, SECONDS + SAVE_SECONDS)


def remove_note(sms: NodeClient) -> None:
    """Removes the note; where that fails it is of no harm, for it names its snapshot."""
    _tried(sms, f"rm -f {NOTE}")


def _tried(sms: NodeClient, command: str, seconds: float = SECONDS) -> bool:
    try:
        return sms.run(command, timeout=seconds).ok
    except LabError:
        return False
