"""Going back to a state: recorded on the engine while under way, and completed by whoever comes next."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.backends.docker import assembly, engine, removal
from lab.backends.docker.container_spec import BORROWED, RESTORING
from lab.backends.docker.engine import translate_errors, volume_name
from lab.model import ClusterSpec

if TYPE_CHECKING:
    from docker import APIClient


def begin(client: APIClient, spec: ClusterSpec, name: str) -> None:
    """Records that the lab is on its way to a state."""
    end(client, spec.lab)
    labels = assembly.labels(spec, RESTORING) | {engine.SNAPSHOT: name}
    with translate_errors("recording what is restored"):
        client.create_volume(volume_name(spec.lab, RESTORING), labels=labels)


def end(client: APIClient, lab: str) -> None:
    """Records that the lab has arrived, or never set out."""
    removal.volumes(client, [volume_name(lab, RESTORING)])


def create_ephemeral_identity(client: APIClient, spec: ClusterSpec) -> None:
    """Makes the folder for keys that no lab has; the SMS fills it when it boots."""
    with translate_errors("making an ephemeral identity"):
        client.create_volume(volume_name(spec.lab, BORROWED), labels=assembly.labels(spec, "volume"))


def remove_ephemeral_identity(client: APIClient, lab: str) -> None:
    """Throws an ephemeral identity away."""
    removal.volumes(client, [volume_name(lab, BORROWED)])
