"""A node as Slurm shows it, and as a probe of the node itself shows it."""

from __future__ import annotations

import re
from dataclasses import dataclass

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,254}")
"""Names that may become arguments of commands: none of them looks like an option."""

# Each of these takes a node out of service, whatever else it is (src/common/slurm_protocol_defs.c,
# node_state_string; the names are those of `--json`). A node that is only PLANNED, RESERVED, COMPLETING or
# under MAINTENANCE still takes jobs of those for whom it is reserved.
OUT_OF_SERVICE = frozenset(
    "DOWN DRAIN ERROR FAIL FUTURE INVALID INVALID_REG NOT_RESPONDING POWERED_DOWN POWERING_DOWN POWERING_UP "
    "POWER_DOWN POWER_DRAIN REBOOT_ISSUED REBOOT_REQUESTED UNKNOWN DYNAMIC_FUTURE".split()
)
IN_SERVICE = frozenset("IDLE ALLOCATED MIXED".split())


@dataclass(frozen=True)
class Node:
    """A node as Slurm shows it. `states` holds its base state and its flags, as a set."""

    name: str
    states: frozenset[str]
    busy: bool = False
    reason: str = ""
    partitions: tuple[str, ...] = ()
    switches: tuple[str, ...] = ()

    @property
    def available(self) -> bool:
        """Whether Slurm may start jobs on it."""
        return bool(self.states & IN_SERVICE) and not self.states & OUT_OF_SERVICE

    @property
    def reboot_pending(self) -> bool:
        """A reboot was requested and waits for jobs to end."""
        return "REBOOT_REQUESTED" in self.states

    @property
    def reboot_issued(self) -> bool:
        """The node was told to reboot, and has not registered since."""
        return "REBOOT_ISSUED" in self.states

    @property
    def unknown(self) -> bool:
        """Slurm does not know it yet: for seconds after a restart of slurmctld, and after `reconfigure`."""
        return "UNKNOWN" in self.states

    @property
    def drained(self) -> bool:
        """Whether its DRAIN flag is set, by whomever."""
        return "DRAIN" in self.states

    def describe(self) -> str:
        """Its states as `scontrol show node` writes them: the base state first."""
        base = sorted(self.states & (IN_SERVICE | {"DOWN"}))
        return "+".join([*base, *sorted(self.states.difference(base))]) or "no state"


@dataclass(frozen=True)
class Probe:
    """What a node said of itself. It came from the node: text of it is shown, never obeyed."""

    boot_id: str = ""
    image: tuple[str, ...] = ()
    health: int | None = None
    says: str = ""
    error: str = ""
    """Why the probe failed; then the other fields are empty."""

    @property
    def silent(self) -> bool:
        """Whether the probe failed, so that nothing is known of the node."""
        return bool(self.error) or not self.boot_id
