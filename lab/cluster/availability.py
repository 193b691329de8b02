"""Restores Slurm's node availability: after reboots that the lab caused, and after a snapshot was restored.

The controller's saved state does not say which nodes were in service: it is written some seconds late
(slurmctld/state_save.c), and in a restored lab every node has rebooted. So a snapshot contains a file that
does.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from lab.errors import LabError
from lab.facts.slurm import NodeInfo
from lab.hostile_json import read_json, text_of
from lab.nodes.client import NodeClient
from lab.printable import printable_line

AVAILABILITY_FILE = "/etc/rackling/service.json"
"""On the SMS's disk only while a snapshot is taken, so that it is part of the snapshot."""
UNANSWERED = "Not responding"  # slurmctld's reason for a node that did not answer; a registration ends it
NO_REASON = "out of service when the snapshot was taken"  # slurmctld requires one
_REBOOTING = frozenset({"REBOOT_REQUESTED", "REBOOT_ISSUED"})

SECONDS = 8.0  # how long one command on the SMS may take
NOTE = f'"${{RACKLING_ROOT:-}}"{AVAILABILITY_FILE}'

SAVE_SECONDS = 8
"""slurmctld saves its jobs at most five seconds after a change (state_save.c, SAVE_MAX_WAIT)."""
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
    """Availability of one node: "" in service, else Slurm's state for out of service, and the reason."""

    out: str  # "", "down" or "drain"
    reason: str = ""

    def holds(self, info: NodeInfo) -> bool:
        """Whether the node's availability is this one now."""
        found = availability_of(info)
        if not self.out:
            return found is None or not found.out
        return found == self


def availability_of(info: NodeInfo) -> NodeAvailability | None:
    """Availability of a node; None in a state that ends by itself, such as a reboot."""
    if info.takes_jobs:
        return NodeAvailability("")
    if info.flags & _REBOOTING or info.reason == UNANSWERED:
        return None
    if "DRAIN" in info.flags:
        return NodeAvailability("drain", info.reason)
    return NodeAvailability("down", info.reason) if info.state == "DOWN" else None


def write(snapshot: str, nodes: Mapping[str, NodeInfo]) -> str:
    """The text of the file that goes into a snapshot."""
    saved_states = {
        name: found for name, found in ((n, availability_of(info)) for n, info in nodes.items()) if found
    }
    table = {name: {"out": found.out, "reason": found.reason} for name, found in saved_states.items()}
    return json.dumps({"snapshot": snapshot, "nodes": table})


def read(text: str, snapshot: str) -> dict[str, NodeAvailability]:
    """Availability when that snapshot was taken; empty when the file is missing or another snapshot's."""
    try:
        found = read_json(text)
        if found["snapshot"] != snapshot:
            return {}
        return {name: _noted(p["out"], p["reason"]) for name, p in found["nodes"].items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}


def _noted(out: object, reason: object) -> NodeAvailability:
    """One entry of the file, which root on the SMS may have changed: it becomes words of a command there."""
    if out not in ("", "down", "drain"):
        raise ValueError(f"{out!r} is no availability")
    return NodeAvailability(str(out), printable_line(text_of(reason)))


def orders(wanted: NodeAvailability, info: NodeInfo) -> tuple[str, ...]:
    """The arguments of `scontrol update nodename=…`, in order, that give a node the saved availability."""
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
    """Tells Slurm, once for each node, to resume it or to restore its availability; adds it to `notified`."""
    late = tuple(name for name in resume if name not in notified)
    if late and sms.update_nodes(late, "state=resume").ok:
        notified.update(late)
        say(f"resuming {', '.join(late)} in Slurm: {_why([nodes[name] for name in late])}")
    for name, wanted in put_back.items():
        if all(sms.update_nodes((name,), order).ok for order in orders(wanted, nodes[name])):
            notified.add(name)
            say(f"setting {name} in Slurm to {wanted.out or 'in service'}, as in the snapshot")


def _why(nodes: Sequence[NodeInfo]) -> str:
    """Why nodes are resumed; a drained one was not taken out by our reboot."""
    if len(nodes) == 1 and "DRAIN" in nodes[0].flags:
        return f"it was reset, and had been drained ({nodes[0].reason or 'without a reason'})"
    return f"the lab rebooted {'it' if len(nodes) == 1 else 'them'}"


def write_note(sms: NodeClient, snapshot: str, nodes: Mapping[str, NodeInfo]) -> bool:
    """Writes on the SMS which nodes Slurm has in service; returns whether that worked."""
    text = shlex.quote(write(snapshot, nodes))
    command = f"mkdir -p $(dirname {NOTE}) && (umask 077; printf '%s' {text} >{NOTE})"
    return bool(nodes) and _tried(sms, command)


def await_saved_jobs(sms: NodeClient) -> None:
    """Waits until slurmctld has saved the state of jobs that ended.

    A snapshot taken earlier would come back with jobs that run for ever: the program that waited for an
    interactive job is gone by then, and nothing else tells slurmctld that it ended.
    """
    _tried(sms, SAVED, SECONDS + SAVE_SECONDS)


def remove_note(sms: NodeClient) -> None:
    """Removes the file; failing does no harm, because the file names its snapshot."""
    _tried(sms, f"rm -f {NOTE}")


def _tried(sms: NodeClient, command: str, seconds: float = SECONDS) -> bool:
    try:
        return sms.run(command, timeout=seconds).ok
    except LabError:
        return False
