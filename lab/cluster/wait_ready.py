"""Waits until a node that is coming up can be used, before something is typed into it."""

from __future__ import annotations

from lab.cluster.cluster import LOOK_SECONDS, Cluster
from lab.cluster.readiness import SET_UP
from lab.errors import LabError
from lab.model import BOOTED, Power
from lab.polling import Clock, Sleep, monotonic, pause, wait_for, with_reason
from lab.process import ProcessTimeout

SECONDS = 90.0
NO_ANSWER = "it did not answer in time"


def await_entry(
    cluster: Cluster, name: str, seconds: float = SECONDS, *, clock: Clock = monotonic, sleep: Sleep = pause
) -> None:
    """Waits until a node can be used; a LabError with its state when that takes longer than the limit."""
    lacks = lacking(cluster, name)
    if not lacks:
        return
    cluster.say(f"waiting for {name} to come up ({lacks})")
    limit = cluster.backend.host_speed.limit(seconds, clock=clock)
    lacks = wait_for(lambda: lacking(cluster, name), limit, clock, sleep, done=lambda found: not found)
    if lacks:
        raise LabError(
            f"{name} cannot be used yet: not up within {limit.waited:g} s",
            evidence=with_reason(lacks, limit),
            hint=f"lab console {name} shows how far its boot is; lab status shows when it is up",
        )


def lacking(cluster: Cluster, name: str) -> str:
    """What a node still waits for until it can be used; "" for nothing."""
    found = {status.name: status for status in cluster.backend.status(cluster.spec.lab)}[name]
    if found.power is not Power.ON:
        raise LabError(f"{name} cannot be entered: its power is off", hint=f"lab power on {name}")
    if found.stage != BOOTED:
        return f"stage {found.stage}: {found.detail}" if found.detail else f"stage {found.stage}"
    if name != cluster.spec.sms.name:
        return ""
    try:
        done = cluster.node(name).execute(SET_UP, timeout=LOOK_SECONDS)
    except ProcessTimeout:
        return NO_ANSWER  # a node that is busy booting is no reason to give up
    return "its set-up is still running" if done.status else ""
