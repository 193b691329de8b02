"""Creates the parts of a lab: its specification's record, volumes, the switch, and a chassis per node."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from lab.account import account_name
from lab.backends import unmanaged
from lab.backends.archives import (
    SPEC_FILE,
    SPEC_FOLDER,
    description_refused,
    read_single_file,
    tar_single_file,
)
from lab.backends.docker import engine, inspection, node_exec, removal
from lab.backends.docker.container_spec import (
    SPECIFICATION,
    VOLUMES,
    VOLUMES_AT,
    Chassis,
    host_config,
    own_ids,
    processor_time,
    switch_host_config,
)
from lab.backends.docker.engine import container_name, translate_errors, volume_name
from lab.errors import LabError
from lab.model import BOOTED, ClusterSpec, Node, Role, Trust
from lab.serialize import spec_to_json

if TYPE_CHECKING:
    from docker import APIClient

    from lab.backends.docker.engine import Engine

DISK = "/disk"
"""Where a chassis has the disk of its node."""
CHASSIS, NAMES = "/chassis", "names"
"""Where an unmanaged node's chassis finds names that replace those of its environment (chassis/boot)."""
NOBODY = "lab images build chassis-nobody sms-nobody"
RUNNER = "lab images build runner"
JUPYTER = "lab images build sms-jupyter"
Entry = dict[str, Any]
HOSTS = "127.0.0.1 localhost\n"
UNREAD = "cluster.unread"
"""Beside the description on the SMS's disk, from the moment it changes until the set-up has read it."""


@dataclass(frozen=True)
class Images:
    """Image identifiers, so that a later build does not change an existing lab."""

    chassis: str
    sms: str
    runner: str = ""  # only where a runner is to be made

    def of(self, node: Node) -> str:
        """The image of a node's container."""
        if node.role is Role.RUNNER:
            return self.runner
        return self.sms if node.role in (Role.SMS, Role.CLIENT) else self.chassis


def images(client: APIClient, spec: ClusterSpec, made: Iterable[Node] = ()) -> Images:
    """The images that the nodes to make need; LabError when one was never built, or is outdated."""
    found = [_image(client, name) for name in ("chassis", "sms")]
    if spec.jupyter:
        found[1] = _derived(client, spec.sms_image, "sms", found[1], JUPYTER)
    if spec.trust is Trust.NOBODY:
        found = [
            _derived(client, f"{name}-{Trust.NOBODY.value}", name, on, NOBODY)
            for name, on in zip(("chassis", "sms"), found, strict=True)
        ]
    elif any(node.role is Role.RUNNER for node in made):
        found.append(_image(client, "runner", RUNNER))
    return Images(*(str(image["Id"]) for image in found))


def _derived(client: APIClient, name: str, below: str, on: Entry, build: str) -> Entry:
    """An image that is built on another; LabError when that one was built anew since."""
    found = _image(client, name, build)
    layers = on["RootFS"]["Layers"]
    if found["RootFS"]["Layers"][: len(layers)] != layers:
        raise LabError(
            f"the image {engine.image(name)} is outdated",
            evidence=f"{engine.image(below)}, of which it is made, was built anew",
            hint=build,
        )
    return found


def _image(client: APIClient, image: str, build: str = "lab images build") -> Entry:
    """What the engine says of one of our images."""
    import docker

    name = engine.image(image)
    try:
        found: Entry = client.inspect_image(name)  # type: ignore[no-untyped-call]  # the stubs' gap
    except docker.errors.ImageNotFound as problem:
        raise LabError(f"the image {name} has not been built", hint=build) from problem
    at = (found["Config"]["Labels"] or {}).get(engine.VOLUMES)
    if at != VOLUMES_AT:
        raise LabError(
            f"the image {name} was built by another version of lab",
            evidence=f"its chassis has the lab's volumes at {at or '/disk'}, not at {VOLUMES_AT}",
            hint=build,
        )
    return found


def labels(spec: ClusterSpec, part: str) -> dict[str, str]:
    """Labels of every object of a lab."""
    return {
        engine.LAB: spec.lab,
        engine.PART: part,
        engine.OWNER: account_name(),
        engine.CREATED: datetime.now(UTC).isoformat(timespec="milliseconds"),
        engine.SPEC: spec_to_json(spec),
    }


def record(client: APIClient, spec: ClusterSpec) -> None:
    """Records the newest specification, on a separate volume since an object's labels never change."""
    kept = inspection.volumes(client, spec.lab, part=SPECIFICATION)
    if kept and inspection.spec_of(kept) == spec:
        return
    digest = hashlib.sha256(spec_to_json(spec).encode()).hexdigest()[:12]
    name = volume_name(spec.lab, f"{SPECIFICATION}-{digest}")
    # The new one first: a readable record exists even if this is interrupted.
    removal.volumes(client, [entry["Name"] for entry in kept if entry["Name"] == name])
    make_volume(client, name, labels(spec, SPECIFICATION))
    removal.volumes(client, [entry["Name"] for entry in kept if entry["Name"] != name])


def make_volumes(client: APIClient, spec: ClusterSpec) -> None:
    """Creates the missing volumes of the lab, before the containers, for which Docker would make bare ones.

    A volume of that name without our label may be left over from another lab: nobody inherits its files.
    """
    there = {entry["Name"] for entry in inspection.volumes(client, spec.lab)}
    for name in (volume_name(spec.lab, use) for use in VOLUMES):
        if name not in there:
            make_volume(client, name, labels(spec, "volume"))


def make_volume(client: Engine, name: str, marks: dict[str, str]) -> None:
    """Creates a volume with labels; LabError if there is one, for which the engine ignores our labels."""
    with translate_errors(f"creating the volume {name}"):
        made = client.create_volume(name, labels=marks)
    if (made["Labels"] or {}).get(engine.CREATED) != marks[engine.CREATED]:
        raise LabError(
            f"the volume {name} was there already, and it is not this lab's",
            evidence=f"labels: {made['Labels'] or 'none'}",
            hint=f"docker volume inspect {name}, then: lab down -l {marks[engine.LAB]}",
        )


def make_switch(client: APIClient, spec: ClusterSpec, image: str) -> None:
    """Creates the switch's container; the lab's networks exist as long as it runs."""
    with translate_errors("creating the switch"):
        client.create_container(
            image,
            command=["/chassis/switch"],
            name=container_name(spec.lab, "switch"),
            labels=labels(spec, "switch"),
            environment={"LAB_NETWORKS": " ".join(one.name for one in spec.networks)} | own_ids(spec),
            host_config=client.create_host_config(**switch_host_config(spec.lab)),
        )


def make_node(
    client: APIClient,
    spec: ClusterSpec,
    node: Node,
    chassis: Chassis,
    host_cpus: int,
    *,
    today: str = "",
) -> None:
    """Creates a node's container and starts it; its cables are connected later.

    With `today`, the chassis becomes that of this image: a snapshot has the one that it was taken with.
    """
    with translate_errors(f"creating {node.name}"):
        client.create_container(
            chassis.image,
            command=["/chassis/firmware"],
            name=container_name(spec.lab, node.name),
            hostname=node.name,
            labels=labels(spec, "node") | {engine.NODE: node.name, engine.PROFILE: chassis.profile},
            environment=chassis.environment,
            tty=True,
            stdin_open=True,
            stop_signal="SIGTERM",
            host_config=client.create_host_config(**host_config(chassis, host_cpus)),
        )
    if today and not _have_one_chassis(client, chassis.image, today):
        _renew_chassis(client, container_name(spec.lab, node.name), today)
    if node.role is Role.SMS:
        hand_specification(client, spec)
    start(client, spec.lab, node.name)


def _have_one_chassis(client: APIClient, *images: str) -> bool:
    """Whether images have the same chassis, since all of them come from one build."""
    with translate_errors("looking at the chassis of a snapshot"):
        found = [client.inspect_image(image)["Config"]["Labels"] for image in images]  # type: ignore[no-untyped-call]
    return len({(labels or {}).get(engine.IMAGE) for labels in found}) == 1


def _renew_chassis(client: APIClient, container: str, image: str) -> None:
    """Copies the programs of an image's chassis into a container that has not started yet."""
    with translate_errors(f"renewing the chassis of {container}"):
        donor = client.create_container(image, command=["/chassis/firmware"], labels={engine.PART: "probe"})
        try:
            chunks, _ = client.get_archive(donor["Id"], CHASSIS)
            client.put_archive(container, "/", b"".join(chunks))
        finally:
            client.remove_container(donor["Id"], force=True)


def start(client: APIClient, lab: str, part: str) -> None:
    """Starts a container; nothing happens to one that runs."""
    with translate_errors(f"starting {part}"):
        client.start(container_name(lab, part))


def hand_specification(client: APIClient, spec: ClusterSpec) -> None:
    """Writes the description of its cluster to the SMS's disk (read by lab/guest/setup)."""
    with translate_errors(f"writing the description of the cluster to {spec.sms.name}"):
        client.put_archive(
            container_name(spec.lab, spec.sms.name),
            DISK + SPEC_FOLDER,
            tar_single_file(SPEC_FILE, spec_to_json(spec)),
        )


def change_specification(client: APIClient, spec: ClusterSpec) -> None:
    """Replaces the description of its cluster on an SMS that exists; `set_up_again` completes this."""
    with translate_errors(f"writing the description of the cluster to {spec.sms.name}"):
        container = container_name(spec.lab, spec.sms.name)
        client.put_archive(container, DISK + SPEC_FOLDER, tar_single_file(UNREAD, ""))
    hand_specification(client, spec)


def knows(client: APIClient, spec: ClusterSpec) -> bool:
    """Whether the description on the SMS's disk is this one, and its set-up has read it."""
    folder = f"{DISK}{SPEC_FOLDER}"
    if _read_file(client, spec.lab, spec.sms.name, f"{folder}/{SPEC_FILE}") != spec_to_json(spec).encode():
        return False
    return _read_file(client, spec.lab, spec.sms.name, f"{folder}/{UNREAD}") is None


def known_names(client: APIClient, lab: str, node: str) -> tuple[str, ...] | None:
    """The names that were handed to an unmanaged node since it was created; None when none were."""
    found = _read_file(client, lab, node, f"{CHASSIS}/{NAMES}")
    return None if found is None else tuple(found.decode(errors="replace").splitlines())


def _read_file(client: APIClient, lab: str, node: str, path: str) -> bytes | None:
    """A small plain file of a container, whether it runs or not; None when there is none."""
    import docker

    with translate_errors(f"reading {path} of {node}"):
        try:
            chunks, _ = client.get_archive(container_name(lab, node), path)
            return read_single_file(chunks)
        except docker.errors.NotFound:
            return None


def hand_names(client: APIClient, spec: ClusterSpec, node: Node) -> None:
    """Gives an unmanaged node the names of the other nodes: for its next boot, and now when it is up."""
    lines = "".join(f"{name}\n" for name in unmanaged.names(spec, node))
    container = container_name(spec.lab, node.name)
    with translate_errors(f"writing the names of the other nodes to {node.name}"):
        client.put_archive(container, CHASSIS, tar_single_file(NAMES, lines))
    if _is_up(client, spec.lab, node.name):
        write = ["/chassis/enter", "root", "sh", "-c", 'printf "%s" "$1" >/etc/hosts', "sh", HOSTS + lines]
        node_exec.execute(client, container, write)


def resize(client: APIClient, spec: ClusterSpec, host_cpus: int) -> None:
    """Gives the SMS the memory and processors of its description; it is never remade for that."""
    memory = spec.sms.memory << 20
    settings: dict[str, Any] = {"mem_limit": memory, "memswap_limit": memory}
    settings |= processor_time(spec.sms.cpus, host_cpus)
    with translate_errors(f"changing {spec.sms.name}"):
        client.update_container(container_name(spec.lab, spec.sms.name), **settings)


def set_up_again(client: APIClient, spec: ClusterSpec) -> None:
    """Has an SMS that is up read its new description; one that is not reads it when it boots."""
    name = spec.sms.name
    container = container_name(spec.lab, name)
    if _is_up(client, spec.lab, name):
        command = ["/chassis/enter", "root", "systemctl", "restart", "rackling-handout"]
        try:
            node_exec.execute(client, container, command)
        except LabError as problem:
            raise description_refused(name, problem) from problem
    node_exec.execute(client, container, ["rm", "-f", f"{DISK}{SPEC_FOLDER}/{UNREAD}"])


def _is_up(client: APIClient, lab: str, node: str) -> bool:
    """Whether a node's system runs; without a running switch none does that could be asked."""
    switch = inspection.containers(client, lab).get("switch", {})
    if switch.get("State") != "running":
        return False
    status = node_exec.stages(client, lab).get(node)
    return status is not None and status.stage == BOOTED
