"""The one command that looks at the SMS: set-up, DHCP server, slurmctld, and all nodes in Slurm."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from lab.cluster.availability import AVAILABILITY_FILE
from lab.facts import slurm
from lab.facts.fact import Fact

NOT_BOOTED = "the SMS has not booted"
SYSTEM = "systemctl is-system-running"  # run on a login node
READY_FILE = "/run/rackling/ready"
RESERVATIONS = "/etc/warewulf/dnsmasq.hosts"  # one line for each card: MAC, address, name
TOLD = "slurmctld is UP"  # as `scontrol ping` puts it; not asked where slurmctld has just listed its nodes
SCONTROL_SECONDS = 3  # what slurmctld may take to answer one question; there are two at most in a look
_SECTION = "@@"


@dataclass(frozen=True)
class SmsReport:
    """What one command on the SMS printed; `trouble` says why it could not be run."""

    trouble: str = ""
    system: str = ""
    ready: str = ""
    dhcp: str = ""
    controller: str = ""
    clock: int | None = None
    nodes: Mapping[str, slurm.NodeInfo] | None = None
    service: str = ""  # the availability file of a restored snapshot, if there is one
    known: frozenset[str] = frozenset()  # MACs for which the DHCP server has an address


NOTED = 1 << 18  # bytes of the availability file that are read
_LOOK = f"""
echo {_SECTION}system; systemctl is-system-running
ready=${{RACKLING_ROOT:-}}{READY_FILE}
note=${{RACKLING_ROOT:-}}{AVAILABILITY_FILE}
[ -s "$ready" ] || exit 0
[ ! -f "$note" ] || {{ echo {_SECTION}service; head -c {NOTED} "$note"; echo; }}
IFS= read -r line <"$ready" || :; echo "{_SECTION}ready
$line"
echo {_SECTION}dhcp; systemctl is-active dnsmasq
echo {_SECTION}known; while IFS=, read -r mac rest; do echo "$mac"; done <"${{RACKLING_ROOT:-}}{RESERVATIONS}"
echo {_SECTION}clock; date +%s
export TZ=UTC0 SLURM_TIME_FORMAT=standard
if nodes=$(timeout SECONDS scontrol -o show nodes 2>/dev/null); then echo "{_SECTION}nodes
$nodes"
else
echo {_SECTION}controller
for unit in munge slurmctld; do
state=$(systemctl is-active $unit) || {{ echo "$unit.service is $state"; exit 1; }}
done
timeout SECONDS scontrol ping 2>&1 | head -n 1
exit 1
fi
"""
"""Few programs: each takes a quarter of a second where processors are emulated. SECONDS is filled in.

Where the controller does not answer, the look fails: it takes as long as scontrol waits, on any host.
"""


def parse_look(status: int, output: str) -> SmsReport:
    """Parses the output of the one command on the SMS."""
    del status  # that of the last section only
    sections: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in output.split("\n"):  # a reason in Slurm may hold every other line end
        if line.startswith(_SECTION):
            lines = sections.setdefault(line.removeprefix(_SECTION), [])
        else:
            lines.append(line)
    texts = {name: "\n".join(body).strip() for name, body in sections.items()}
    if "system" not in texts:
        return SmsReport(trouble=output.strip()[-200:] or "it printed nothing")
    clock = texts.get("clock", "")
    return SmsReport(
        system=texts["system"].rpartition("\n")[2],
        ready=texts.get("ready", ""),
        dhcp=texts.get("dhcp", ""),
        controller=TOLD if "nodes" in texts else texts.get("controller", ""),
        clock=int(clock) if re.fullmatch("[0-9]{1,12}", clock) else None,
        nodes=slurm.parse_nodes(0, texts["nodes"]) if "nodes" in texts else None,
        service=texts.get("service", ""),
        known=frozenset(word.lower() for word in texts.get("known", "").split() if word.count(":") == 5),
    )


def look_at_sms(slowness: float = 1.0) -> Fact[SmsReport]:
    """The one command that looks at the SMS of a host so many times slower than usual."""
    return Fact(
        _LOOK.replace("SECONDS", f"{SCONTROL_SECONDS * slowness:.0f}"), parse_look, "scontrol show nodes"
    )


sms_probe = look_at_sms()
