"""What an operator tells Slurm of nodes that booted because of us, and the note a snapshot has of it."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping

from lab.cluster import service
from lab.cluster.readiness import View, to_post, to_revive
from lab.errors import LabError
from lab.facts.slurm import NodeInfo
from lab.nodes.client import NodeHandle

SECONDS = 8.0  # one command on the SMS may take this long
NOTE = f'"${{RACKLING_ROOT:-}}"{service.NOTE_FILE}'

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


def report(sms: NodeHandle, view: View, told: set[str], say: Callable[[str], None]) -> None:
    """Tells Slurm, once a node, of nodes that are out of service because of us; notes in `told` which."""
    late = tuple(name for name in to_revive(view) if name not in told)
    if late and sms.update_nodes(late, "state=resume").ok:
        told.update(late)
        say(f"told Slurm that {', '.join(late)} rebooted on purpose")
    for name, orders in to_post(view).items():
        if all(sms.update_nodes((name,), order).ok for order in orders):
            told.add(name)
            out = view.posts[name].out
            say(f"told Slurm that {name} is {f'{out} as it was' if out else 'in service as it was'}")


def write_note(sms: NodeHandle, snapshot: str, nodes: Mapping[str, NodeInfo]) -> bool:
    """Writes down on the SMS which nodes Slurm has in service; says whether that worked."""
    text = shlex.quote(service.write(snapshot, nodes))
    command = f"mkdir -p $(dirname {NOTE}) && (umask 077; printf '%s' {text} >{NOTE})"
    return bool(nodes) and _tried(sms, command)


def await_saved_jobs(sms: NodeHandle) -> None:
    """Waits until slurmctld has written down what became of jobs.

    A disk that is kept before it has would come back with jobs that run for ever: nobody is left who waits
    for an interactive one, and who could tell that it ended.
    """
    _tried(sms, SAVED, SECONDS + SAVE_SECONDS)


def remove_note(sms: NodeHandle) -> None:
    """Removes the note; where that fails it is of no harm, for it names its snapshot."""
    _tried(sms, f"rm -f {NOTE}")


def _tried(sms: NodeHandle, command: str, seconds: float = SECONDS) -> bool:
    try:
        return sms.run(command, timeout=seconds).ok
    except LabError:
        return False
