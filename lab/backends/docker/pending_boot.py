"""A boot that nobody has seen completed: recorded on the engine, so that the next command can complete it."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from lab.backends.docker import assembly, engine, inspection
from lab.backends.docker.container_spec import BOOTING
from lab.backends.docker.engine import translate_errors, volume_name
from lab.model import ClusterSpec, PendingBoot
from lab.serialize import boot_to_json

if TYPE_CHECKING:
    from lab.backends.docker.engine import Engine


def note(client: Engine, spec: ClusterSpec, boot: PendingBoot | None) -> None:
    """Replaces the record of a boot; None removes it."""
    old = [entry["Name"] for entry in inspection.volumes(client, spec.lab, part=BOOTING)]
    name = ""
    with translate_errors("recording which nodes boot"):
        if boot is not None:
            text = boot_to_json(boot)
            name = volume_name(spec.lab, f"{BOOTING}-{hashlib.sha256(text.encode()).hexdigest()[:12]}")
            # The new one first: a readable record exists even if this is interrupted.
            client.create_volume(name, labels=assembly.labels(spec, BOOTING) | {engine.BOOT: text})
        for stale in old:
            if stale != name:
                client.remove_volume(stale, force=True)
