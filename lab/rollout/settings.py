"""All that `start` was told, kept with the state, so that `resume` needs no options."""

from __future__ import annotations

from dataclasses import dataclass

from lab.rollout.planning.policy import Policy

SSH = "ssh -o BatchMode=yes -o ConnectTimeout=5 {node} {script}"
HEALTH = "/usr/sbin/nhc"


@dataclass(frozen=True)
class Settings:
    """The policy, and how the outside is reached. Times are in seconds."""

    policy: Policy
    probe: str = SSH
    probe_timeout: float = 20
    health: str = HEALTH
    before_wave: str = ""
    before_wave_timeout: float = 3600
    nodes: str = ""
    exclude: str = ""
    partitions: tuple[str, ...] = ()
    interval: float = 3
    slurm_patience: float = 900
