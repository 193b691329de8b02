"""The libvirt backend: creates, powers, connects and removes a lab's virtual machines."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

from lab.backends import unmanaged
from lab.backends.actions import Action, Stale, Verb, nodes_of
from lab.backends.archives import (
    SPEC_FILE,
    SPEC_FOLDER,
    description_refused,
    tar_single_file,
    unpack_command,
)
from lab.backends.base import HANDOUT, Capabilities, ImageFormat, Say, Storage
from lab.backends.editions import edition
from lab.backends.hang_up import HANG_UP
from lab.backends.libvirt import (
    assembly,
    console_log,
    engine,
    inspection,
    removal,
    snapshots,
    ssh_channel,
    staleness,
    time_sync,
    user_network,
)
from lab.backends.libvirt.checkpoint_cache import CheckpointCache, CheckpointCorrupt
from lab.backends.libvirt.domain_xml import has_system_disk
from lab.backends.libvirt.engine import ignore_missing
from lab.backends.libvirt.inspection import LabObject
from lab.backends.libvirt.storage import AWAKE, BY_BOOT, HALF, ROOT, DiskStore, LabFolder, lock_folder
from lab.backends.parallel import for_each_parallel
from lab.errors import LabError
from lab.host_speed import HostSpeed
from lab.lock import FileLocks
from lab.model import BOOTED, PAUSED, UNPLUGGED, ClusterSpec, LabRecord, Node, NodeStatus, PendingBoot, Power
from lab.polling import pause
from lab.process import run, run_bytes
from lab.serialize import spec_to_json

COPY_SECONDS = 600
STOP_SECONDS = 12.0  # to ask a system to power off, in a container of a quiet host
FOLLOW_SECONDS = 0.5
UNMADE = "creation was interrupted; lab up starts again"
STILL = "its processor is paused; unless another command is running: df -h {}, then lab up"
RENEW = ["/usr/bin/python3", "-I", "-S", "/usr/lib/rackling/guest", "renew"]
HOSTS = "127.0.0.1 localhost\n"


class LibvirtBackend:
    """A lab's nodes as virtual machines of the libvirt on this computer."""

    name = "libvirt"
    image_format = ImageFormat.DISK
    rights_needed_for: frozenset[str] = frozenset()  # a machine's root has its own kernel
    locks = FileLocks(lock_folder)
    timeout_scale = 5.0  # for emulated processors; with KVM nothing comes near a limit

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

    def storage(self) -> Storage:
        """The folder of base disks and of labs."""
        lab = "lab --backend libvirt"
        return Storage(ROOT, f"{lab} down -l LAB removes a lab and its disks; {lab} ls lists them all")

    def labs(self) -> tuple[LabRecord, ...]:
        """Lists every lab here, orphans included."""
        return inspection.labs(self.connection)

    def stale(self, spec: ClusterSpec) -> tuple[Stale, ...]:
        """Says which machines are not as a specification asks, and why."""
        if LabFolder(spec.lab).is_half_made:
            return ()  # as good as absent: see `status`
        return staleness.stale(self.connection, spec)

    def apply(self, spec: ClusterSpec, actions: Sequence[Action], say: Say) -> None:
        """Executes a plan: networks first, then machines, then power."""
        kvm, why = inspection.kvm_verdict()
        folder = LabFolder(spec.lab)
        fresh = folder.is_half_made or not folder.key.exists()  # else the disks hold a learner's work
        if fresh:  # the plan creates or remakes every machine: remove what an earlier attempt left
            removal.lab(self.connection, spec.lab, say)
            if not kvm:
                say(f"processors are emulated in software, as KVM cannot be used here: {why}")
        snapshots.recover(self.connection, spec.lab, say)
        if fresh and self._wake_from_cache(spec, folder, say, kvm=kvm):
            return
        try:
            folder.make()
            if fresh:
                folder.note(folder.unsettled, BY_BOOT)
            else:
                folder.unsettled.unlink(missing_ok=True)  # a learner may have worked there meanwhile
            self._execute(spec, actions, folder, say, kvm=kvm)
        except LabError:
            if fresh:  # leave nothing incomplete behind
                removal.lab(self.connection, spec.lab, say)
            raise

    def _execute(
        self, spec: ClusterSpec, actions: Sequence[Action], folder: LabFolder, say: Say, *, kvm: bool
    ) -> None:
        assembly.make_wires(self.connection, spec)
        present = self._present(spec.lab)
        removed = [name for name in nodes_of(actions, Verb.REMOVE, Verb.REMAKE) if name in present]
        if removed:
            say("removing " + " ".join(removed))
        for name in removed:
            removal.machine(spec.lab, present[name].thing)
        made = [spec.node(name) for name in nodes_of(actions, Verb.REMAKE, Verb.CREATE)]
        if made:
            say("creating " + " ".join(node.name for node in made))
        for_each_parallel(made, lambda node: self._define(spec, node, folder, kvm=kvm))
        changed = [(spec.node(name), present[name]) for name in nodes_of(actions, Verb.CHANGE)]
        # A running machine is told first: what is interrupted in between must still count as stale.
        for node, found in changed:
            if not found.active:
                self._redefine(spec, node, found, folder)
        powered = [*(node.name for node in made), *nodes_of(actions, Verb.POWER_ON)]
        self._power_on(spec, powered, say, kvm=kvm)
        for node, found in changed:
            self._tell(spec, node, found, say)
            self._redefine(spec, node, found, folder)

    def note_boot(self, spec: ClusterSpec, boot: PendingBoot | None) -> None:
        """Keeps in the lab's folder what a command has begun; None: it is completed."""
        LabFolder(spec.lab).note_boot(boot)

    def on_first_ready(self, lab: str, say: Say) -> None:
        """Saves the first state with its memory: restoring it takes seconds, booting takes minutes."""
        folder = LabFolder(lab)
        if not folder.unsettled.exists():
            return  # a learner may have changed it
        if folder.unsettled.read_text() == BY_BOOT:
            self._keep_for_others(self._spec(lab), say)
        snapshots.take(self.connection, lab, snapshots.FIRST, say)
        folder.unsettled.unlink()

    def delete(self, lab: str, say: Say, nodes: Sequence[str] | None = None) -> None:
        """Removes the lab, or only the named machines."""
        if nodes is None:
            removal.lab(self.connection, lab, say)
            return
        present = self._present(lab)
        found = [present[node].thing for node in nodes if node in present]
        for_each_parallel(found, lambda thing: removal.machine(lab, thing))

    def status(self, lab: str) -> tuple[NodeStatus, ...]:
        """Says how each machine stands, from libvirt's list and the consoles."""
        present = self._present(lab)
        spec = inspection.spec_of(inspection.record(self.connection, lab))
        names = [node.name for node in spec.nodes] if spec else []
        names += sorted(set(present) - set(names))  # what an interrupted `up` has not removed yet
        macs = {node.name: node.mac for node in spec.nodes} if spec else {}
        if LabFolder(lab).is_half_made:  # its machines may run with another lab's keys
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

    def shell(
        self, lab: str, node: str, command: Sequence[str] | None, *, user: str, tty: bool, mark: str = ""
    ) -> list[str]:
        """Returns the argument list of a host process that opens a shell or runs a command in the machine."""
        return ssh_channel.argv(lab, node, command, user=user, tty=tty, mark=mark)

    def hang_up(self, lab: str, node: str, mark: str) -> list[str]:
        """Returns the argument list of a host process that ends a command in the machine."""
        return ssh_channel.argv(lab, node, (*HANG_UP, mark), user="root", tty=False)

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
        # --force detaches an earlier client, whose connection may be dead.
        return ["virsh", "-q", "-c", engine.uri(), "console", "--force", engine.domain_name(lab, node)]

    def snapshot(self, lab: str, name: str, say: Say) -> None:
        """Saves the lab's state under a name."""
        self._spec(lab)
        snapshots.take(self.connection, lab, name, say)

    def restore(self, lab: str, name: str, say: Say, *, ephemeral_identity: bool = False) -> None:
        """Returns the lab to a snapshot; the one called `handout` is the lab as it was first created."""
        del ephemeral_identity  # no state is shared with other labs, so no secret can be
        spec = self._spec(lab)
        snapshots.check_there(lab, name)
        folder = LabFolder(lab)
        folder.note(folder.pending, name)
        self._restore(spec, name, say)
        folder.pending.unlink()

    def _restore(self, spec: ClusterSpec, name: str, say: Say) -> None:
        lab = spec.lab
        assembly.make_wires(self.connection, spec)  # the host may have rebooted since
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
        say(f"creating fresh disks for {' '.join(node.name for node in fresh)}")
        for node in fresh:
            assembly.make_disks(node, LabFolder(lab), self._store, anew=True, sms_disk=spec.sms_image)
        self._power_on(spec, [node.name for node in there], say, kvm=inspection.kvm_verdict()[0])

    def snapshots(self, lab: str) -> tuple[str, ...]:
        """Names of the snapshots of a lab, oldest first."""
        return snapshots.names(lab)

    def forget(self, lab: str, name: str) -> None:
        """Removes a snapshot of the lab."""
        snapshots.forget(lab, name)

    def base_id(self, spec: ClusterSpec) -> str:
        """Identifies what an SMS made now is made of, in this edition."""
        return f"{edition()} {self._store.current(spec.sms_image).disk.name}"

    @property
    def shared_states(self) -> None:
        """None: a machine's saved memory holds secrets of its lab, which no other lab may have."""
        return None

    def _keep_for_others(self, spec: ClusterSpec, say: Say) -> None:
        """Caches a lab that has just booted as a checkpoint for later ones; it then gets a new identity."""
        golden = CheckpointCache(self.connection, spec, self._store, kvm=inspection.kvm_verdict()[0])
        kept = None if golden.is_there else golden.save(say)
        if kept is None:
            return
        try:
            self._renew_identity(spec, say)
            golden.publish(kept)
        finally:
            shutil.rmtree(kept, ignore_errors=True)

    def _wake_from_cache(self, spec: ClusterSpec, folder: LabFolder, say: Say, *, kvm: bool) -> bool:
        """Creates a lab from the cached checkpoint, if there is one; returns whether the lab now runs."""
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
            why = f"{problem.message}: {problem.evidence[-300:]}"
            say(f"restoring the checkpoint failed; booting instead: {why}")
            if isinstance(problem, CheckpointCorrupt):
                golden.forget()
            removal.lab(self.connection, spec.lab, say)
            return False
        folder.note(folder.unsettled, AWAKE)
        return True

    def _renew_identity(self, spec: ClusterSpec, say: Say) -> None:
        """Gives a running lab keys and passwords of its own."""
        say("giving the lab keys and passwords of its own")
        self._hand_description(spec)
        run(
            self.shell(spec.lab, spec.sms.name, RENEW, user="root", tty=False),
            timeout=self.host_speed.limit(COPY_SECONDS),
        )

    def _hand_description(self, spec: ClusterSpec) -> None:
        self._hand_file(spec.lab, spec.sms.name, SPEC_FOLDER, SPEC_FILE, spec_to_json(spec))

    def _hand_file(self, lab: str, node: str, folder: str, name: str, text: str) -> None:
        command = self.shell(lab, node, unpack_command(folder), user="root", tty=False)
        run_bytes(command, stdin=tar_single_file(name, text), timeout=self.host_speed.limit(COPY_SECONDS))

    def _present(self, lab: str) -> dict[str, LabObject]:
        return {found.metadata["node"]: found for found in inspection.domains(self.connection, lab)}

    def _machine(self, lab: str, node: str) -> LabObject:
        found = self._present(lab).get(node)
        if found is None:
            raise LabError(f"there is no machine {node} in the lab {lab}", hint="lab up creates it")
        return found

    def _spec(self, lab: str) -> ClusterSpec:
        spec = inspection.spec_of(inspection.record(self.connection, lab))
        if spec is None:
            raise LabError(f"there is no lab called {lab}", hint="lab ls lists labs; lab up creates one")
        return spec

    def _define(self, spec: ClusterSpec, node: Node, folder: LabFolder, *, kvm: bool) -> None:
        assembly.make_disks(node, folder, self._store, sms_disk=spec.sms_image)
        assembly.define(self.connection, spec, node, folder, kvm=kvm)

    def _power_on(self, spec: ClusterSpec, names: Sequence[str], say: Say, *, kvm: bool) -> None:
        """The SMS first; with emulated processors, the others once it serves them."""
        sms, folder = spec.sms.name, LabFolder(spec.lab)
        others = [name for name in names if name != sms]
        if sms in names:
            assembly.power_on(self._machine(spec.lab, sms).thing, folder.console(sms))
            if others and not kvm:
                assembly.await_service(folder, sms, say)
        for_each_parallel(
            others, lambda name: assembly.power_on(self._machine(spec.lab, name).thing, folder.console(name))
        )

    def _redefine(self, spec: ClusterSpec, node: Node, found: LabObject, folder: LabFolder) -> None:
        """Describes a machine anew in place: its hardware changes at its next power-on, its disk is kept."""
        kvm, _ = staleness.keeps_kvm(found)
        assembly.define(self.connection, spec, node, folder, kvm=kvm, uuid=found.thing.UUIDString())

    def _tell(self, spec: ClusterSpec, node: Node, found: LabObject, say: Say) -> None:
        """Tells a machine that has been up what its firmware says from its next power-on."""
        if not found.active or self._status(spec.lab, node.name, "", {node.name: found}).stage != BOOTED:
            return
        if node != spec.sms:
            lines = "".join(f"{name}\n" for name in unmanaged.names(spec, node))
            self._hand_file(spec.lab, node.name, "/etc", "hosts", HOSTS + lines)
            return
        say(f"writing the new description of the cluster to {node.name}")
        self._hand_description(spec)
        again = ["systemctl", "restart", "rackling-handout"]
        try:
            run_bytes(
                self.shell(spec.lab, node.name, again, user="root", tty=False),
                timeout=self.host_speed.limit(COPY_SECONDS),
            )
        except LabError as problem:
            raise description_refused(node.name, problem) from problem

    def _status(self, lab: str, name: str, mac: str, present: dict[str, LabObject]) -> NodeStatus:
        if name not in present:
            return NodeStatus(name, Power.ABSENT)
        if not present[name].active:
            return inspection.without_power(name, present[name].thing)
        with ignore_missing():
            if inspection.stands_still(present[name].thing):
                return NodeStatus(name, Power.ON, PAUSED, STILL.format(ROOT))
        log = console_log.read_since_power_on(LabFolder(lab).console(name))
        return console_log.stage_of(name, mac, log, time.time())

    def _stop(self, lab: str, node: str, *, hard: bool) -> None:
        found = self._machine(lab, node)
        if hard:
            removal.unplug(found.thing)
        elif found.active and self._status(lab, node, "", {node: found}).stage == BOOTED:
            command = self.shell(lab, node, ["systemctl", "poweroff"], user="root", tty=False)
            run_bytes(command, timeout=self.host_speed.limit(STOP_SECONDS), check=False)
        else:  # no system runs yet that could be asked
            removal.unplug(found.thing)

    def _moment(self, lab: str, node: str) -> bool:
        """Waits a little; False when the machine no longer exists."""
        pause(FOLLOW_SECONDS)
        return node in self._present(lab)
