"""Snapshots of a lab, and start states of all labs: images of the SMS's disk that contain shared storage."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from lab.backends.base import HANDOUT, Say, State
from lab.backends.docker import engine, inspection, node_exec, removal
from lab.backends.docker.container_spec import EPHEMERAL
from lab.backends.docker.engine import container_name, lab_filter, translate_errors, volume_name
from lab.backends.docker.inspection import STATE
from lab.backends.editions import check_snapshot_name
from lab.backends.object_names import PREFIX
from lab.errors import LabError, UsageError
from lab.model import Power

if TYPE_CHECKING:
    from docker import APIClient

    from lab.backends.docker.engine import Engine

STATES = f"{PREFIX}/{STATE}"
Entry = dict[str, Any]


def take(client: APIClient, lab: str, name: str, say: Say) -> None:
    """Saves the lab's state under a name; the SMS is paused for a moment."""
    check_snapshot_name(name)
    labels = {engine.LAB: lab, engine.PART: "snapshot"}
    _commit(client, lab, f"{_repository(lab)}:{name}", labels, say)


def save_shared(client: APIClient, lab: str, name: str, base: str, say: Say) -> None:
    """Saves the lab's state for all labs; refused if its SMS holds the lab's own secrets.

    An existing state of that name is not replaced: another lab saved it first, and labs may be based on it.
    """
    ephemeral_identity = f"{volume_name(lab, EPHEMERAL)}:"
    with translate_errors(f"looking at the SMS of {lab}"):
        found = client.inspect_container(container_name(lab, _sms(client, lab)))
    if not any(bind.startswith(ephemeral_identity) for bind in found["HostConfig"]["Binds"]):
        raise LabError(
            f"the state of {lab} cannot be saved for all labs: it holds this lab's keys and passwords",
            hint=f"lab snapshot -l {lab} {name} saves it for this lab alone",
        )
    if _named(client, STATES, name):
        return
    # An image inherits its container's labels; blank ones say that it belongs to no lab.
    blank = dict.fromkeys((engine.LAB, engine.NODE, engine.OWNER, engine.SPEC, engine.PROFILE), "")
    labels = {**blank, engine.PART: STATE, engine.BASE: base}
    _commit(client, lab, f"{STATES}:{name}", labels, say)


def _commit(client: APIClient, lab: str, tag: str, labels: dict[str, str], say: Say) -> None:
    """Commits the SMS as an image, with a copy of shared storage; replaces one of the same name."""
    sms = container_name(lab, _sms(client, lab))
    on = sorted(status.name for status in node_exec.stages(client, lab).values() if status.power is Power.ON)
    repository, _, name = tag.partition(":")
    labels = labels | {
        engine.SNAPSHOT: name,
        engine.POWERED: json.dumps(on),
        engine.CREATED: datetime.now(UTC).isoformat(timespec="milliseconds"),
    }
    former = [entry["Id"] for entry in _named(client, repository, name)]
    say("copying shared storage")
    node_exec.execute(client, sms, ["sh", "-c", _COPY])
    say("saving the disk of the SMS")
    try:
        with translate_errors("saving the disk of the SMS"):
            client.commit(
                sms,
                repository=repository,
                tag=name,
                changes=[f"LABEL {key}={json.dumps(value)}" for key, value in labels.items()],
            )
    finally:
        node_exec.execute(client, sms, ["rm", "-rf", "/kept"])
    removal.images(client, former)


# Next to the node's disk, where the node does not see it; the firmware restores it (unpack_kept). `software`
# is left out: the image provides it. An SMS of an earlier version has its volumes on its disk.
_COPY = """set -e; rm -rf /kept; mkdir -p /kept/pub /kept/disks
at=/volumes; [ -d $at/home ] || at=/disk
cp -a $at/home /kept/home; chown --reference=$at/opt/ohpc/pub /kept/pub
find $at/opt/ohpc/pub -mindepth 1 -maxdepth 1 ! -name software -exec cp -a {} /kept/pub/ \\;
/chassis/disks keep /kept/disks"""

# The folders themselves stay, as nodes have them mounted. A chassis creates a missing disk.
_EMPTY = """for use in home pub disks; do
    find /volumes/$use -mindepth 1 -maxdepth 1 ! -name software -exec rm -rf {} + || exit
done"""


def find(client: APIClient, lab: str, name: str) -> tuple[str | None, frozenset[str] | None]:
    """The image of a snapshot or start state and the nodes that were on; (None, None) for the handout."""
    if name == HANDOUT:
        return None, None
    for entry in (*_named(client, _repository(lab), name), *_named(client, STATES, name)):
        powered = json.loads(entry["Labels"].get(engine.POWERED, "[]"))
        return str(entry["Id"]), frozenset(powered)
    raise UsageError(
        f"the lab {lab} has no snapshot called {name}",
        evidence="snapshots: " + " ".join(names(client, lab)),
        hint="lab snapshot --list",
    )


def empty_storage(client: APIClient, lab: str) -> None:
    """Empties shared storage; the SMS brings the new content."""
    node_exec.execute(client, container_name(lab, "switch"), ["sh", "-c", _EMPTY])


def names(client: Engine, lab: str) -> tuple[str, ...]:
    """Names of a lab's snapshots, oldest first, the handout before all."""
    return (HANDOUT, *(entry["Labels"][engine.SNAPSHOT] for entry in _tagged(client, _repository(lab))))


def forget(client: APIClient, lab: str, name: str) -> None:
    """Removes a snapshot of a lab."""
    if name == HANDOUT:
        raise UsageError("the snapshot handout takes no space and cannot be removed")
    find(client, lab, name)
    removal.images(client, [f"{_repository(lab)}:{name}"], force=True)


def shared_states(client: Engine) -> tuple[State, ...]:
    """The start states of all labs, oldest first."""
    return tuple(
        State(entry["Labels"][engine.SNAPSHOT], entry["Labels"][engine.CREATED], _own_size(client, entry))
        for entry in _tagged(client, STATES)
    )


def delete_shared(client: APIClient, wanted: Sequence[str]) -> None:
    """Removes start states; one that a lab is based on loses its name now, and its space in a later call."""
    removal.images(client, [f"{STATES}:{name}" for name in wanted], force=True)
    with translate_errors("listing start states"):
        listed = client.images(filters=lab_filter(None, part=STATE))
    named = {entry["Id"] for entry in _tagged(client, STATES)}
    removal.images(client, [entry["Id"] for entry in listed if entry["Id"] not in named])


def outdated(client: APIClient, bases: Sequence[str]) -> tuple[str, ...]:
    """Names of the start states that were built on none of these images."""
    return tuple(
        entry["Labels"][engine.SNAPSHOT]
        for entry in _tagged(client, STATES)
        if entry["Labels"].get(engine.BASE) not in bases
    )


def _own_size(client: Engine, entry: Entry) -> int:
    """Bytes of the topmost layer alone."""
    with translate_errors("measuring a start state"):
        return int(client.history(entry["Id"])[0]["Size"])


def _sms(client: APIClient, lab: str) -> str:
    spec = inspection.spec(client, lab)
    if spec is None:
        raise LabError(f"there is no lab called {lab}", hint="lab up")
    return spec.sms.name


def _repository(lab: str) -> str:
    return f"{PREFIX}/snapshot-{lab}"


def _tagged(client: Engine, repository: str) -> list[Entry]:
    """The images under a repository, oldest first; without those whose name a later image has taken."""
    with translate_errors(f"listing {repository}"):
        listed = client.images(name=repository, filters=lab_filter(None))
    found = [
        entry
        for entry in listed
        if f"{repository}:{entry['Labels'].get(engine.SNAPSHOT)}" in (entry["RepoTags"] or ())
    ]
    return sorted(found, key=lambda entry: int(entry["Created"]))


def _named(client: Engine, repository: str, name: str) -> list[Entry]:
    """The image of that name under a repository, if there is one."""
    return [entry for entry in _tagged(client, repository) if entry["Labels"][engine.SNAPSHOT] == name]
