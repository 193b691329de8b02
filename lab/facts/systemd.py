"""Facts about systemd: the state of units and of the whole system."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from lab.facts.fact import Fact, FactError, require_success

_KEYS = "Id,LoadState,ActiveState,SubState,UnitFileState,ConditionResult,Result,ExecMainStatus"


@dataclass(frozen=True)
class Unit:
    """One unit in the output of `systemctl show`."""

    name: str
    load: str  # loaded, not-found, masked …
    active: str  # active, inactive, failed, activating …
    sub: str
    enabled: str  # enabled, disabled, static …
    condition: bool  # whether its conditions were met at the last start
    result: str
    exit_status: int


@dataclass(frozen=True)
class SystemState:
    """State of the whole system: running, degraded, starting, stopping, offline …"""

    state: str

    @property
    def up(self) -> bool:
        """Whether the boot is complete; `degraded` counts, since the system runs although a unit failed."""
        return self.state in ("running", "degraded")


def unit(name: str) -> Fact[Unit]:
    """The state of one unit; the `load` of a unit that does not exist is `not-found`."""
    command = f"systemctl show {shlex.quote(name)} -p {_KEYS}"

    def parse(status: int, output: str) -> Unit:
        require_success(command, status, output)
        found = dict(line.partition("=")[::2] for line in output.splitlines() if "=" in line)
        if "ActiveState" not in found:
            raise FactError(f"`{command}` printed no ActiveState", status, output)
        return Unit(
            name=found.get("Id", name),
            load=found.get("LoadState", ""),
            active=found["ActiveState"],
            sub=found.get("SubState", ""),
            enabled=found.get("UnitFileState", ""),
            condition=found.get("ConditionResult") == "yes",
            result=found.get("Result", ""),
            exit_status=int(found.get("ExecMainStatus") or 0),
        )

    return Fact(command, parse)


def _system(status: int, output: str) -> SystemState:
    lines = output.strip().splitlines()
    if not lines or not lines[-1].isalpha():  # the exit status says only whether the state is "running"
        raise FactError("`systemctl is-system-running` printed no state", status, output)
    return SystemState(lines[-1])


def _booted(status: int, output: str) -> int:
    require_success("uptime -s", status, output)
    if not output.strip().isdecimal():
        raise FactError("the node did not print when it booted", status, output)
    return int(output)


def _failed(status: int, output: str) -> tuple[str, ...]:
    require_success("systemctl --failed", status, output)
    return tuple(line.split()[0] for line in output.splitlines() if line.strip())


system: Fact[SystemState] = Fact("systemctl is-system-running", _system)
failed_units: Fact[tuple[str, ...]] = Fact("systemctl list-units --failed --plain --no-legend", _failed)
booted: Fact[int] = Fact(
    """t=$(systemctl show -P KernelTimestamp --timestamp=unix)
case $t in @*) echo "${t#@}" ;; *) date -d "$(uptime -s)" +%s ;; esac""",
    _booted,
)
"""When a node began to boot, in seconds since 1970, by its clock at that time.

`uptime` counts back from now, and the clock may have been set since; but containers have no other source.
"""
