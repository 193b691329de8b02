"""Which containers are stale: each is compared with the specification that it was created from."""

from __future__ import annotations

import io
import tarfile
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import docker
import pytest

from lab.backends import unmanaged
from lab.backends.actions import Verb
from lab.backends.archives import tar_single_file
from lab.backends.docker import assembly, engine, inspection, node_exec, staleness
from lab.backends.docker.container_spec import chassis_of, processor_time
from lab.config.loader import load
from lab.model import ClusterSpec
from lab.serialize import spec_to_json

HOST_CPUS = 8


def spec_of(*sets: str) -> ClusterSpec:
    return load(None, sets, {}, "mine")


@dataclass
class Containers:
    """A lab's containers as the engine lists them."""

    spec: ClusterSpec
    described: ClusterSpec
    switch: str = "running"
    stopped: set[str] = field(default_factory=set)
    handed: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def listed(self) -> dict[str, dict[str, Any]]:
        found = {
            node.name: {
                "State": "exited" if node.name in self.stopped else "running",
                "Labels": {
                    engine.PART: "node",
                    engine.SPEC: spec_to_json(self.spec),
                    engine.PROFILE: chassis_of(self.spec, node, "image").profile,
                },
            }
            for node in self.spec.nodes
        }
        return found | {"switch": {"State": self.switch, "Labels": {engine.PART: "switch"}}}

    def inspect_container(self, _name: str) -> dict[str, Any]:
        quota = processor_time(self.spec.sms.cpus, HOST_CPUS)["cpu_quota"]
        return {"HostConfig": {"Memory": self.spec.sms.memory << 20, "CpuQuota": quota}}

    def stale(self, spec: ClusterSpec, host_cpus: int = HOST_CPUS) -> dict[str, tuple[Verb, str]]:
        client = cast("Any", SimpleNamespace(inspect_container=self.inspect_container))
        return {one.node: (one.verb, one.reason) for one in staleness.stale(client, spec, host_cpus)}


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch) -> Containers:
    made = Containers(spec_of(), spec_of())
    monkeypatch.setattr(inspection, "containers", lambda *_: made.listed())
    monkeypatch.setattr(assembly, "knows", lambda _client, spec: spec == made.described)
    monkeypatch.setattr(assembly, "known_names", lambda _client, _lab, node: made.handed.get(node))
    return made


def test_containers_that_are_as_described_are_left_alone(lab: Containers) -> None:
    assert lab.stale(lab.spec) == {}


def test_a_new_node_remakes_nobody(lab: Containers) -> None:
    larger = spec_of("c.count=3")
    expected = {
        "sms": (Verb.CHANGE, "description of the cluster"),
        "client": (Verb.CHANGE, "names of the other nodes"),
    }
    assert lab.stale(larger) == expected
    lab.described = larger
    lab.handed["client"] = unmanaged.names(larger, larger.node("client"))
    assert lab.stale(larger) == {}
    assert lab.stale(lab.spec) == expected, "and back"


def test_own_changes_are_named(lab: Containers) -> None:
    other = spec_of("client.memory=300", "c.cpus=1", "root=overlay")
    before = lab.spec.node("client").memory
    found = lab.stale(other)
    assert found["client"] == (Verb.REMAKE, f"memory {before} → 300, root ram → overlay")
    assert found["c1"] == (Verb.REMAKE, "cpus 2 → 1, root ram → overlay")
    assert found["g1"] == (Verb.REMAKE, "root ram → overlay")
    assert found["sms"] == (Verb.CHANGE, "description of the cluster")


def test_the_sms_is_resized_in_place(lab: Containers) -> None:
    larger = spec_of("sms.memory=4096", "sms.cpus=4")
    before = lab.spec.sms
    lab.described = larger
    told = f"memory {before.memory} → 4096, cpus {before.cpus} → 4"
    assert lab.stale(larger) == {"sms": (Verb.CHANGE, told)}


def test_a_container_of_another_version_says_so(lab: Containers, monkeypatch: pytest.MonkeyPatch) -> None:
    older = lab.listed()
    older["c1"]["Labels"][engine.PROFILE] = "0123456789abcdef"
    monkeypatch.setattr(inspection, "containers", lambda *_: older)
    assert lab.stale(lab.spec) == {"c1": (Verb.REMAKE, staleness.OTHER_VERSION)}


def test_running_nodes_restart_when_their_switch_is_gone(lab: Containers) -> None:
    lab.switch, lab.stopped = "exited", {"c1"}
    found = lab.stale(lab.spec)
    assert set(found) == {node.name for node in lab.spec.nodes} - {"c1"}
    assert {verb for verb, _ in found.values()} == {Verb.RESTART}


class Disk:
    """The SMS's disk, as the engine's archives show it."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}

    def put_archive(self, _name: str, folder: str, data: bytes) -> None:
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            for entry in archive:
                file = archive.extractfile(entry)
                assert file is not None
                self.files[f"{folder}/{entry.name}"] = file.read()

    def get_archive(self, _name: str, path: str) -> tuple[list[bytes], None]:
        if path not in self.files:
            raise docker.errors.NotFound(path)
        return [tar_single_file("x", self.files[path].decode())], None


@pytest.mark.parametrize("up", [True, False])
def test_a_description_counts_as_known_when_the_set_up_has_read_it(
    monkeypatch: pytest.MonkeyPatch, up: bool
) -> None:
    disk, ran = Disk(), []

    def execute(_client: object, _container: str, command: list[str]) -> str:
        ran.append(command)
        if command[0] == "rm":
            disk.files.pop(command[-1], None)
        return ""

    monkeypatch.setattr(node_exec, "execute", execute)
    monkeypatch.setattr(assembly, "_is_up", lambda *_: up)
    client, spec, larger = cast("Any", disk), spec_of(), spec_of("c.count=3")
    assembly.hand_specification(client, spec)
    assert assembly.knows(client, spec)
    assembly.change_specification(client, larger)
    assert not assembly.knows(client, larger), "killed now, the next command must do this again"
    assembly.set_up_again(client, larger)
    assert assembly.knows(client, larger)
    assert ["systemctl" in command for command in ran] == ([True, False] if up else [False])
