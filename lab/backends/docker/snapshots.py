"""Snapshots: the SMS's disk as an image, shared storage as a folder of the lab's snapshot volume."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from lab.backends.base import Say
from lab.backends.docker import engine, inspection, switchboard
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
    spec = inspection.spec_of(inspection.containers(client, lab).values())
    if spec is None:
        raise LabError(f"there is no lab called {lab}", hint="lab up")
    on = sorted(
        status.name for status in switchboard.stages(client, lab).values() if status.power is Power.ON
    )
    say("copying shared storage")
    folder = f"/volumes/snapshots/{name}"
    switchboard.execute(
        client,
        container_name(lab, "switch"),
        ["sh", "-c", _COPY, "copy", folder],
    )
    say(f"keeping the disk of {spec.sms.name}")
    sms = container_name(lab, spec.sms.name)
    labels = {
        engine.LAB: lab,
        engine.PART: "snapshot",
        engine.SNAPSHOT: name,
        engine.POWERED: json.dumps(on),
    }
    with explained(f"keeping the disk of {spec.sms.name}"):
        client.commit(
            sms,
            repository=f"{engine.PREFIX}/snapshot-{lab}",
            tag=name,
            changes=[f"LABEL {key}={json.dumps(value)}" for key, value in labels.items()],
        )


# Aside first, then renamed: a copy that was cut short is never taken for a snapshot.
_COPY = """set -e; rm -rf "$1.new"; mkdir -p "$1.new"
cp -a /volumes/home "$1.new/home"; cp -a /volumes/pub "$1.new/pub"
rm -rf "$1"; mv "$1.new" "$1"
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
    for entry in client.images(filters=lab_filter(lab, snapshot=name)):
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
    found = client.images(filters=lab_filter(lab, part="snapshot"))
    found.sort(key=lambda entry: entry["Created"])
    return (HANDOUT, *(entry["Labels"][engine.SNAPSHOT] for entry in found))
