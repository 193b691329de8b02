"""The rows of `lab doctor`'s table for containers, from what an engine and a container of its say."""

from __future__ import annotations

from typing import Any

import docker
import pytest
import requests

from lab.backends.base import Protection
from lab.backends.docker import protections
from lab.backends.docker.container_spec import CAPABILITIES
from lab.backends.docker.protections import MEMORY, examine

SEEN = {
    "profile": "unconfined\0",
    "uids": "         0          0 4294967295",
    "kernel": "6.1.0-44-amd64",
    "boot": "BOOT_IMAGE=/vmlinuz root=/dev/vda1",
    "limit": str(MEMORY),
    "filter": "2",
    "namespaces": "yes",
    "device": "sh: 1: cannot open /dev/forbidden: Operation not permitted",
}
INFO = {"CgroupVersion": "2", "SecurityOptions": ["name=apparmor", "name=seccomp,profile=default"]}
GIVEN = {
    "no privileged containers": True,
    "rules of devices": True,
    "list of system calls": True,
    "AppArmor or SELinux": False,
    "user namespace": False,
    "id-mapped mounts": True,
    "cgroup": True,
    "limit of memory": True,
}


class Engine:
    """Makes a container that says what it is told to, and lists those of labs."""

    def __init__(self, seen: dict[str, str], **privileged: bool) -> None:
        self._said = "".join(f"{key}={value}\n" for key, value in seen.items())
        self._privileged = privileged
        self.made: dict[str, Any] = {}
        self.removed: list[str] = []
        self.problem: Exception | None = None

    def containers(self, **_: object) -> list[dict[str, str]]:
        return [{"Id": name} for name in (*self._privileged, "gone meanwhile")]

    def inspect_container(self, name: str) -> dict[str, Any]:
        if name not in self._privileged:
            raise docker.errors.NotFound("gone")
        return {"Name": f"/{name}", "HostConfig": {"Privileged": self._privileged[name]}}

    def create_host_config(self, **words: Any) -> dict[str, Any]:
        return words

    def create_container(self, image: str, **words: Any) -> dict[str, str]:
        if self.problem:
            raise self.problem
        self.made = {"image": image, **words}
        return {"Id": "probe"}

    def start(self, _name: str) -> None:
        pass

    def wait(self, _name: str, timeout: int) -> dict[str, int]:
        assert timeout > 0
        return {"StatusCode": 0}

    def logs(self, _name: str, *, stderr: bool) -> bytes:
        assert not stderr
        return self._said.encode()

    def remove_container(self, name: str, *, force: bool) -> None:
        assert force
        self.removed.append(name)


def table(engine: Engine, info: dict[str, Any] = INFO) -> dict[str, Protection]:
    return {one.name: one for one in examine(engine, info)}  # type: ignore[arg-type]


def row(name: str, seen: dict[str, str], info: dict[str, Any] = INFO) -> Protection:
    return table(Engine(SEEN | seen), info)[name]


def test_every_row_says_what_it_protects_by_which_evidence_and_what_to_do_where_it_is_lacking() -> None:
    engine = Engine(SEEN, one=False, two=False)
    found = table(engine)
    assert {name: one.given for name, one in found.items()} == GIVEN
    assert all(one.protects and one.evidence for one in found.values())
    assert all(one.advice for one in found.values() if not one.given)
    assert found["no privileged containers"].evidence == "containers of labs: none of 2 is privileged"
    assert engine.removed == ["probe"]


def test_what_is_tried_has_the_rights_of_a_node() -> None:
    engine = Engine(SEEN)
    table(engine)
    host = engine.made["host_config"]
    assert (host["cap_add"], host["mem_limit"], host["binds"]) == (list(CAPABILITIES), MEMORY, [])
    assert host["network_mode"] == "none"
    assert any(word.startswith("seccomp={") for word in host["security_opt"])
    assert "privileged" not in host


def test_a_privileged_container_is_named() -> None:
    found = table(Engine(SEEN, one=False, two=True))["no privileged containers"]
    assert (found.given, found.evidence) == (False, "containers of labs: two is privileged")


@pytest.mark.parametrize(
    ("name", "seen", "given", "told"),
    [
        (
            "rules of devices",
            {"device": "sh: 1: cannot open /dev/forbidden: No such device"},
            False,
            "opened",
        ),
        ("rules of devices", {"device": ""}, False, "opened"),
        ("list of system calls", {"filter": "0"}, False, "mode 0"),
        ("AppArmor or SELinux", {"profile": "docker-default (enforce)"}, True, "docker-default"),
        ("AppArmor or SELinux", {"profile": ""}, False, "no profile"),
        ("user namespace", {"uids": "0 100000 65536"}, True, "100000"),
        ("user namespace", {"namespaces": ""}, False, "does not give"),
        ("id-mapped mounts", {"kernel": "5.11.9"}, False, "5.11.9"),
        ("id-mapped mounts", {"kernel": "5.12.0-rc1"}, True, "5.12.0-rc1"),
        ("id-mapped mounts", {"kernel": ""}, None, "kernel"),
        ("limit of memory", {"limit": "9223372036854771712"}, False, "9223372036854771712"),
        ("limit of memory", {"boot": "quiet cgroup.memory=nokmem,nosocket"}, False, "not counted"),
    ],
)
def test_what_differs_is_told(name: str, seen: dict[str, str], given: bool | None, told: str) -> None:
    found = row(name, seen)
    assert found.given is given
    assert told in found.evidence


@pytest.mark.parametrize("key", ["device", "filter", "uids", "kernel", "limit"])
def test_what_could_not_be_read_is_unknown(key: str) -> None:
    engine = Engine({name: value for name, value in SEEN.items() if name != key})
    assert [one.given for one in table(engine).values()].count(None) == 1


def test_both_cgroups_are_named() -> None:
    assert row("cgroup", {}, {"CgroupVersion": "1"}).evidence.startswith("v1: ")
    assert row("cgroup", {}, {}).evidence.startswith("v1: ")  # older engines do not say it
    assert row("cgroup", {}).evidence == "v2"


@pytest.mark.parametrize(
    "problem",
    [docker.errors.ImageNotFound("no such image"), requests.exceptions.ReadTimeout("no answer in 60 s")],
)
def test_an_engine_that_refuses_leaves_it_unknown(problem: Exception) -> None:
    engine = Engine(SEEN)
    engine.problem = problem
    (found,) = protections.examine(engine, INFO)  # type: ignore[arg-type]
    assert found.given is None
    assert str(problem) in found.evidence
