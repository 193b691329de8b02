"""A restore in progress: recorded on the engine, so that the next command can complete it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.backends.docker import assembly, engine, removal
from lab.backends.docker.container_spec import EPHEMERAL, RESTORING
from lab.backends.docker.engine import volume_name
from lab.model import ClusterSpec

if TYPE_CHECKING:
    from docker import APIClient


def begin(client: APIClient, spec: ClusterSpec, name: str) -> None:
    """Records that a restore of this state has begun."""
    end(client, spec.lab)
    labels = assembly.labels(spec, RESTORING) | {engine.SNAPSHOT: name}
    assembly.make_volume(client, volume_name(spec.lab, RESTORING), labels)


def end(client: APIClient, lab: str) -> None:
    """Records that no restore is in progress."""
    removal.volumes(client, [volume_name(lab, RESTORING)])


def create_ephemeral_identity(client: APIClient, spec: ClusterSpec) -> None:
    """Creates the volume for fresh keys that belong to no lab; the SMS fills it when it boots."""
    assembly.make_volume(client, volume_name(spec.lab, EPHEMERAL), assembly.labels(spec, "volume"))


def remove_ephemeral_identity(client: APIClient, lab: str) -> None:
    """Removes an ephemeral identity."""
    removal.volumes(client, [volume_name(lab, EPHEMERAL)])
