"""Going back to a state: recorded on the engine while under way, and completed by whoever comes next."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.backends.docker import assembly, engine, removal
from lab.backends.docker.container_spec import BORROWED, RESTORING
from lab.backends.docker.engine import explained, volume_name
from lab.model import ClusterSpec

if TYPE_CHECKING:
    from docker import APIClient


def begin(client: APIClient, spec: ClusterSpec, name: str) -> None:
    """Records that the lab is on its way to a state."""
    end(client, spec.lab)
    labels = assembly.labels(spec, RESTORING) | {engine.SNAPSHOT: name}
    with explained("recording what is restored"):
        client.create_volume(volume_name(spec.lab, RESTORING), labels=labels)


def end(client: APIClient, lab: str) -> None:
    """Records that the lab has arrived, or never set out."""
    removal.volumes(client, [volume_name(lab, RESTORING)])


def lend_identity(client: APIClient, spec: ClusterSpec) -> None:
    """Makes the folder for keys that no lab has; the SMS fills it when it boots."""
    with explained("making a borrowed identity"):
        client.create_volume(volume_name(spec.lab, BORROWED), labels=assembly.labels(spec, "volume"))


def take_identity_back(client: APIClient, lab: str) -> None:
    """Throws a borrowed identity away."""
    removal.volumes(client, [volume_name(lab, BORROWED)])
