"""The Docker backend: creates, powers, connects and removes a lab's containers."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lab.backends.actions import Action, Stale, Verb, nodes_of
from lab.backends.base import Capabilities, ImageFormat, Say, State, Storage
from lab.backends.docker import (
    assembly,
    engine,
    inspection,
    node_exec,
    pending_boot,
    pending_restore,
    removal,
    snapshots,
    staleness,
    strays,
)
from lab.backends.docker.container_spec import EPHEMERAL, IDENTITY, Chassis, cables, chassis_of
from lab.backends.docker.endpoint import Endpoint, resolve
from lab.backends.docker.engine import container_name, translate_errors
from lab.backends.docker.engine_lock import EngineLocks
from lab.backends.docker.peek import Peek
from lab.backends.editions import edition
from lab.backends.hang_up import HANG_UP
from lab.backends.parallel import for_each_parallel
from lab.errors import LabError, UsageError
from lab.host_speed import HostSpeed
from lab.model import UNPLUGGED, ClusterSpec, LabRecord, Node, NodeStatus, PendingBoot, Power, Role, Trust

if TYPE_CHECKING:
    from docker import APIClient

    from lab.backends.docker.engine import Engine

STOP_SECONDS = 20
ENGINE = Path("/var/lib/docker")
Found = dict[str, dict[str, Any]]
"""The engine's listing of a lab's containers, by node name."""


class DockerBackend:
    """A lab's nodes as containers of the engine on this computer."""

    name = "docker"
    timeout_scale = 1.0
    image_format = ImageFormat.CONTAINER
    rights_needed_for = frozenset({"block-devices"})  # loop devices, and file systems on them

    @cached_property
    def locks(self) -> EngineLocks:
        """The locks of labs, as volumes of the engine."""
        return EngineLocks(lambda: self.engine)

    @cached_property
    def host_speed(self) -> HostSpeed:
        """How slow this host is just now."""
        return HostSpeed(self.timeout_scale)

    @cached_property
    def _endpoint(self) -> Endpoint:
        return resolve(os.environ)

    @cached_property
    def _client(self) -> APIClient:
        return engine.connect(self._endpoint)

    @property
    def client(self) -> APIClient:
        """The engine, connected to on first use; how long an answer may take follows the host's speed."""
        self._client.timeout = round(engine.ANSWER_SECONDS * self.host_speed.timeout_scale)
        return self._client

    @property
    def engine(self) -> Engine:
        """The engine for read-only commands and power buttons: the fastest way to reach it."""
        path = self._endpoint.socket
        if path is None or "_client" in vars(self):
            return self.client
        return Peek(path, self.host_speed.timeout_scale)

    def probe(self) -> Capabilities:
        """Says what this engine can do, by trying it."""
        return inspection.probe()

    def storage(self) -> Storage:
        """Where an engine on this computer usually has its files."""
        return Storage(
            ENGINE if ENGINE.exists() else None, "docker system prune frees what no container uses"
        )

    def labs(self) -> tuple[LabRecord, ...]:
        """Lists every lab on this engine, orphans included."""
        return inspection.labs(self.engine)

    def stale(self, spec: ClusterSpec) -> tuple[Stale, ...]:
        """Says which containers are not as a specification asks, and why.

        Raises a LabError, before anything is changed, if what is not the lab's has a name that it needs.
        """
        strays.refuse(self.client, spec)
        return staleness.stale(self.client, spec, self._host_cpus)

    def apply(self, spec: ClusterSpec, actions: Sequence[Action], say: Say) -> None:
        """Executes a plan: in the order that containers, their storage and their cables need."""
        strays.refuse(self.client, spec)  # also here: nobody asks what is stale of a lab that there is not
        made = [spec.node(name) for name in nodes_of(actions, Verb.REMAKE, Verb.CREATE)]
        images = assembly.images(self.client, spec, made) if made else None
        assembly.record(self.client, spec)
        self._remove(spec, nodes_of(actions, Verb.REMOVE, Verb.REMAKE), say)
        restarted = nodes_of(actions, Verb.RESTART)
        for_each_parallel(restarted, lambda name: self._unplug(spec.lab, name))
        powered = (*restarted, *nodes_of(actions, Verb.POWER_ON))
        cabled = bool(made or powered or nodes_of(actions, Verb.CONNECT))
        if cabled:
            self._start_switch(spec, say)
        if images is not None:
            self._make_all(spec, made, images, say)
        changed = nodes_of(actions, Verb.CHANGE)
        self._change(spec, changed)
        if cabled:
            self.wire(spec, powered, say)
        for_each_parallel(powered, lambda name: node_exec.press(self.engine, spec.lab, name, "on"))
        if spec.sms.name in changed:
            assembly.set_up_again(self.client, spec)

    def wire(self, spec: ClusterSpec, nodes: Sequence[str], say: Say) -> None:
        """Starts the stopped containers among the nodes, and connects the cables of all that run."""
        present = inspection.containers(self.client, spec.lab)
        stopped = [name for name in nodes if name in set(present) - _running(present)]
        if stopped:
            say("powering on " + " ".join(sorted(stopped)))
        for_each_parallel(stopped, lambda name: assembly.start(self.client, spec.lab, name))
        words: list[str] = []
        for node in spec.nodes:
            if node.name in _running(present) or node.name in stopped:
                words += cables(node, self._pid(spec.lab, node.name))
        say("connecting cables")
        node_exec.on_switch(self.client, spec.lab, "plug", *words)

    def note_boot(self, spec: ClusterSpec, boot: PendingBoot | None) -> None:
        """Keeps in the lab's record what a command has begun; None: it is completed."""
        pending_boot.note(self.engine, spec, boot)

    def on_first_ready(self, lab: str, say: Say) -> None:
        """Saves nothing: the image and the lab's identity are enough to recreate the first state."""

    def delete(self, lab: str, say: Say, nodes: Sequence[str] | None = None) -> None:
        """Removes the lab, or only the named nodes."""
        if nodes is None:
            removal.lab(self.client, lab, say)
        else:
            removal.containers(self.client, [container_name(lab, node) for node in nodes])

    def status(self, lab: str) -> tuple[NodeStatus, ...]:
        """Says how each node stands: one listing and one command to the switch."""
        found = inspection.containers(self.engine, lab)
        spec = inspection.spec(self.engine, lab)
        names = [node.name for node in spec.nodes] if spec else []
        names += sorted(set(found) - {"switch", *names})  # what an interrupted `up` has not removed yet
        running = _running(found)
        stages = node_exec.stages(self.engine, lab) if "switch" in running else {}
        return tuple(_status(name, found, running, stages) for name in names)

    def start(self, lab: str, nodes: Sequence[str]) -> None:
        """Powers nodes on."""
        found = inspection.containers(self.engine, lab)
        if any(found.get(node, {}).get("State") != "running" for node in nodes):
            spec = self.spec(lab)
            self._start_switch(spec, lambda _line: None)
            self.wire(spec, nodes, lambda _line: None)
        for_each_parallel(nodes, lambda node: node_exec.press(self.engine, lab, node, "on"))

    def stop(self, lab: str, nodes: Sequence[str], *, hard: bool = False) -> None:
        """Powers nodes off."""
        button = "off" if hard else "soft"
        for_each_parallel(nodes, lambda node: node_exec.press(self.engine, lab, node, button))

    def shell(
        self, lab: str, node: str, command: Sequence[str] | None, *, user: str, tty: bool, mark: str = ""
    ) -> list[str]:
        """Returns the argument list of a host process that opens a shell or runs a command in the node."""
        client = self._endpoint.command(os.environ)
        return node_exec.shell(client, lab, node, command, user=user, tty=tty, mark=mark)

    def hang_up(self, lab: str, node: str, mark: str) -> list[str]:
        """Returns the argument list of a host process that ends a command, from outside the node."""
        return [*self._endpoint.command(os.environ), "exec", container_name(lab, node), *HANG_UP, mark]

    def console(self, lab: str, node: str, *, follow: bool, tail: int | None = None) -> Iterator[bytes]:
        """Yields what the node wrote to its console."""
        with translate_errors(f"reading the console of {node}", "lab status"):
            lines: Any = self.client.logs(
                container_name(lab, node), stream=True, follow=follow, tail="all" if tail is None else tail
            )
            yield from lines

    def attach(self, lab: str, node: str) -> list[str]:
        """Raises UsageError: the console is read-only; `lab shell` also opens the boot agent's shells."""
        del lab
        raise UsageError(
            f"the console of {node} is read-only, as a container's always is", hint=f"lab shell {node}"
        )

    def snapshot(self, lab: str, name: str, say: Say) -> None:
        """Saves the lab's state under a name."""
        snapshots.take(self.client, lab, name, say)

    def restore(self, lab: str, name: str, say: Say, *, ephemeral_identity: bool = False) -> None:
        """Returns the lab to a snapshot; the one called `handout` is the lab as it was first created."""
        spec = self.spec(lab)
        present = inspection.containers(self.client, lab)
        gone = [node for node in spec.nodes if node.name not in present]
        images = assembly.images(self.client, spec, gone)
        image, powered = snapshots.find(self.client, lab, name)
        pending_restore.begin(self.client, spec, name)
        if "switch" not in _running(present):  # nodes lost their cables with it, and must restart
            for_each_parallel(_running(present), lambda name: self._unplug(lab, name))
        self._start_switch(spec, say)
        say("cutting the power of every node")
        others = [node for node in spec.nodes if node != spec.sms]
        strangers = [node.name for node in others if node.role is Role.OUTSIDE]
        removal.containers(self.client, [container_name(lab, name) for name in strangers])
        kept = [node for node in others if node.name in present and node.name not in strangers]
        missing = [(n, chassis_of(spec, n, images.of(n))) for n in others if n not in kept]
        for_each_parallel(missing, lambda pair: self._make(spec, *pair))
        # All at once, the SMS included: it writes to the storage that is about to be replaced.
        for_each_parallel((spec.sms, *others), lambda node: self._clear(spec, node))
        pending_restore.remove_ephemeral_identity(self.client, lab)
        snapshots.empty_storage(self.client, lab)
        say(f"creating {spec.sms.name} from {name}")
        if ephemeral_identity:
            pending_restore.create_ephemeral_identity(self.client, spec)
        keys = EPHEMERAL if ephemeral_identity else IDENTITY
        chassis = chassis_of(spec, spec.sms, image or images.sms, identity=keys)
        self._make(spec, spec.sms, chassis, today=images.sms if image else "")
        self.wire(spec, [node.name for node in spec.nodes], say)
        on = [node.name for node in others if powered is None or node.name in powered]
        if on:
            say("powering on " + " ".join(on))
        for_each_parallel(on, lambda node: node_exec.press(self.client, lab, node, "on"))
        if not ephemeral_identity:
            pending_restore.end(self.client, lab)

    def snapshots(self, lab: str) -> tuple[str, ...]:
        """Names of the snapshots of a lab, oldest first."""
        return snapshots.names(self.engine, lab)

    def forget(self, lab: str, name: str) -> None:
        """Removes a snapshot of the lab."""
        snapshots.forget(self.client, lab, name)

    def base_id(self, spec: ClusterSpec) -> str:
        """Identifies what an SMS made now is made of, in this edition."""
        return f"{edition()} {self.base_image(spec)}"

    def base_image(self, spec: ClusterSpec) -> str:
        """The image that an SMS made now is made of, or for other trust the one below that."""
        return assembly.images(self.client, replace(spec, trust=Trust.LEARNER)).sms

    @property
    def shared_states(self) -> DockerStates:
        """Start states of all labs: images that contain no lab's secrets."""
        return DockerStates(self)

    def spec(self, lab: str) -> ClusterSpec:
        """The specification of a lab; LabError if there is no such lab."""
        spec = inspection.spec(self.client, lab)
        if spec is None:
            raise LabError(f"there is no lab called {lab}", hint="lab ls lists labs; lab up creates one")
        return spec

    def _start_switch(self, spec: ClusterSpec, say: Say) -> None:
        """Makes sure that the lab's volumes are there, and that its switch runs."""
        assembly.make_volumes(self.client, spec)
        present = inspection.containers(self.client, spec.lab)
        if "switch" in _running(present):
            return
        if "switch" not in present:
            say("creating the switch")
            assembly.make_switch(self.client, spec, assembly.images(self.client, spec).chassis)
        assembly.start(self.client, spec.lab, "switch")

    def _remove(self, spec: ClusterSpec, names: Sequence[str], say: Say) -> None:
        if names:
            say("removing " + " ".join(names))
            removal.containers(self.client, [container_name(spec.lab, name) for name in names])

    def _make_all(self, spec: ClusterSpec, nodes: Sequence[Node], images: assembly.Images, say: Say) -> None:
        say("creating " + " ".join(node.name for node in nodes))
        for_each_parallel(nodes, lambda node: self._make(spec, node, chassis_of(spec, node, images.of(node))))

    def _change(self, spec: ClusterSpec, names: Sequence[str]) -> None:
        """Changes nodes in place: the SMS's size and description, the names that unmanaged nodes know."""
        for name in names:
            if name == spec.sms.name:
                assembly.change_specification(self.client, spec)
                assembly.resize(self.client, spec, self._host_cpus)
            else:
                assembly.hand_names(self.client, spec, spec.node(name))

    def _make(self, spec: ClusterSpec, node: Node, chassis: Chassis, today: str = "") -> None:
        assembly.make_node(self.client, spec, node, chassis, self._host_cpus, today=today)

    def _clear(self, spec: ClusterSpec, node: Node) -> None:
        """Ends a node's system: the SMS loses its disk, all others lose their power."""
        if node == spec.sms:
            removal.containers(self.client, [container_name(spec.lab, node.name)])
        else:
            self._cut(spec.lab, node.name)

    def _cut(self, lab: str, node: str) -> None:
        """Cuts a node's power; afterwards its container runs, whatever its state was before."""
        assembly.start(self.client, lab, node)
        node_exec.press(self.client, lab, node, "off")

    def _unplug(self, lab: str, node: str) -> None:
        with translate_errors(f"stopping {node}"):
            seconds = round(STOP_SECONDS * self.host_speed.timeout_scale)
            self.client.stop(container_name(lab, node), timeout=seconds)

    def _pid(self, lab: str, node: str) -> int:
        with translate_errors(f"looking at {node}"):
            return int(self.client.inspect_container(container_name(lab, node))["State"]["Pid"])

    @cached_property
    def _host_cpus(self) -> int:
        with translate_errors("asking the engine for its processors"):
            return int(self.client.info()["NCPU"])


class DockerStates:
    """Start states of all labs, as images."""

    def __init__(self, backend: DockerBackend) -> None:
        self._backend = backend

    def save(self, lab: str, name: str, say: Say) -> None:
        """Saves the present state of a lab that runs under an ephemeral identity."""
        base = self._backend.base_image(self._backend.spec(lab))
        snapshots.save_shared(self._backend.client, lab, name, base, say)

    def list(self) -> tuple[State, ...]:
        """The start states, oldest first."""
        return snapshots.shared_states(self._backend.engine)

    def delete(self, names: Sequence[str]) -> None:
        """Removes start states; one that does not exist is fine."""
        snapshots.delete_shared(self._backend.client, names)


def _running(found: Found) -> set[str]:
    return {name for name, entry in found.items() if entry["State"] == "running"}


def _status(name: str, found: Iterable[str], running: set[str], stages: dict[str, NodeStatus]) -> NodeStatus:
    if name not in found:
        return NodeStatus(name, Power.ABSENT)
    if name not in running:
        return NodeStatus(name, Power.OFF, "off", "its container is stopped")
    return stages.get(name, NodeStatus(name, Power.ON, UNPLUGGED, "no cable yet"))
