"""The Docker backend: makes, powers, wires and removes a lab's containers."""

from __future__ import annotations

import getpass
import io
import tarfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from lab.backends.base import Capabilities, Say
from lab.backends.docker import engine, inspection, removal, snapshots, switchboard
from lab.backends.docker.chassis import (
    VOLUMES,
    Chassis,
    cables,
    chassis_of,
    host_config,
    switch_host_config,
)
from lab.backends.docker.engine import container_name, explained, volume_name
from lab.specjson import spec_to_json
from lab.errors import LabError
from lab.model import ClusterSpec, LabRecord, Node, NodeStatus, Power, Role
from lab.run import run

if TYPE_CHECKING:
    from docker import APIClient

CHASSIS_IMAGE = "rackling/chassis:current"
SMS_IMAGE = "rackling/sms:current"
SPEC_FILE = "cluster.json"
COPY_SECONDS = 600
T = TypeVar("T")
WORKERS = 4  # more do not help: the engine is busy with two already


class DockerBackend:
    """A lab's nodes as containers of the engine on this computer."""

    name = "docker"

    @cached_property
    def client(self) -> APIClient:
        """The engine, connected to on first use."""
        return engine.connect()

    def probe(self) -> Capabilities:
        """Says what this engine can do, by trying it."""
        return inspection.probe()

    def labs(self) -> tuple[LabRecord, ...]:
        """Lists every lab on this engine, orphans included."""
        return inspection.labs(self.client)

    def create(self, spec: ClusterSpec, say: Say) -> None:
        """Makes what is missing of the lab, powers it on and wires it."""
        images = self._images()
        self._volumes(spec)
        self._switch(spec, images[CHASSIS_IMAGE], say)
        present = inspection.containers(self.client, spec.lab)
        wanted = [(node, chassis_of(spec, node, images[_image_name(node)])) for node in spec.nodes]
        stale = [node.name for node, chassis in wanted if self._is_stale(present.get(node.name), node, chassis)]
        for name in stale:
            say(f"remaking {name}: its description has changed")
        removal.containers(self.client, [container_name(spec.lab, name) for name in stale])
        missing = [(n, c) for n, c in wanted if n.name not in present or n.name in stale]
        if missing:
            say("making " + " ".join(node.name for node, _ in missing))
        self._each(missing, lambda pair: self._make(spec, *pair))
        gone = sorted(set(present) - {node.name for node in spec.nodes} - {"switch"})
        if gone:
            say("removing " + " ".join(gone))
            removal.containers(self.client, [container_name(spec.lab, name) for name in gone])
        self._update_sms(spec, present)
        self.wire(spec, say)

    def wire(self, spec: ClusterSpec, say: Say) -> None:
        """Starts the containers that are stopped, plugs every cable and presses every power button."""
        present = inspection.containers(self.client, spec.lab)
        stopped = [name for name, found in present.items() if found["State"] != "running"]
        if stopped:
            say("power to " + " ".join(sorted(stopped)))
        self._each(stopped, lambda name: self._start_container(spec.lab, name))
        words: list[str] = []
        for node in spec.nodes:
            state = self.client.inspect_container(container_name(spec.lab, node.name))["State"]
            words += cables(node, state["Pid"])
        say("plugging cables")
        switchboard.on_switch(self.client, spec.lab, "plug", *words)

    def delete(self, lab: str, say: Say, nodes: Sequence[str] | None = None) -> None:
        """Removes the lab, or only the named nodes."""
        if nodes is None:
            removal.lab(self.client, lab, say)
        else:
            removal.containers(self.client, [container_name(lab, node) for node in nodes])

    def status(self, lab: str) -> tuple[NodeStatus, ...]:
        """Says how each node stands: one listing and one command to the switch."""
        found = inspection.containers(self.client, lab)
        spec = inspection.spec_of(found.values())
        names = [node.name for node in spec.nodes] if spec else sorted(set(found) - {"switch"})
        running = {name for name, entry in found.items() if entry["State"] == "running"}
        stages = switchboard.stages(self.client, lab) if "switch" in running else {}
        return tuple(_status(name, found, running, stages) for name in names)

    def start(self, lab: str, nodes: Sequence[str]) -> None:
        """Powers nodes on."""
        found = inspection.containers(self.client, lab)
        if any(found.get(node, {}).get("State") != "running" for node in nodes):
            self.wire(self._spec(lab), lambda _line: None)
        self._each(nodes, lambda node: switchboard.press(self.client, lab, node, "on"))

    def stop(self, lab: str, nodes: Sequence[str], *, hard: bool = False) -> None:
        """Powers nodes off."""
        button = "off" if hard else "soft"
        self._each(nodes, lambda node: switchboard.press(self.client, lab, node, button))

    def shell(
        self, lab: str, node: str, command: Sequence[str] | None, *, user: str, tty: bool
    ) -> list[str]:
        """Returns the argument list of a host process that opens a shell or runs a command in the node."""
        flags = ["-it", "-e", "TERM"] if tty else ["-i"]
        return [
            "docker",
            "exec",
            *flags,
            container_name(lab, node),
            "/chassis/enter",
            user,
            *(command or ()),
        ]

    def console(self, lab: str, node: str, *, follow: bool, tail: int | None = None) -> Iterator[bytes]:
        """Yields what the node wrote to its console."""
        with explained(f"reading the console of {node}", "lab status"):
            lines: Any = self.client.logs(
                container_name(lab, node), stream=True, follow=follow, tail="all" if tail is None else tail
            )
            yield from lines

    def copy_in(self, lab: str, node: str, tar: bytes, folder: str) -> None:
        """Unpacks a tar archive into a folder of the node's running system."""
        command = self.shell(lab, node, ["tar", "-x", "-f", "-", "-C", folder], user="root", tty=False)
        run(command, stdin=tar, timeout=COPY_SECONDS)

    def copy_out(self, lab: str, node: str, path: str) -> bytes:
        """Returns a tar archive of a file or folder of the node's running system."""
        parent, _, name = path.rstrip("/").rpartition("/")
        command = ["/chassis/enter", "root", "tar", "-c", "-f", "-", "-C", parent or "/", "--", name]
        return switchboard.output(self.client, container_name(lab, node), command)

    def snapshot(self, lab: str, name: str, say: Say) -> None:
        """Keeps the lab's state under a name."""
        snapshots.take(self.client, lab, name, say)

    def restore(self, lab: str, name: str, say: Say) -> None:
        """Puts the lab back to a snapshot; the one called `handout` is the lab as it was first made."""
        spec = self._spec(lab)
        image, powered = snapshots.find(self.client, lab, name)
        say("cutting the power of every node")
        self.client_power_cut(spec)
        snapshots.put_storage_back(self.client, lab, name)
        removal.containers(self.client, [container_name(lab, spec.sms.name)])
        say(f"making {spec.sms.name} from the snapshot {name}")
        self._make(spec, spec.sms, chassis_of(spec, spec.sms, image or self._images()[SMS_IMAGE]))
        self.wire(spec, say)
        on = [node.name for node in spec.stateless if powered is None or node.name in powered]
        say("power to " + " ".join(on))
        self._each(on, lambda node: switchboard.press(self.client, lab, node, "on"))

    def snapshots(self, lab: str) -> tuple[str, ...]:
        """Names of the snapshots kept for a lab, oldest first."""
        return snapshots.names(self.client, lab)

    def client_power_cut(self, spec: ClusterSpec) -> None:
        """Pulls the plug of every provisioned node, and starts containers that were stopped."""
        found = inspection.containers(self.client, spec.lab)
        for node in spec.stateless:
            if found.get(node.name, {}).get("State") != "running":
                self._start_container(spec.lab, node.name)
        self._each(spec.stateless, lambda node: switchboard.press(self.client, spec.lab, node.name, "off"))

    def _spec(self, lab: str) -> ClusterSpec:
        spec = inspection.spec_of(inspection.containers(self.client, lab).values())
        if spec is None:
            raise LabError(f"there is no lab called {lab}", hint="lab ls lists labs; lab up makes one")
        return spec

    def _images(self) -> dict[str, str]:
        """Identifiers of the images a lab is made from, so that a later build changes no running lab."""
        import docker

        found: dict[str, str] = {}
        for name in (CHASSIS_IMAGE, SMS_IMAGE):
            try:
                found[name] = self.client.inspect_image(name)["Id"]
            except docker.errors.ImageNotFound as problem:
                raise LabError(
                    f"the image {name} has not been built", hint="lab images build"
                ) from problem
        return found

    def _volumes(self, spec: ClusterSpec) -> None:
        for use in VOLUMES:
            with explained(f"making the volume for {use}"):
                self.client.create_volume(volume_name(spec.lab, use), labels=_labels(spec, "volume"))

    def _switch(self, spec: ClusterSpec, image: str, say: Say) -> None:
        name = container_name(spec.lab, "switch")
        found = inspection.containers(self.client, spec.lab).get("switch")
        if found and found["Labels"].get(engine.SPEC) == spec_to_json(spec):
            self._start_container(spec.lab, "switch")
            return
        if found:
            removal.containers(self.client, [name])
        say("making the switch")
        with explained("making the switch"):
            self.client.create_container(
                image,
                command=["/chassis/switch"],
                name=name,
                labels=_labels(spec, "switch"),
                environment={"LAB_NETWORKS": " ".join(network.name for network in spec.networks)},
                host_config=self.client.create_host_config(**switch_host_config(spec.lab)),
            )
        self._start_container(spec.lab, "switch")

    def _is_stale(self, found: dict[str, Any] | None, node: Node, chassis: Chassis) -> bool:
        """The SMS is never remade for a new description: its disk holds the learner's work."""
        if found is None or node.role is Role.SMS:
            return False
        return bool(found["Labels"].get(engine.PROFILE) != chassis.profile)

    def _make(self, spec: ClusterSpec, node: Node, chassis: Chassis) -> None:
        labels = _labels(spec, "node") | {engine.NODE: node.name, engine.PROFILE: chassis.profile}
        with explained(f"making {node.name}"):
            self.client.create_container(
                chassis.image,
                command=["/chassis/firmware"],
                name=container_name(spec.lab, node.name),
                hostname=node.name,
                labels=labels,
                environment=chassis.environment,
                tty=True,
                stdin_open=True,
                stop_signal="SIGTERM",
                host_config=self.client.create_host_config(
                    **host_config(chassis, self._host_cpus)
                ),
            )
        if node.role is Role.SMS:
            self._hand_specification(spec)
        self._start_container(spec.lab, node.name)

    def _hand_specification(self, spec: ClusterSpec) -> None:
        """The SMS learns from this file what cluster it heads (lab/guest/handout)."""
        with explained("handing the SMS its description"):
            self.client.put_archive(
                container_name(spec.lab, spec.sms.name), "/disk/etc/rackling", _tar(SPEC_FILE, spec_to_json(spec))
            )

    def _update_sms(self, spec: ClusterSpec, present: dict[str, dict[str, Any]]) -> None:
        """A changed description reaches an SMS that is already there: its file, its memory, its set-up."""
        found = present.get(spec.sms.name)
        if found is None or found["Labels"].get(engine.SPEC) == spec_to_json(spec):
            return
        name = container_name(spec.lab, spec.sms.name)
        self._hand_specification(spec)
        memory = spec.sms.memory << 20
        with explained(f"changing {spec.sms.name}"):
            self.client.update_container(name, mem_limit=memory, memswap_limit=memory)
        if found["State"] == "running":
            switchboard.execute(
                self.client, name, ["/chassis/enter", "root", "systemctl", "restart", "rackling-handout"]
            )

    def _start_container(self, lab: str, part: str) -> None:
        with explained(f"starting {part}"):
            self.client.start(container_name(lab, part))

    @cached_property
    def _host_cpus(self) -> int:
        return int(self.client.info()["NCPU"])

    def _each(self, items: Iterable[T], action: Callable[[T], object]) -> None:
        """Does the same to several at once; the first error is raised when all have been tried."""
        with ThreadPoolExecutor(WORKERS) as pool:
            for done in [pool.submit(action, item) for item in items]:
                done.result()


def _image_name(node: Node) -> str:
    return SMS_IMAGE if node.role is Role.SMS else CHASSIS_IMAGE


def _labels(spec: ClusterSpec, part: str) -> dict[str, str]:
    return {
        engine.LAB: spec.lab,
        engine.PART: part,
        engine.OWNER: getpass.getuser(),
        engine.CREATED: datetime.now(UTC).isoformat(timespec="seconds"),
        engine.SPEC: spec_to_json(spec),
    }


def _status(
    name: str, found: dict[str, dict[str, Any]], running: set[str], stages: dict[str, NodeStatus]
) -> NodeStatus:
    if name not in found:
        return NodeStatus(name, Power.ABSENT)
    if name not in running:
        return NodeStatus(name, Power.OFF, "off", "its container is stopped")
    return stages.get(name, NodeStatus(name, Power.ON, "unplugged", "no cable yet"))


def _tar(name: str, text: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        entry = tarfile.TarInfo(name)
        entry.size = len(text.encode())
        entry.mtime = int(time.time())
        archive.addfile(entry, io.BytesIO(text.encode()))
    return buffer.getvalue()
