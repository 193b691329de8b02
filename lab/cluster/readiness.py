"""Named probes with three answers: what `lab up` waits for, and what `lab status` shows."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum

from lab.cluster.availability import AVAILABILITY_FILE, UNANSWERED, NodeAvailability
from lab.errors import LabError
from lab.facts import slurm
from lab.facts.fact import Fact
from lab.model import ClusterSpec, Node, NodeStatus, Power, Role

BOOTED = "init"  # the boot agent's last stage: it has handed over to the node's own system
WAITING = "pxe"  # asking for an address; nobody answers while the node is not registered
ASKING = 5.0  # seconds of silence after which that is so; before, it may yet be answered
SET_UP = 'test -s "${RACKLING_ROOT:-}/run/rackling/ready"'  # once the SMS has been set up
NOT_BOOTED = "the SMS has not booted"
SYSTEM = "systemctl is-system-running"  # what a login node is asked
READY_FILE = "/run/rackling/ready"
RESERVATIONS = "/etc/warewulf/dnsmasq.hosts"  # a line a card: MAC, address, name
REFUSED = ("no boot script", "told to boot")  # how the chassis's ROM says that DHCP answered in vain
REBOOTED = "Node unexpectedly rebooted"  # slurmctld's reason for a node that was powered on behind its back
ORDERED = "reboot issued"  # the end of its reason for a node that was told to reboot, and long after
TOLD = "slurmctld is UP"  # in the words of `scontrol ping`, which one that tells of its nodes is not asked
CLOCK_SLACK = 3  # seconds: stages and Slurm both count whole seconds


class ProbeResult(Enum):
    """What a probe found; UNKNOWN means that it could not look, and is never shown as well."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


class Expectation(Enum):
    """Whether waiting can change an answer."""

    OPEN = "open"  # it may become yes by itself
    LEFT = "left"  # a person set it so; it is told, not waited for
    HOPELESS = "hopeless"  # it will not become yes; waiting is over


@dataclass(frozen=True)
class Reading:
    """The answer of one probe at one node, with its evidence."""

    node: str
    probe: str
    answer: ProbeResult
    evidence: str = ""
    outlook: Expectation = Expectation.OPEN

    @property
    def settled(self) -> bool:
        """Whether there is nothing more to wait for."""
        return self.answer is ProbeResult.YES or self.outlook is Expectation.LEFT


@dataclass(frozen=True)
class SmsReport:
    """What one command on the SMS told; `trouble` when it could not be asked."""

    trouble: str = ""
    system: str = ""
    ready: str = ""
    dhcp: str = ""
    controller: str = ""
    clock: int | None = None
    nodes: Mapping[str, slurm.NodeInfo] | None = None
    service: str = ""  # the note of a snapshot, where it came with one
    known: frozenset[str] = frozenset()  # MACs that its DHCP server answers


@dataclass(frozen=True)
class ClusterSnapshot:
    """All that one look at the lab found."""

    statuses: Mapping[str, NodeStatus]
    sms: SmsReport
    systems: Mapping[str, str] = field(default_factory=dict)  # login nodes: system state, or why not
    powered: frozenset[str] = frozenset()  # nodes that we powered on …
    elapsed: float = 0.0  # … this many seconds ago, or later
    saved_states: Mapping[str, NodeAvailability] = field(
        default_factory=dict
    )  # how nodes stood in a restored snapshot
    restored_nodes: frozenset[str] = frozenset()  # nodes that were put there since
    available_before: frozenset[str] = frozenset()  # nodes that took jobs when we pressed the button


_SECTION = "@@"
_LOOK = f"""
echo {_SECTION}system; systemctl is-system-running
ready=${{RACKLING_ROOT:-}}{READY_FILE}
note=${{RACKLING_ROOT:-}}{AVAILABILITY_FILE}
[ -s "$ready" ] || exit 0
[ ! -f "$note" ] || {{ echo {_SECTION}service; cat "$note"; echo; }}
IFS= read -r line <"$ready" || :; echo "{_SECTION}ready
$line"
echo {_SECTION}dhcp; systemctl is-active dnsmasq
echo {_SECTION}known; while IFS=, read -r mac rest; do echo "$mac"; done <"${{RACKLING_ROOT:-}}{RESERVATIONS}"
echo {_SECTION}clock; date +%s
export TZ=UTC0 SLURM_TIME_FORMAT=standard
if nodes=$(timeout 3 scontrol -o show nodes 2>/dev/null); then echo "{_SECTION}nodes
$nodes"
else echo {_SECTION}controller; timeout 3 scontrol ping 2>&1 | tail -n 1
fi
"""
"""Each program that it starts takes a quarter of a second where processors are emulated."""


def parse_look(status: int, output: str) -> SmsReport:
    """Reads what the one command on the SMS printed."""
    del status  # of its last part only
    sections: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in output.splitlines():
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
        clock=int(clock) if clock.isdigit() else None,
        nodes=slurm.parse_nodes(0, texts["nodes"]) if "nodes" in texts else None,
        service=texts.get("service", ""),
        known=frozenset(word.lower() for word in texts.get("known", "").split() if word.count(":") == 5),
    )


sms_probe: Fact[SmsReport] = Fact(_LOOK, parse_look)


def evaluate(spec: ClusterSpec, view: ClusterSnapshot, names: Iterable[str]) -> tuple[Reading, ...]:
    """One reading a node: its first probe that does not say yes, or its last one."""
    found: list[Reading] = []
    for name in names:
        reading: Reading | None = None
        for reading in _probes(spec.node(name), view):
            if reading.answer is not ProbeResult.YES:
                break
        if reading is not None:
            found.append(reading)
    return tuple(found)


def nodes_to_resume(view: ClusterSnapshot) -> tuple[str, ...]:
    """Nodes that Slurm took out of service because *we* powered them on, as an operator would see it."""
    nodes = view.sms.nodes or {}
    return tuple(name for name in sorted(view.powered) if name in nodes and _our_doing(nodes[name], view))


def nodes_to_put_back(view: ClusterSnapshot) -> dict[str, NodeAvailability]:
    """How nodes must stand that do not yet stand as a restored snapshot noted."""
    wrong: dict[str, NodeAvailability] = {}
    for name, wanted in view.saved_states.items():
        info = (view.sms.nodes or {}).get(name)
        status = view.statuses.get(name)
        if info is None or status is None or name not in view.powered - view.restored_nodes:
            continue
        booted = status.stage == BOOTED and _registered_since_boot(status, info, view.sms.clock)
        if booted and not wanted.holds(info):
            wrong[name] = wanted
    return wrong


def _our_doing(info: slurm.NodeInfo, view: ClusterSnapshot) -> bool:
    """Down since our button was pressed, and for that reason: an older one is somebody's lesson.

    Slurm keeps a reason that it finds, with its time: a node that was in service and is down now is our doing
    whatever its reason says, and so is one whose reason is left over from a reboot that was ordered.
    """
    if info.name not in view.powered or info.name in view.saved_states or info.state != "DOWN":
        return False
    if info.name in view.available_before or info.reason.endswith(ORDERED):
        return True
    pressed = (view.sms.clock or 0) - view.elapsed - CLOCK_SLACK
    recent = info.reason_time is not None and info.reason_time >= pressed
    return recent and info.reason.startswith(REBOOTED)


def _probes(node: Node, view: ClusterSnapshot) -> Iterator[Reading]:
    status = view.statuses.get(node.name, NodeStatus(node.name, Power.ABSENT))
    yield _chassis(status)
    if node.role is Role.SMS:
        yield from _sms_probes(node.name, status, view.sms)
    elif node.role in (Role.OUTSIDE, Role.CLIENT):
        yield _booted(status)
    elif not node.registered and status.stage != BOOTED:
        yield _waits(status, answered=node.mac in view.sms.known)
    else:
        yield _booted(status)
        yield _system(node.name, view) if node.role is Role.LOGIN else _slurm(node.name, status, view)


def _chassis(status: NodeStatus) -> Reading:
    words = {Power.ON: "", Power.OFF: "its power is off", Power.ABSENT: "the engine has no such machine"}
    answer = ProbeResult.YES if status.power is Power.ON else ProbeResult.NO
    return Reading(status.name, "chassis is on", answer, words[status.power])


def _booted(status: NodeStatus) -> Reading:
    if status.stage == BOOTED:
        return Reading(status.name, "booted", ProbeResult.YES)
    stage = f"{status.stage}: {status.detail}" if status.detail else status.stage
    if not stage:
        return Reading(status.name, "booted", ProbeResult.UNKNOWN, "it has not said at which stage it is")
    return Reading(status.name, "booted", ProbeResult.NO, f"stage {stage}")


def _waits(status: NodeStatus, *, answered: bool) -> Reading:
    """A learner may have registered the node meanwhile: then it waits only for what it lacks besides."""
    name = "waits in its PXE loop"
    asked = bool(status.detail) or (status.since is not None and status.since >= ASKING)
    if answered:
        asked = status.detail.startswith(REFUSED)
    if status.stage == WAITING and asked:
        return Reading(status.name, name, ProbeResult.YES, status.detail or "not registered")
    return Reading(status.name, name, ProbeResult.NO, f"stage {status.stage or 'unknown'}")


def _sms_probes(name: str, status: NodeStatus, sms: SmsReport) -> Iterator[Reading]:
    yield _booted(status)
    if sms.trouble:
        yield Reading(name, "system runs", ProbeResult.UNKNOWN, sms.trouble)
        return
    yield _said(name, "system runs", sms.system, lambda text: text in ("running", "degraded"))
    yield _set_up(name, sms.ready)
    yield _said(name, "DHCP server answers", sms.dhcp, lambda text: text == "active")
    yield _said(name, "slurmctld answers", sms.controller, lambda text: "is UP" in text)


def _said(name: str, probe: str, text: str, good: Callable[[str], bool]) -> Reading:
    if not text:
        return Reading(name, probe, ProbeResult.UNKNOWN, "it said nothing")
    return Reading(name, probe, ProbeResult.YES) if good(text) else Reading(name, probe, ProbeResult.NO, text)


def _set_up(name: str, ready: str) -> Reading:
    probe = "set up"
    if not ready:
        return Reading(name, probe, ProbeResult.NO, "its first-boot set-up is still at work")
    try:
        result = str(json.loads(ready)["result"])
    except (ValueError, KeyError, TypeError):
        return Reading(name, probe, ProbeResult.UNKNOWN, f"{READY_FILE} cannot be read: {ready[:80]}")
    if result == "ok":
        return Reading(name, probe, ProbeResult.YES)
    return Reading(name, probe, ProbeResult.NO, result, Expectation.HOPELESS)


def _system(name: str, view: ClusterSnapshot) -> Reading:
    text = view.systems.get(name, "").rpartition("\n")[2]  # a profile may have greeted us first
    probe = "system runs"
    if text in ("running", "degraded"):
        return Reading(name, probe, ProbeResult.YES, text)
    known = text in ("initializing", "starting", "maintenance", "stopping")
    return Reading(name, probe, ProbeResult.NO if known else ProbeResult.UNKNOWN, text or "it said nothing")


def _slurm(name: str, status: NodeStatus, view: ClusterSnapshot) -> Reading:
    probe = "idle in Slurm"
    if view.sms.nodes is None:
        return Reading(name, probe, ProbeResult.UNKNOWN, view.sms.trouble or "slurmctld does not answer yet")
    info = view.sms.nodes.get(name)
    if info is None:
        return Reading(name, probe, ProbeResult.NO, "slurmctld knows no node of that name")
    told = f"{info.label.lower()}: {info.reason}" if info.reason else info.label.lower()
    if not _registered_since_boot(status, info, view.sms.clock):
        return Reading(name, probe, ProbeResult.NO, "slurmd has not registered since the node booted")
    if (
        name in view.saved_states
        and name not in view.restored_nodes
        and not view.saved_states[name].holds(info)
    ):
        return Reading(name, probe, ProbeResult.NO, f"{told}; it stood otherwise in the snapshot")
    if info.takes_jobs:
        return Reading(name, probe, ProbeResult.YES, told)
    taken_out = info.state == "DOWN" or "DRAIN" in info.flags
    passing = info.reason == UNANSWERED or _our_doing(info, view)
    outlook = Expectation.LEFT if taken_out and not passing else Expectation.OPEN
    return Reading(name, probe, ProbeResult.NO, told, outlook)


def _registered_since_boot(status: NodeStatus, info: slurm.NodeInfo, clock: int | None) -> bool:
    """Slurmctld still calls a node idle long after its plug was pulled: only a newer slurmd counts."""
    if info.slurmd_start is None:
        return False
    if status.since is None or clock is None:
        return True
    return info.slurmd_start >= clock - status.since - CLOCK_SLACK


_HINTS = {
    "chassis is on": "lab power on {node}",
    "booted": "lab console {node}",
    "waits in its PXE loop": "lab console {node}",
    "system runs": "lab shell {node} -- systemctl list-jobs",
    "set up": "lab logs {sms}",
    "DHCP server answers": "lab shell {sms}, then: systemctl status dnsmasq",
    "slurmctld answers": "lab shell {sms}, then: systemctl status slurmctld",
    "idle in Slurm": "lab shell {sms}, then: scontrol show node {node}",
}


def next_command(spec: ClusterSpec, reading: Reading) -> str:
    """What to type when a probe does not become yes."""
    if reading.probe == "booted" and reading.evidence.startswith("stage pxe"):
        return f"lab shell {spec.sms.name}, then: wwsh provision print {reading.node}"
    return _HINTS[reading.probe].format(node=reading.node, sms=spec.sms.name)


def not_up(
    spec: ClusterSpec, readings: Iterable[Reading], seconds: float, last_line: Callable[[str], str]
) -> LabError:
    """The error for nodes that did not come up: which, what was waited for, what was last seen."""
    late = [reading for reading in readings if not reading.settled]
    given_up = any(reading.outlook is Expectation.HOPELESS for reading in late)
    first = next((r for r in late if r.outlook is Expectation.HOPELESS), late[0])
    who = f"node {late[0].node} was" if len(late) == 1 else f"{len(late)} nodes were"
    message = f"node {first.node} failed" if given_up else f"{who} not up after {seconds:.0f} s"
    lines: list[str] = []
    for reading in late:
        answer = "could not look" if reading.answer is ProbeResult.UNKNOWN else "not yet"
        prefix = f"{reading.node}: " if len(late) > 1 else ""
        lines.append(f"{prefix}{reading.probe}: {answer}; {reading.evidence or 'no evidence'}")
        if line := last_line(reading.node):
            lines.append(f"{prefix}last line on its console: {line}")
    return LabError(message, evidence="\n".join(lines), hint=next_command(spec, first))
