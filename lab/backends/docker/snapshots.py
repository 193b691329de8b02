"""Snapshots: the SMS's disk as an image, shared storage as a folder of the lab's snapshot volume."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from lab.backends.base import Say
from lab.backends.docker import engine, inspection, removal, switchboard
from lab.backends.docker.engine import container_name, explained, lab_filter
from lab.errors import LabError, UsageError
from lab.model import Power

if TYPE_CHECKING:
    from docker import APIClient

HANDOUT = "handout"  # always there: the lab as it was first made, from its image and its kept identity
NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}\Z")


def take(client: APIClient, lab: str, name: str, say: Say) -> None:
    """Keeps the lab's state under a name; the SMS stands still for a moment meanwhile."""
    if name == HANDOUT or not NAME.match(name):
        raise UsageError(
            f"a snapshot cannot be called {name!r}",
            hint="use small letters, digits, - _ and . ; `handout` is taken by the lab's first state",
        )
    spec = inspection.spec(client, lab)
    if spec is None:
        raise LabError(f"there is no lab called {lab}", hint="lab up")
    on = sorted(
        status.name for status in switchboard.stages(client, lab).values() if status.power is Power.ON
    )
    say("copying shared storage")
    switch = container_name(lab, "switch")
    switchboard.execute(client, switch, ["sh", "-c", _COPY, "copy", "/volumes/snapshots", name])
    say(f"keeping the disk of {spec.sms.name}")
    sms = container_name(lab, spec.sms.name)
    labels = {
        engine.LAB: lab,
        engine.PART: "snapshot",
        engine.SNAPSHOT: name,
        engine.POWERED: json.dumps(on),
    }
    former = [entry["Id"] for entry in _images(client, lab) if entry["Labels"][engine.SNAPSHOT] == name]
    with explained(f"keeping the disk of {spec.sms.name}"):
        client.commit(
            sms,
            repository=_repository(lab),
            tag=name,
            changes=[f"LABEL {key}={json.dumps(value)}" for key, value in labels.items()],
        )
    removal.images(client, former)


# Aside first, then renamed: a copy that was cut short is never taken for a snapshot.
_COPY = """set -e; cd "$1"; rm -rf .new; mkdir .new
cp -a /volumes/home .new/home; cp -a /volumes/pub .new/pub
rm -rf "./$2"; mv .new "./$2"
"""

# The folders themselves stay: nodes have them mounted.
_PUT_BACK = """set -e
for use in home pub; do
    find /volumes/$use -mindepth 1 -maxdepth 1 -exec rm -rf {} +
    if [ -d "$1/$use" ]; then cp -a "$1/$use/." /volumes/$use/; fi
done
"""


def find(client: APIClient, lab: str, name: str) -> tuple[str | None, frozenset[str] | None]:
    """The image of a snapshot and the nodes that were on; (None, None) for the handout."""
    if name == HANDOUT:
        return None, None
    for entry in _images(client, lab):
        if entry["Labels"][engine.SNAPSHOT] == name:
            powered = json.loads(entry["Labels"].get(engine.POWERED, "[]"))
            return str(entry["Id"]), frozenset(powered)
    raise UsageError(
        f"the lab {lab} has no snapshot called {name}",
        evidence="snapshots: " + " ".join(names(client, lab)),
        hint="lab snapshot --list",
    )


def put_storage_back(client: APIClient, lab: str, name: str) -> None:
    """Replaces what is on shared storage; the handout starts with none, the SMS's set-up fills it."""
    container = container_name(lab, "switch")
    switchboard.execute(client, container, ["sh", "-c", _PUT_BACK, "put-back", f"/volumes/snapshots/{name}"])


def names(client: APIClient, lab: str) -> tuple[str, ...]:
    """Names of a lab's snapshots, oldest first, the handout before all."""
    found = sorted(_images(client, lab), key=lambda entry: int(entry["Created"]))
    return (HANDOUT, *(entry["Labels"][engine.SNAPSHOT] for entry in found))


def _repository(lab: str) -> str:
    return f"{engine.PREFIX}/snapshot-{lab}"


def _images(client: APIClient, lab: str) -> list[dict[str, Any]]:
    """The engine's listing of a lab's snapshots; one whose name a later one took is none any more."""
    with explained(f"listing the snapshots of {lab}"):
        listed = client.images(filters=lab_filter(lab, part="snapshot"))
    return [
        entry
        for entry in listed
        if f"{_repository(lab)}:{entry['Labels'][engine.SNAPSHOT]}" in (entry["RepoTags"] or ())
    ]
