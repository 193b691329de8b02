"""A backend without an engine: nodes are folders, their shells are real ones on this machine."""

from __future__ import annotations

import stat
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from lab.backends import unmanaged
from lab.backends.actions import Action, Stale, Verb, differences, nodes_of
from lab.backends.base import Capabilities, Finding, ImageFormat, Protection, Say, State, Storage
from lab.backends.boot_stage import boot_stage
from lab.backends.hang_up import HANG_UP, MARK
from lab.errors import LabError
from lab.host_speed import HostSpeed
from lab.lock import FileLocks
from lab.model import BOOTED, ClusterSpec, LabRecord, Node, NodeStatus, PendingBoot, Power, Role, Root

# What a node's shell finds first on its PATH; each program reads the answers from the node's folder.
PROGRAMS = {
    "systemctl": """case "$1" in
is-active)
    state=$(cat "$NODE/$2.service" 2>/dev/null || echo active)
    echo "$state"; [ "$state" = active ] ;;
list-jobs) cat "$NODE/jobs" ;;
*) cat "$NODE/system" ;;
esac""",
    "scontrol": r"""case "$*" in
*ping*) cat "$NODE/ping" ;;
*update*)
    echo "$*" >>"$NODE/updates"
    names=$(echo "${2#nodename=}" | sed 's/,/|/g') reason=${4#reason=}
    case $3 in state=down) state=DOWN ;; state=drain) state=IDLE+DRAIN ;; *) state=IDLE ;; esac
    sed -Ei "/^NodeName=($names) /{s/State=[^ ]*/State=$state/;s/Reason=.*//}" "$NODE/nodes"
    now="root@$(date -u +%FT%T)"
    [ -z "$reason" ] || sed -Ei "/^NodeName=($names) /s/\$/Reason=$reason [$now]/" "$NODE/nodes" ;;
*) grep -q UP "$NODE/ping" && cat "$NODE/nodes" ;;
esac""",
    "squeue": r"""for s; do s=${s%%"%i"*}; done; sed "s/^/$s/;s/\t/$s/g;s/\$/$s/" "$NODE/queue" 2>&-""",
    "journalctl": 'echo "journal of $NODE: $*"',
}
# The shell in front is the client; the one behind it is what `enter` leaves in a node.
WAITING = "trap : HUP INT QUIT TERM; setsid env -u " + MARK + ' "$@"; exit'
MARKED = f"exec 3<&0; {MARK}=$0 setsid sh -c '{WAITING}' sh \"$@\" <&3 3<&- & wait $!"
NODE_LINE = (
    "NodeName={name} Arch=x86_64 CoresPerSocket=1 CPUTot=2 Gres={gres} RealMemory=900 "
    "State={state} ThreadsPerCore=1 BootTime={since} SlurmdStartTime={since} {reason}"
)


@dataclass
class _FakeLab:
    """One lab of the fake engine."""

    spec: ClusterSpec
    power: dict[str, Power] = field(default_factory=dict)
    stage: dict[str, str] = field(default_factory=dict)
    made: dict[str, tuple[int, Node, Root]] = field(default_factory=dict)  # identity, and what it shows
    names: dict[str, tuple[str, ...]] = field(default_factory=dict)  # of other nodes, as a node knows them
    described: ClusterSpec | None = None  # what the SMS heads
    detail: dict[str, str] = field(default_factory=dict)
    since: dict[str, float] = field(default_factory=dict)
    console: dict[str, bytes] = field(default_factory=dict)
    snapshots: dict[str, dict[str, Power]] = field(default_factory=dict)
    disks: dict[str, dict[Path, str]] = field(default_factory=dict)  # what was in the SMS's /etc then
    ephemeral_identity: bool = False
    pending: str = ""
    boot: PendingBoot | None = None


class FakeStates:
    """Implements `lab.backends.base.SharedStates` in memory."""

    def __init__(self, backend: FakeBackend) -> None:
        self._backend = backend
        self.saved: dict[str, dict[str, Power]] = {}

    def save(self, lab: str, name: str, say: Say) -> None:
        """Remembers the power of every node, for all labs."""
        if not self._backend.found[lab].ephemeral_identity:
            raise LabError(f"the state of {lab} cannot be saved for all labs: it holds this lab's keys")
        say(f"saving {name}")
        self.saved[name] = dict(self._backend.found[lab].power)

    def list(self) -> tuple[State, ...]:
        """In the order they were saved."""
        return tuple(State(name, "2026-11-21T12:00:00+00:00", 1 << 20) for name in self.saved)

    def delete(self, names: Sequence[str]) -> None:
        """Forgets start states."""
        for name in names:
            self.saved.pop(name, None)


class FakeBackend:
    """Implements `lab.backends.base.Backend` in memory; tests bend its public dictionaries."""

    name = "docker"
    timeout_scale = 1.0
    image_format = ImageFormat.CONTAINER

    def __init__(self, root: Path) -> None:
        self.root = root
        self.locks = FileLocks(lambda: root / "locks")
        self.host_speed = HostSpeed(most=1.0)  # limits of a quiet host, however busy the test's own is
        self.found: dict[str, _FakeLab] = {}
        self.calls: list[str] = []
        self.settled: list[str] = []
        self.findings: tuple[Finding, ...] = (Finding("engine", ok=True, evidence="it answers"),)
        self.protections: tuple[Protection, ...] = ()
        self.missing: frozenset[str] = frozenset()
        self.rights_needed_for: frozenset[str] = frozenset()
        self.orphans: tuple[LabRecord, ...] = ()
        self.stuck: dict[str, tuple[str, str]] = {}  # node: stage and detail it stays at
        self.slurm: dict[str, tuple[str, str]] = {}  # node: state and reason after its next boot
        self.reason_age: dict[str, float] = {}  # node: seconds since Slurm wrote that reason down
        self.silent: set[str] = set()  # nodes that boot and never register with Slurm
        self.stubborn: set[str] = set()  # nodes that do not heed a soft power-off
        self.owner = ""
        self.strays: dict[str, tuple[str, ...]] = {}  # lab: objects with its names and without its label
        self.place = Storage(root if root.exists() else None, "remove a node")
        self.shared_states: FakeStates | None = FakeStates(self)
        self._made = 0
        self._lock = threading.Lock()

    @property
    def saved_states(self) -> dict[str, dict[str, Power]]:
        """Start states of all labs: the power of every node."""
        return self.shared_states.saved if self.shared_states else {}

    # what Backend asks for

    def probe(self) -> Capabilities:
        """Says what the test wants it to say."""
        usable = all(f.ok for f in self.findings)
        return Capabilities("fake", usable, self.findings, self.missing, lambda: self.protections)

    def storage(self) -> Storage:
        """The folder of the nodes, unless a test names another one."""
        return self.place

    def labs(self) -> tuple[LabRecord, ...]:
        """Lists the labs in memory."""
        return (*(self._record(lab) for lab in self.found.values()), *self.orphans)

    def stale(self, spec: ClusterSpec) -> tuple[Stale, ...]:
        """Compares each node with its own description; the SMS and unmanaged nodes change in place."""
        lab = self._lab(spec.lab)
        found: list[Stale] = []
        for node in spec.nodes:
            if lab.power.get(node.name, Power.ABSENT) is not Power.ABSENT:
                verb, reason = _staleness(lab, spec, node)
                found += [Stale(node.name, verb, reason)] if reason else []
        return tuple(found)

    def apply(self, spec: ClusterSpec, actions: Sequence[Action], say: Say) -> None:
        """Does to the nodes in memory what the actions say, and nothing else."""
        self._note(f"apply {'; '.join(action.text for action in actions)}")
        lab = self.found.setdefault(spec.lab, _FakeLab(spec))
        lab.spec = spec
        for name in nodes_of(actions, Verb.REMOVE, Verb.REMAKE):
            self._remove(lab, name)
        for name in nodes_of(actions, Verb.REMAKE, Verb.CREATE):
            say(f"creating {name}")
            self._make(lab, spec.node(name))
        for name in nodes_of(actions, Verb.CHANGE):
            self._describe(lab, spec.node(name))
        for name in nodes_of(actions, Verb.CONNECT, Verb.UNPAUSE):
            if name not in self.stuck:
                lab.stage[name] = BOOTED
        powered = nodes_of(actions, Verb.REMAKE, Verb.CREATE, Verb.RESTART, Verb.POWER_ON)
        for name in sorted(powered, key=lambda name: name != spec.sms.name):  # the others register with it
            if lab.power[name] is not Power.ON:
                self._boot(lab, name)

    def note_boot(self, spec: ClusterSpec, boot: PendingBoot | None) -> None:
        """Keeps it with a lab that exists."""
        if spec.lab in self.found:
            self.found[spec.lab].boot = boot

    def on_first_ready(self, lab: str, say: Say) -> None:
        """Remembers which labs it heard of."""
        del say
        self.settled.append(lab)

    def delete(self, lab: str, say: Say, nodes: Sequence[str] | None = None) -> None:
        """Forgets a lab, or some of its nodes."""
        self._note(f"delete {lab} {' '.join(nodes or ())}".rstrip())
        say(f"removing {lab}")
        self.orphans = tuple(record for record in self.orphans if record.lab != lab)
        if nodes is None:
            self.found.pop(lab, None)
            return
        for node in nodes:
            self._remove(self.found[lab], node)

    def status(self, lab: str) -> tuple[NodeStatus, ...]:
        """Says how the nodes in memory stand."""
        found = self._lab(lab)
        names = [node.name for node in found.spec.nodes]
        return tuple(self._status(found, name) for name in (*names, *sorted(set(found.made) - set(names))))

    def start(self, lab: str, nodes: Sequence[str]) -> None:
        """Boots nodes that are off."""
        self._note(f"start {' '.join(nodes)}")
        for node in nodes:
            if self._lab(lab).power[node] is not Power.ON:
                self._boot(self._lab(lab), node)

    def stop(self, lab: str, nodes: Sequence[str], *, hard: bool = False) -> None:
        """Powers nodes off, the stubborn ones only by pulling the plug."""
        self._note(f"stop{' hard' if hard else ''} {' '.join(nodes)}")
        for node in nodes:
            if hard or node not in self.stubborn:
                self._lab(lab).power[node] = Power.OFF
                self._lab(lab).stage[node] = "off"

    def shell(
        self, lab: str, node: str, command: Sequence[str] | None, *, user: str, tty: bool, mark: str = ""
    ) -> list[str]:
        """A real shell of this machine that finds the node's programs first.

        With a mark, it outlives its client and reports its command's end, as in a node.
        """
        del tty
        found = self._lab(lab)
        if found.power.get(node) is not Power.ON or found.stage.get(node) != BOOTED:
            return ["/bin/sh", "-c", f"echo 'error: {node} is not up' >&2; exit 69"]
        folder = self.folder(lab, node)
        path = f"{folder}/bin:/usr/local/bin:/usr/bin:/bin"
        surroundings = [f"PATH={path}", f"NODE={folder}", f"RACKLING_ROOT={folder}", f"WHO={user}"]
        words = ["/usr/bin/env", *surroundings, *(command or ("/bin/bash", "--norc"))]
        return ["/bin/sh", "-c", MARKED, mark, *words] if mark else words

    def hang_up(self, lab: str, node: str, mark: str) -> list[str]:
        """Ends a command on this machine."""
        del lab, node
        return [*HANG_UP, mark]

    def console(self, lab: str, node: str, *, follow: bool, tail: int | None = None) -> Iterator[bytes]:
        """Yields what a test wrote as the node's console."""
        del follow
        lines = self._lab(lab).console.get(node, b"").splitlines(keepends=True)
        yield b"".join(lines if tail is None else lines[-tail:] if tail else [])

    def attach(self, lab: str, node: str) -> list[str]:
        """A program of this machine that says what it hears."""
        if self._lab(lab).power.get(node) is not Power.ON:
            raise LabError(f"{node} is off", hint=f"lab power on {node}")
        return ["/usr/bin/env", f"NODE={self.folder(lab, node)}", "cat"]

    def snapshot(self, lab: str, name: str, say: Say) -> None:
        """Remembers the power of every node, and the SMS's /etc."""
        say(f"keeping {name}")
        self._lab(lab).snapshots[name] = dict(self._lab(lab).power)
        files = (path for path in (self.sms_folder(lab) / "etc").rglob("*") if path.is_file())
        self._lab(lab).disks[name] = {path: path.read_text() for path in files}

    def restore(self, lab: str, name: str, say: Say, *, ephemeral_identity: bool = False) -> None:
        """Gives nodes the power they had, and the SMS the /etc it had."""
        say(f"restoring {name}")
        self._note(f"restore {name}{' under an ephemeral identity' if ephemeral_identity else ''}")
        found = self._lab(lab)
        found.ephemeral_identity, found.pending = ephemeral_identity, name if ephemeral_identity else ""
        for path, text in found.disks.get(name, {}).items():
            path.write_text(text)
        for node, power in (found.snapshots | self.saved_states)[name].items():
            found.power[node], found.stage[node] = Power.OFF, "off"
            if power is Power.ON:
                self._boot(found, node)

    def snapshots(self, lab: str) -> tuple[str, ...]:
        """Names in the order they were taken."""
        return tuple(self._lab(lab).snapshots)

    def forget(self, lab: str, name: str) -> None:
        """Forgets a snapshot."""
        del self._lab(lab).snapshots[name]

    def base_id(self, spec: ClusterSpec) -> str:
        """There are no images."""
        del spec
        return "fake"

    # what tests ask for

    def folder(self, lab: str, node: str) -> Path:
        """Where a node's answers and programs are."""
        return self.root / lab / node

    def inside(self, lab: str, node: str, path: str) -> Path:
        """A path of the node: absolute ones of this machine's test folder stay what they are."""
        return Path(path) if path.startswith(str(self.root)) else self.folder(lab, node) / path.lstrip("/")

    def answer(self, lab: str, node: str, name: str, text: str) -> None:
        """Sets what one of the node's programs will print."""
        place = self.folder(lab, node) / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)

    def sms_folder(self, lab: str) -> Path:
        """The folder of a lab's SMS."""
        return self.folder(lab, self._lab(lab).spec.sms.name)

    def tell_slurm(self, lab: str, node: str, state: str, reason: str = "", *, age: float = 0.0) -> None:
        """Makes slurmctld know a node in a state, registered and judged `age` seconds ago."""
        place = self.sms_folder(lab) / "nodes"
        kept = [line for line in place.read_text().splitlines() if not line.startswith(f"NodeName={node} ")]
        when = _stamp(age)
        told = f"Reason={reason} [slurm@{_stamp(age + self.reason_age.get(node, 0.0))}]" if reason else ""
        gres = "gpu:2" if node.startswith("g") else "(null)"
        line = NODE_LINE.format(name=node, state=state, since=when, reason=told, gres=gres)
        place.write_text("\n".join([*kept, line]) + "\n")

    def _record(self, lab: _FakeLab) -> LabRecord:
        there = [name for name, power in lab.power.items() if power is not Power.ABSENT]
        running = sum(lab.power[name] is Power.ON for name in there)
        made = "2026-11-21T12:00:00+00:00"
        known = (lab.spec, lab.pending, lab.boot, self.strays.get(lab.spec.lab, ()))
        return LabRecord(lab.spec.lab, self.name, self.owner, made, tuple(there), running, *known)

    def _lab(self, name: str) -> _FakeLab:
        if name not in self.found:
            raise LabError(f"there is no lab called {name}")
        return self.found[name]

    def _status(self, lab: _FakeLab, name: str) -> NodeStatus:
        stage, detail = lab.stage.get(name, ""), lab.detail.get(name, "")
        since = f"{lab.since[name]:.0f}" if name in lab.since else ""
        return boot_stage(name, lab.power.get(name, Power.ABSENT), time.monotonic(), stage, since, detail)

    def _remove(self, lab: _FakeLab, name: str) -> None:
        for fields in (lab.power, lab.stage, lab.made, lab.names):
            fields.pop(name, None)

    def _make(self, found: _FakeLab, node: Node) -> None:
        if node.name in found.made:  # as a real engine says
            raise LabError(f"{node.name} exists already")
        lab, folder = found.spec.lab, self.folder(found.spec.lab, node.name)
        found.power[node.name] = Power.OFF
        self._made += 1
        found.made[node.name] = (self._made, node, found.spec.root)
        self._describe(found, node)
        (folder / "bin").mkdir(parents=True, exist_ok=True)
        for name, text in PROGRAMS.items():
            place = folder / "bin" / name
            place.write_text(f"#!/bin/sh\n{text}\n")
            place.chmod(place.stat().st_mode | stat.S_IXUSR)
        self.answer(lab, node.name, "system", "running\n")
        self.answer(lab, node.name, "ping", "Slurmctld(primary) at sms is UP\n")
        if node.role is Role.SMS:
            self.answer(lab, node.name, "run/rackling/ready", '{"result": "ok"}')
            self.answer(lab, node.name, "nodes", "")

    def _describe(self, lab: _FakeLab, node: Node) -> None:
        """Gives a node its present description, in place."""
        if node.role is Role.SMS:
            lab.described = lab.spec
            lab.made[node.name] = (lab.made[node.name][0], node, lab.spec.root)
        lab.names[node.name] = unmanaged.names(lab.spec, node)

    def _boot(self, lab: _FakeLab, name: str) -> None:
        node = lab.spec.node(name)
        lab.power[name] = Power.ON
        lab.since[name] = time.monotonic()
        waiting = ("pxe", f"no DHCP answer for {node.mac}: registered?")
        stage, detail = self.stuck.get(name, (BOOTED, "") if node.registered else waiting)
        lab.stage[name], lab.detail[name] = stage, detail
        if name in self.silent:
            self.tell_slurm(lab.spec.lab, name, "IDLE", age=1000.0)
        elif stage == BOOTED and node.role is Role.COMPUTE and lab.power.get(lab.spec.sms.name) is Power.ON:
            state, reason = self.slurm.get(name, ("IDLE", ""))
            self.tell_slurm(lab.spec.lab, name, state, reason)

    def _note(self, call: str) -> None:
        with self._lock:
            self.calls.append(call)


def _staleness(lab: _FakeLab, spec: ClusterSpec, node: Node) -> tuple[Verb, str]:
    """What has to be done to a node that exists, and why; the reason is "" when nothing has to."""
    _, old, root = lab.made[node.name]
    reason = differences(old, node)
    if node.role is Role.SMS and old.role is Role.SMS:
        return Verb.CHANGE, reason or ("description of the cluster" if lab.described != spec else "")
    if root is not spec.root:
        reason = ", ".join(filter(None, [reason, f"root {root.value} → {spec.root.value}"]))
    if reason:
        return Verb.REMAKE, reason
    known = lab.names[node.name] == unmanaged.names(spec, node)
    return Verb.CHANGE, "" if known else "names of the other nodes"


def _stamp(age: float) -> str:
    """A time as Slurm writes it, `age` seconds ago."""
    return datetime.fromtimestamp(time.time() - age, UTC).strftime("%Y-%m-%dT%H:%M:%S")
