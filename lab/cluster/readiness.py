"""Named probes: what `lab up` waits for, and what `lab status` shows; pure functions of one look."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum

from lab.cluster.availability import UNANSWERED, NodeAvailability
from lab.cluster.sms_look import READY_FILE, SmsReport
from lab.errors import LabError
from lab.facts import slurm
from lab.hostile_json import read_json, text_of
from lab.model import BOOTED, ClusterSpec, Node, NodeStatus, Power, Role
from lab.printable import printable_line

WAITING = "pxe"  # the node asks for an address, and gets none while it is not registered
ASKING = 5.0  # seconds without an answer after which a node counts as waiting; earlier, one may still come
SET_UP = 'test -s "${RACKLING_ROOT:-}/run/rackling/ready"'  # true once the SMS has been set up
IN_SLURM = "in Slurm"  # in front of a state that is not idle: "in Slurm: down: fan"
REFUSED = ("no boot script", "told to boot")  # the chassis's ROM, when DHCP answered but nothing boots
REBOOTED = "Node unexpectedly rebooted"  # slurmctld's reason for a node that rebooted without its order
ORDERED = "reboot issued"  # how the reason ends that slurmctld gives a node it reboots, and keeps afterwards
CLOCK_SLACK = 3  # seconds: stages and Slurm both count whole seconds


class ProbeResult(Enum):
    """What a probe found. UNKNOWN: it could not look; never shown as ready."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


class Expectation(Enum):
    """Whether waiting can change a result."""

    OPEN = "open"  # may become yes by itself
    LEFT = "left"  # an operator set it; reported, not waited for
    HOPELESS = "hopeless"  # will not become yes; waiting ends


@dataclass(frozen=True)
class Reading:
    """The result of one probe on one node, with its evidence in one line that may be shown."""

    node: str
    probe: str
    answer: ProbeResult
    evidence: str = ""
    outlook: Expectation = Expectation.OPEN

    def __post_init__(self) -> None:
        object.__setattr__(self, "evidence", printable_line(self.evidence))

    @property
    def settled(self) -> bool:
        """Whether there is nothing more to wait for."""
        return self.answer is ProbeResult.YES or self.outlook is Expectation.LEFT


@dataclass(frozen=True)
class ClusterSnapshot:
    """Everything that one look at the lab found."""

    statuses: Mapping[str, NodeStatus]
    sms: SmsReport
    systems: Mapping[str, str] = field(default_factory=dict)  # login nodes: system state, or an error
    powered: frozenset[str] = frozenset()  # nodes that this command powered on …
    elapsed: float = 0.0  # … this many seconds ago, or later
    took: float = 0.0  # seconds that the look itself took: so far may clocks read in it be apart
    saved_states: Mapping[str, NodeAvailability] = field(default_factory=dict)
    """Availability of nodes in a snapshot that was restored."""
    restored_nodes: frozenset[str] = frozenset()  # nodes whose availability has been restored since
    available_before: frozenset[str] = frozenset()  # nodes that took jobs before they were powered on
    reset: frozenset[str] = frozenset()  # nodes that a person had reset: they go into service


def evaluate(spec: ClusterSpec, view: ClusterSnapshot, names: Iterable[str]) -> tuple[Reading, ...]:
    """One reading for each node: its first probe that is not YES, or its last one."""
    found: list[Reading] = []
    for name in names:
        reading: Reading | None = None
        for reading in _probes(spec.node(name), view):
            if reading.answer is not ProbeResult.YES:
                break
        if reading is not None:
            found.append(reading)
    return tuple(found)


def decided(readings: Sequence[Reading]) -> bool:
    """Whether waiting is over: all settled, or one that never will be."""
    if any(reading.outlook is Expectation.HOPELESS for reading in readings):
        return True
    return all(reading.settled for reading in readings)


def nodes_to_resume(view: ClusterSnapshot) -> tuple[str, ...]:
    """Nodes that are out of service because this command powered them on, and those that were reset."""
    known = [info for name, info in sorted((view.sms.nodes or {}).items()) if name in view.powered]
    due = {True: _reset_is_due, False: _our_doing}
    return tuple(info.name for info in known if due[info.name in view.reset](info, view))


def nodes_to_put_back(view: ClusterSnapshot) -> dict[str, NodeAvailability]:
    """Nodes whose availability differs from the restored snapshot's, and what it must become."""
    wrong: dict[str, NodeAvailability] = {}
    for name, wanted in view.saved_states.items():
        info = (view.sms.nodes or {}).get(name)
        status = view.statuses.get(name)
        if info is None or status is None or name not in view.powered - view.restored_nodes:
            continue
        booted = status.stage == BOOTED and _registered_since_boot(status, info, view)
        if booted and not wanted.holds(info):
            wrong[name] = wanted
    return wrong


def _our_doing(info: slurm.NodeInfo, view: ClusterSnapshot) -> bool:
    """Whether a node is DOWN because this command powered it on.

    The lab powers nodes on without telling slurmctld, which then takes them out of service ("Node
    unexpectedly rebooted"). An operator would resume them, and so does the lab. But a node that was down
    before, or that somebody took out of service, must stay so: exercises are about such nodes. The reason
    alone cannot tell, because slurmctld keeps an older reason and its time when it sets a node DOWN. So a
    node that took jobs before it was powered on counts whatever its reason says, and so does one whose reason
    is left from a reboot that slurmctld was asked for.
    """
    if info.name not in view.powered or info.name in view.saved_states or info.state != "DOWN":
        return False
    if info.name in view.available_before or info.reason.endswith(ORDERED):
        return True
    powered_on = (view.sms.clock or 0) - view.elapsed - view.took - CLOCK_SLACK
    recent = info.reason_time is not None and info.reason_time >= powered_on
    return recent and info.reason.startswith(REBOOTED)


def _reset_is_due(info: slurm.NodeInfo, view: ClusterSnapshot) -> bool:
    """Whether a node that was reset is back and still out of service.

    Not earlier: slurmctld takes a node out of service again when it registers after a reboot of ours.
    """
    status = view.statuses.get(info.name)
    if info.name not in view.reset - view.restored_nodes or status is None or status.stage != BOOTED:
        return False
    return _taken_out(info) and _registered_since_boot(status, info, view)


def _taken_out(info: slurm.NodeInfo) -> bool:
    return info.state == "DOWN" or "DRAIN" in info.flags


def _probes(node: Node, view: ClusterSnapshot) -> Iterator[Reading]:
    status = view.statuses.get(node.name, NodeStatus(node.name, Power.ABSENT))
    yield _chassis(status)
    if node.role is Role.SMS:
        yield from _sms_probes(node.name, status, view.sms)
    elif node.role in (Role.OUTSIDE, Role.CLIENT, Role.RUNNER):
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
        return Reading(status.name, "booted", ProbeResult.UNKNOWN, "it has not reported its boot stage")
    return Reading(status.name, "booted", ProbeResult.NO, f"stage {stage}")


def _waits(status: NodeStatus, *, answered: bool) -> Reading:
    """A learner may have registered the node; then it waits only if DHCP answers and nothing boots."""
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
    yield _controller(name, sms)


def _said(name: str, probe: str, text: str, good: Callable[[str], bool]) -> Reading:
    if not text:
        return Reading(name, probe, ProbeResult.UNKNOWN, "no output")
    return Reading(name, probe, ProbeResult.YES) if good(text) else Reading(name, probe, ProbeResult.NO, text)


def _controller(name: str, sms: SmsReport) -> Reading:
    """A service that is stopped on an SMS that starts nothing more was stopped by somebody, or has failed."""
    found = _said(name, "slurmctld answers", sms.controller, lambda text: "is UP" in text)
    started = sms.system in ("running", "degraded")
    stopped = sms.controller.endswith(("service is inactive", "service is failed"))
    return replace(found, outlook=Expectation.HOPELESS) if started and stopped else found


def _set_up(name: str, ready: str) -> Reading:
    probe = "set up"
    if not ready:
        return Reading(name, probe, ProbeResult.NO, "its first-boot set-up is still running")
    try:
        result = text_of(read_json(ready)["result"])
    except (ValueError, KeyError, TypeError):
        return Reading(name, probe, ProbeResult.UNKNOWN, f"{READY_FILE} cannot be read: {ready[:80]}")
    if result == "ok":
        return Reading(name, probe, ProbeResult.YES)
    return Reading(name, probe, ProbeResult.NO, result, Expectation.HOPELESS)


def _system(name: str, view: ClusterSnapshot) -> Reading:
    text = view.systems.get(name, "").rpartition("\n")[2]  # a profile may print something first
    probe = "system runs"
    if text in ("running", "degraded"):
        return Reading(name, probe, ProbeResult.YES, text)
    known = text in ("initializing", "starting", "maintenance", "stopping")
    return Reading(name, probe, ProbeResult.NO if known else ProbeResult.UNKNOWN, text or "no output")


def _slurm(name: str, status: NodeStatus, view: ClusterSnapshot) -> Reading:
    probe = "idle in Slurm"
    if view.sms.nodes is None:
        return Reading(name, probe, ProbeResult.UNKNOWN, view.sms.trouble or "slurmctld does not answer")
    info = view.sms.nodes.get(name)
    if info is None:
        return Reading(name, probe, ProbeResult.NO, "slurmctld has no node of that name")
    # slurmctld keeps the last reason of a node that is back in service. `sinfo -R` leaves it out, too.
    why = "" if info.takes_jobs else info.reason
    told = f"{info.label.lower()}: {why}" if why else info.label.lower()
    if not _registered_since_boot(status, info, view):
        return Reading(name, probe, ProbeResult.NO, "slurmd has not registered since the node booted")
    if (
        name in view.saved_states
        and name not in view.restored_nodes
        and not view.saved_states[name].holds(info)
    ):
        return Reading(name, IN_SLURM, ProbeResult.NO, f"{told}; not as in the snapshot")
    if info.takes_jobs:
        return Reading(name, probe, ProbeResult.YES, told)
    passing = info.reason == UNANSWERED or _our_doing(info, view) or _reset_is_due(info, view)
    outlook = Expectation.LEFT if _taken_out(info) and not passing else Expectation.OPEN
    return Reading(name, IN_SLURM, ProbeResult.NO, told, outlook)


def _registered_since_boot(status: NodeStatus, info: slurm.NodeInfo, view: ClusterSnapshot) -> bool:
    """Whether slurmd has started since the node booted.

    Slurmctld calls a node idle long after it lost its power, so only a newer slurmd counts.

    The stage's age was read before the SMS's clock. On a slow host the look between them takes longer than
    slurmd needs to start, and a node that has registered would never count as such; so the look's duration is
    allowed for.
    """
    if info.slurmd_start is None:
        return False
    if status.since is None or view.sms.clock is None:
        return True
    return info.slurmd_start >= view.sms.clock - status.since - view.took - CLOCK_SLACK


_HINTS = {
    "chassis is on": "lab power on {node}",
    "booted": "lab console {node}",
    "waits in its PXE loop": "lab console {node}",
    "system runs": "lab shell {node} -- systemctl list-jobs",
    "set up": "lab logs {sms}",
    "DHCP server answers": "lab shell {sms}, then: systemctl status dnsmasq",
    "slurmctld answers": "lab shell {sms}, then: systemctl status munge slurmctld",
    "idle in Slurm": "lab shell {sms}, then: scontrol show node {node}",
    IN_SLURM: "lab shell {sms}, then: scontrol show node {node}",
}


def next_command(spec: ClusterSpec, reading: Reading) -> str:
    """The command to type when a probe does not become yes."""
    if reading.probe == "booted" and reading.evidence.startswith("stage pxe"):
        return f"lab shell {spec.sms.name}, then: wwsh provision print {reading.node}"
    return _HINTS[reading.probe].format(node=reading.node, sms=spec.sms.name)


def not_up(
    spec: ClusterSpec,
    readings: Iterable[Reading],
    seconds: float,
    last_line: Callable[[str], str],
    slow: str = "",
) -> LabError:
    """The error for nodes that did not come up: which, what was waited for, what was last seen.

    `slow` says how slow the host was found, if it was.
    """
    late = [reading for reading in readings if not reading.settled]
    given_up = any(reading.outlook is Expectation.HOPELESS for reading in late)
    first = next((r for r in late if r.outlook is Expectation.HOPELESS), late[0])
    who = f"node {late[0].node} was" if len(late) == 1 else f"{len(late)} nodes were"
    message = f"node {first.node} failed" if given_up else f"{who} not up after {seconds:.0f} s"
    lines: list[str] = []
    for reading in late:
        answer = "unknown" if reading.answer is ProbeResult.UNKNOWN else "not yet"
        prefix = f"{reading.node}: " if len(late) > 1 else ""
        lines.append(f"{prefix}{reading.probe}: {answer}; {reading.evidence or 'no details'}")
        if line := printable_line(last_line(reading.node)):
            lines.append(f"{prefix}last line on its console: {line}")
    if slow:
        lines.append(slow)
    return LabError(message, evidence="\n".join(lines), hint=next_command(spec, first))
