"""The libvirt backend: makes, powers, wires and removes a lab's virtual machines."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

from lab.backends.archives import SPEC_FILE, SPEC_FOLDER, description_refused, tar_single_file
from lab.backends.base import HANDOUT, Capabilities, Say, State
from lab.backends.editions import edition
from lab.backends.libvirt import (
    assembly,
    console_log,
    engine,
    inspection,
    removal,
    snapshots,
    ssh_channel,
    time_sync,
    user_network,
)
from lab.backends.libvirt.checkpoint_cache import CheckpointCache, CheckpointCorrupt
from lab.backends.libvirt.domain_xml import has_system_disk, profile
from lab.backends.libvirt.engine import ignore_missing
from lab.backends.libvirt.inspection import LabObject
from lab.backends.libvirt.storage import ROOT, DiskStore, LabFolder
from lab.backends.parallel import for_each_parallel
from lab.errors import LabError
from lab.host_speed import HostSpeed
from lab.model import PAUSED, UNPLUGGED, ClusterSpec, LabRecord, Node, NodeStatus, Power
from lab.polling import pause
from lab.process import run, run_bytes
from lab.serialize import spec_to_json

COPY_SECONDS = 600
FOLLOW_SECONDS = 0.5
INIT = "init"
UNMADE = "it was being made when that was interrupted: lab up begins anew"
STILL = "its processor stands still; when no other command is at work: df -h {}, then lab up"
RENEW = ["/usr/bin/python3", "-I", "-S", "/usr/lib/rackling/guest", "renew"]
BOOTED, HALF, AWAKE = "booted", "half", "awake"
"""How a lab was made that has not stood well yet: by a boot, or out of another one, in part or wholly."""


class LibvirtBackend:
    """A lab's nodes as virtual machines of the libvirt on this computer."""

    name = "libvirt"
    timeout_scale = 5.0  # where processors are emulated; where they are not, nobody waits for a limit

    def __init__(self) -> None:
        self._store = DiskStore()
        self.host_speed = HostSpeed(self.timeout_scale)

    @cached_property
    def connection(self) -> Any:
        """The daemon, connected to on first use."""
        return engine.connect()

    def probe(self) -> Capabilities:
        """Says what this computer can do, by trying it."""
        return inspection.probe()

    def labs(self) -> tuple[LabRecord, ...]:
        """Lists every lab here, orphans included."""
        return inspection.labs(self.connection)

    def create(self, spec: ClusterSpec, say: Say) -> None:
        """Makes what is missing of the lab, and powers its new machines on."""
        kvm, why = inspection.kvm_verdict()
        folder = LabFolder(spec.lab)
        if _is_half_made(folder):
            say("making the lab was interrupted: beginning anew")
            removal.lab(self.connection, spec.lab, say)
        fresh = not folder.key.exists()  # else there are disks, with a learner's work on them
        present = self._present(spec.lab)
        if fresh and present:
            say("the lab's files are gone: making it anew")
            removal.lab(self.connection, spec.lab, say)
            present = {}
        if not present and not kvm:
            say(f"processors are emulated in software, as KVM cannot be used here: {why}")
        snapshots.recover(self.connection, spec.lab, say)
        if fresh and self._put_together(spec, folder, say, kvm=kvm):
            return
        try:
            folder.make()
            if fresh:
                folder.note(folder.unsettled, BOOTED)
            else:
                folder.unsettled.unlink(missing_ok=True)  # who knows what was done there meanwhile
            self._make(spec, present, folder, say, kvm=kvm)
        except LabError:
            if fresh:  # nothing half made
                removal.lab(self.connection, spec.lab, say)
            raise

    def _make(
        self, spec: ClusterSpec, present: dict[str, LabObject], folder: LabFolder, say: Say, *, kvm: bool
    ) -> None:
        assembly.make_wires(self.connection, spec)
        gone = sorted(set(present) - {node.name for node in spec.nodes})
        stale = [node.name for node in spec.stateless if self._is_stale(present, spec, node, kvm=kvm)]
        for name in stale:
            say(f"remaking {name}: its description has changed")
        if gone:
            say("removing " + " ".join(gone))
        for name in (*gone, *stale):
            removal.machine(spec.lab, present[name].thing)
        missing = [node for node in spec.nodes if node.name not in present or node.name in stale]
        if missing:
            say("making " + " ".join(node.name for node in missing))
        for_each_parallel(missing, lambda node: self._define(spec, node, folder, kvm=kvm))
        self._power_on(spec, [node.name for node in missing], say, kvm=kvm)
        if spec.sms.name in present and self._is_stale(present, spec, spec.sms, kvm=kvm):
            self._tell_sms(spec, present[spec.sms.name], folder, say, kvm=kvm)

    def on_first_ready(self, lab: str, say: Say) -> None:
        """Keeps the first state with its memory: going back to it takes seconds, booting it minutes."""
        folder = LabFolder(lab)
        if not folder.unsettled.exists():
            return  # what stands here now is a learner's
        if folder.unsettled.read_text() == BOOTED:
            self._keep_for_others(self._spec(lab), say)
        snapshots.take(self.connection, lab, snapshots.FIRST, say)
        folder.unsettled.unlink()

    def delete(self, lab: str, say: Say, nodes: Sequence[str] | None = None) -> None:
        """Removes the lab, or only the named machines."""
        if nodes is None:
            removal.lab(self.connection, lab, say)
            return
        present = self._present(lab)
        for_each_parallel([present[node] for node in nodes if node in present],
             lambda found: removal.machine(lab, found.thing))  # fmt: skip

    def status(self, lab: str) -> tuple[NodeStatus, ...]:
        """Says how each machine stands, from libvirt's list and the consoles."""
        present = self._present(lab)
        spec = inspection.spec_of(inspection.record(self.connection, lab))
        names = [node.name for node in spec.nodes] if spec else sorted(present)
        macs = {node.name: node.mac for node in spec.nodes} if spec else {}
        if _is_half_made(LabFolder(lab)):  # its machines may run, with another lab's keys
            return tuple(NodeStatus(name, Power.ABSENT, "", UNMADE) for name in names)
        found = [self._status(lab, name, macs.get(name, ""), present) for name in names]
        if user_network.is_missing(LabFolder(lab)):
            gone = (UNPLUGGED, "the lab's switch is gone")
            found = [
                NodeStatus(one.name, one.power, *gone) if one.power is Power.ON else one for one in found
            ]
        return tuple(found)

    def start(self, lab: str, nodes: Sequence[str]) -> None:
        """Powers machines on."""
        spec = self._spec(lab)
        snapshots.recover(self.connection, lab, lambda _line: None)
        assembly.make_wires(self.connection, spec)
        self._power_on(spec, nodes, lambda _line: None, kvm=inspection.kvm_verdict()[0])

    def stop(self, lab: str, nodes: Sequence[str], *, hard: bool = False) -> None:
        """Powers machines off."""
        for_each_parallel(nodes, lambda node: self._stop(lab, node, hard=hard))

    def shell(self, lab: str, node: str, command: Sequence[str] | None, *, user: str, tty: bool) -> list[str]:
        """Returns the argument list of a host process that opens a shell or runs a command in the machine."""
        return ssh_channel.argv(lab, node, command, user=user, tty=tty)

    def console(self, lab: str, node: str, *, follow: bool, tail: int | None = None) -> Iterator[bytes]:
        """Yields what the machine wrote to its console."""
        self._machine(lab, node)
        log = LabFolder(lab).console(node)
        text = console_log.read(log, tail=1 << 30)
        yield text if tail is None else console_log.last_lines(text, tail)
        if follow:
            yield from console_log.follow(log, lambda: self._moment(lab, node))

    def attach(self, lab: str, node: str) -> list[str]:
        """Returns the argument list of a host process that connects its terminal to the machine's console."""
        if not self._machine(lab, node).active:
            raise LabError(f"{node} is off", hint=f"lab power on {node}")
        # By force: whoever was attached before, and may have gone without a word, is let go.
        return ["virsh", "-q", "-c", engine.uri(), "console", "--force", engine.domain_name(lab, node)]

    def copy_in(self, lab: str, node: str, tar: bytes, folder: str) -> None:
        """Unpacks a tar archive into a folder of the machine's running system."""
        command = self.shell(lab, node, ["tar", "-x", "-f", "-", "-C", folder], user="root", tty=False)
        run_bytes(command, stdin=tar, timeout=self.host_speed.limit(COPY_SECONDS))

    def copy_out(self, lab: str, node: str, path: str) -> bytes:
        """Returns a tar archive of a file or folder of the machine's running system."""
        parent, _, name = path.rstrip("/").rpartition("/")
        words = ["tar", "-c", "-f", "-", "-C", parent or "/", "--", name or "."]
        command = self.shell(lab, node, words, user="root", tty=False)
        return run_bytes(command, timeout=self.host_speed.limit(COPY_SECONDS))

    def snapshot(self, lab: str, name: str, say: Say) -> None:
        """Keeps the lab's state under a name."""
        self._spec(lab)
        snapshots.take(self.connection, lab, name, say)

    def restore(self, lab: str, name: str, say: Say, *, ephemeral_identity: bool = False) -> None:
        """Puts the lab back to a snapshot; the one called `handout` is the lab as it was first made."""
        del ephemeral_identity  # no state is kept for other labs, so nothing of this one's gets there
        spec = self._spec(lab)
        snapshots.check_there(lab, name)
        folder = LabFolder(lab)
        folder.note(folder.pending, name)
        self._restore(spec, name, say)
        folder.pending.unlink()

    def _restore(self, spec: ClusterSpec, name: str, say: Say) -> None:
        lab = spec.lab
        assembly.make_wires(self.connection, spec)  # the host may have booted since
        present = self._present(lab)
        if name == HANDOUT and snapshots.is_first_state(lab, spec, present):
            name = snapshots.FIRST
        if name != HANDOUT:
            running, lag = snapshots.put_back(self.connection, lab, name, say)
            time_sync.set_forward(LabFolder(lab), running, lag, say)
            return
        say("cutting the power of every machine")
        for_each_parallel(present.values(), lambda found: removal.unplug(found.thing))
        there = [node for node in spec.nodes if node.name in present]
        fresh = [node for node in there if has_system_disk(node) or node.disk]
        say(f"giving {' '.join(node.name for node in fresh)} a fresh disk")
        for node in fresh:
            assembly.make_disks(node, LabFolder(lab), self._store, anew=True)
        self._power_on(spec, [node.name for node in there], say, kvm=inspection.kvm_verdict()[0])

    def snapshots(self, lab: str) -> tuple[str, ...]:
        """Names of the snapshots kept for a lab, oldest first."""
        return snapshots.names(lab)

    def forget(self, lab: str, name: str) -> None:
        """Removes a snapshot of the lab."""
        snapshots.forget(lab, name)

    def origin(self) -> str:
        """What an SMS made now is made of, in this edition."""
        return f"{edition()} {self._store.current('sms').disk.name}"

    def keep(self, lab: str, name: str, say: Say) -> None:
        """Keeps a start state as a snapshot of this lab: its memory holds secrets that no other may have."""
        snapshots.take(self.connection, lab, name, say)

    def states(self) -> tuple[State, ...]:
        """None: see `keep`."""
        return ()

    def drop(self, names: Sequence[str]) -> None:
        """None is there to remove: they are snapshots."""

    def _keep_for_others(self, spec: ClusterSpec, say: Say) -> None:
        """Keeps a lab that has just booted for later ones; it then gets an identity that they have not."""
        golden = CheckpointCache(self.connection, spec, self._store, kvm=inspection.kvm_verdict()[0])
        kept = None if golden.is_there else golden.save(say)
        if kept is None:
            return
        try:
            self._renew_identity(spec, say)
            golden.publish(kept)
        finally:
            shutil.rmtree(kept, ignore_errors=True)

    def _put_together(self, spec: ClusterSpec, folder: LabFolder, say: Say, *, kvm: bool) -> bool:
        """Makes a lab out of one that was kept, when there is one; says whether it now runs."""
        golden = CheckpointCache(self.connection, spec, self._store, kvm=kvm)
        if not golden.is_there:
            return False
        try:
            folder.make()
            folder.note(folder.unsettled, HALF)
            assembly.make_wires(self.connection, spec)
            golden.put_together(say)
            self._renew_identity(spec, say)
        except LabError as problem:
            say(f"that did not do, so it boots: {problem.message}: {problem.evidence[-300:]}")
            if isinstance(problem, CheckpointCorrupt):
                golden.forget()
            removal.lab(self.connection, spec.lab, say)
            return False
        folder.note(folder.unsettled, AWAKE)
        return True

    def _renew_identity(self, spec: ClusterSpec, say: Say) -> None:
        """Gives a lab that runs keys and passwords that no other has."""
        say("giving the lab keys and passwords of its own")
        self._hand_description(spec)
        run(
            self.shell(spec.lab, spec.sms.name, RENEW, user="root", tty=False),
            timeout=self.host_speed.limit(COPY_SECONDS),
        )

    def _hand_description(self, spec: ClusterSpec) -> None:
        self.copy_in(spec.lab, spec.sms.name, tar_single_file(SPEC_FILE, spec_to_json(spec)), SPEC_FOLDER)

    def _present(self, lab: str) -> dict[str, LabObject]:
        return {found.metadata["node"]: found for found in inspection.domains(self.connection, lab)}

    def _machine(self, lab: str, node: str) -> LabObject:
        found = self._present(lab).get(node)
        if found is None:
            raise LabError(f"there is no machine {node} in the lab {lab}", hint="lab up makes it")
        return found

    def _spec(self, lab: str) -> ClusterSpec:
        spec = inspection.spec_of(inspection.record(self.connection, lab))
        if spec is None:
            raise LabError(f"there is no lab called {lab}", hint="lab ls lists labs; lab up makes one")
        return spec

    def _is_stale(self, present: dict[str, LabObject], spec: ClusterSpec, node: Node, *, kvm: bool) -> bool:
        """Whether a machine is described otherwise than it should be."""
        found = present.get(node.name)
        return found is not None and found.metadata["profile"] != profile(
            spec, node, LabFolder(spec.lab), kvm=kvm
        )

    def _define(self, spec: ClusterSpec, node: Node, folder: LabFolder, *, kvm: bool) -> None:
        assembly.make_disks(node, folder, self._store)
        assembly.define(self.connection, spec, node, folder, kvm=kvm)

    def _power_on(self, spec: ClusterSpec, names: Sequence[str], say: Say, *, kvm: bool) -> None:
        """The SMS first; where processors are emulated, the others when it answers them."""
        sms, folder = spec.sms.name, LabFolder(spec.lab)
        others = [name for name in names if name != sms]
        if sms in names:
            assembly.power_on(self._machine(spec.lab, sms).thing, folder.console(sms))
            if others and not kvm:
                assembly.await_service(folder, sms, say)
        for_each_parallel(
            others, lambda name: assembly.power_on(self._machine(spec.lab, name).thing, folder.console(name))
        )

    def _tell_sms(
        self, spec: ClusterSpec, found: LabObject, folder: LabFolder, say: Say, *, kvm: bool
    ) -> None:
        """Describes the SMS anew, for its next power-on, and hands one that is up its new description now."""
        name = spec.sms.name
        say(f"handing {name} its new description")
        assembly.define(self.connection, spec, spec.sms, folder, kvm=kvm, uuid=found.thing.UUIDString())
        if self._status(spec.lab, name, "", {name: found}).stage != INIT:
            return
        self._hand_description(spec)
        again = ["systemctl", "restart", "rackling-handout"]
        try:
            run_bytes(
                self.shell(spec.lab, name, again, user="root", tty=False),
                timeout=self.host_speed.limit(COPY_SECONDS),
            )
        except LabError as problem:
            raise description_refused(name, problem) from problem

    def _status(self, lab: str, name: str, mac: str, present: dict[str, LabObject]) -> NodeStatus:
        if name not in present:
            return NodeStatus(name, Power.ABSENT)
        if not present[name].active:
            return inspection.without_power(name, present[name].thing)
        with ignore_missing():
            if inspection.stands_still(present[name].thing):
                return NodeStatus(name, Power.ON, PAUSED, STILL.format(ROOT))
        return console_log.stage_of(
            name, mac, console_log.read_since_power_on(LabFolder(lab).console(name)), time.time()
        )

    def _stop(self, lab: str, node: str, *, hard: bool) -> None:
        found = self._machine(lab, node)
        if hard:
            removal.unplug(found.thing)
        elif found.active and self._status(lab, node, "", {node: found}).stage == INIT:
            command = self.shell(lab, node, ["systemctl", "poweroff"], user="root", tty=False)
            run_bytes(command, timeout=60, check=False)
        else:  # there is no system yet that could be asked: its firmware switches off
            removal.unplug(found.thing)

    def _moment(self, lab: str, node: str) -> bool:
        """Waits a little; False when there is no such machine any more."""
        pause(FOLLOW_SECONDS)
        return node in self._present(lab)


def _is_half_made(folder: LabFolder) -> bool:
    """Whether a lab was being put together from another one's memory, or still is."""
    return folder.unsettled.exists() and folder.unsettled.read_text() == HALF
