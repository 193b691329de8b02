"""Waits for a node that is on its way up, before something is typed into it."""

from __future__ import annotations

from lab.cluster.cluster import LOOK_SECONDS, Cluster
from lab.cluster.readiness import BOOTED, SET_UP
from lab.errors import LabError
from lab.model import Power
from lab.polling import Clock, Sleep, monotonic, pause, wait_for

SECONDS = 90.0


def await_entry(
    cluster: Cluster, name: str, seconds: float = SECONDS, *, clock: Clock = monotonic, sleep: Sleep = pause
) -> None:
    """Waits until a node can be worked on; a LabError that says how it stands when it cannot be."""
    lacks = lacking(cluster, name)
    if not lacks:
        return
    cluster.say(f"waiting for {name} to come up ({lacks})")
    lacks = wait_for(
        lambda: lacking(cluster, name), clock() + seconds, clock, sleep, done=lambda found: not found
    )
    if lacks:
        raise LabError(
            f"{name} cannot be worked on yet: not up within {seconds:.0f} s",
            evidence=lacks,
            hint=f"lab console {name} shows where it is; lab status tells when it is up",
        )


def lacking(cluster: Cluster, name: str) -> str:
    """What a node still lacks until it can be worked on; "" for nothing."""
    found = {status.name: status for status in cluster.backend.status(cluster.spec.lab)}[name]
    if found.power is not Power.ON:
        raise LabError(f"{name} cannot be entered: its power is off", hint=f"lab power on {name}")
    if found.stage != BOOTED:
        return f"stage {found.stage}: {found.detail}" if found.detail else f"stage {found.stage}"
    if name == cluster.spec.sms.name and cluster.node(name).execute(SET_UP, timeout=LOOK_SECONDS).status:
        return "its set-up is still at work"
    return ""
