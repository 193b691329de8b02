"""Which machines are stale: judged by their own description, never by the verdict on KVM alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from lab.backends.actions import Stale, Verb
from lab.backends.libvirt import engine, inspection, staleness
from lab.backends.libvirt.domain_xml import domain_xml
from lab.backends.libvirt.engine import metadata_of
from lab.backends.libvirt.inspection import LabObject
from lab.backends.libvirt.storage import LabFolder
from lab.config.loader import load
from lab.model import ClusterSpec
from lab.serialize import spec_to_json

WHY = "it stops at the first instruction"


def spec_of(*sets: str) -> ClusterSpec:
    return load(None, sets, {"LAB_BACKEND": "libvirt"}, "try")


@dataclass
class Daemon:
    """A lab's machines as libvirt knows them, and what this host can do."""

    folder: LabFolder
    spec: ClusterSpec
    kvm: bool = False
    kvm_now: bool = False
    off: set[str] = field(default_factory=set)

    def domains(self, _connection: object, _lab: str) -> list[LabObject]:
        found = []
        for node in self.spec.nodes:
            xml = domain_xml(self.spec, node, self.folder, kvm=self.kvm)
            found.append(LabObject(None, metadata_of(xml), active=node.name not in self.off, xml=xml))
        return found

    def stale(self, spec: ClusterSpec) -> dict[str, tuple[Verb, str]]:
        found: tuple[Stale, ...] = staleness.stale(None, spec)
        assert len({one.node for one in found}) == len(found)
        return {one.node: (one.verb, one.reason) for one in found}


@pytest.fixture
def daemon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Daemon:
    monkeypatch.setenv("LAB_LIBVIRT_URI", engine.SYSTEM)
    folder = LabFolder("try", tmp_path)
    folder.path.mkdir(parents=True)
    folder.key.touch()
    (folder.path / "key.pub").write_text("ssh-ed25519 AAAAC3Nza lab\n")
    for name in ("sms", "outside", "client"):
        (folder.path / f"{name}.base").symlink_to(tmp_path / "base" / "sms-0123456789ab.raw")
    made = Daemon(folder, spec_of())
    verdict: Callable[[], tuple[bool, str]] = lambda: (made.kvm_now, "" if made.kvm_now else WHY)  # noqa: E731
    monkeypatch.setattr(staleness, "LabFolder", lambda _lab: folder)
    monkeypatch.setattr(inspection, "domains", made.domains)
    monkeypatch.setattr(inspection, "record", lambda *_: {"spec": spec_to_json(made.spec)})
    monkeypatch.setattr(inspection, "kvm_verdict", verdict)
    return made


@pytest.mark.parametrize("kvm", [False, True])
def test_machines_that_are_as_described_are_left_alone(daemon: Daemon, kvm: bool) -> None:
    daemon.kvm = daemon.kvm_now = kvm
    assert daemon.stale(daemon.spec) == {}


def test_a_new_node_changes_those_that_name_it_in_place(daemon: Daemon) -> None:
    assert daemon.stale(spec_of("c.count=3")) == {
        "sms": (Verb.CHANGE, "description of the cluster"),
        "client": (Verb.CHANGE, "names of the other nodes"),
    }


def test_a_changed_machine_is_remade_and_the_sms_is_not(daemon: Daemon) -> None:
    found = daemon.stale(spec_of("login.memory=4096", "sms.memory=4096"))
    before = daemon.spec
    assert found == {
        "login": (Verb.REMAKE, f"memory {before.node('login').memory} → 4096"),
        "sms": (Verb.CHANGE, f"memory {before.sms.memory} → 4096, description of the cluster"),
    }


def test_what_another_version_defined_is_remade_and_says_so(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    (daemon.folder.path / "key.pub").write_text("ssh-ed25519 AAAAother lab\n")
    older = daemon.domains(None, "try")
    (daemon.folder.path / "key.pub").write_text("ssh-ed25519 AAAAC3Nza lab\n")
    monkeypatch.setattr(inspection, "domains", lambda *_: older)
    found = daemon.stale(daemon.spec)
    assert {reason for verb, reason in found.values() if verb is Verb.REMAKE} == {staleness.OTHER_VERSION}
    assert found["sms"] == (Verb.CHANGE, "description of the cluster")


def test_kvm_that_appears_remakes_nothing(daemon: Daemon) -> None:
    daemon.kvm_now = True
    assert daemon.stale(daemon.spec) == {}


def test_kvm_that_disappears_changes_machines_without_power_in_place(daemon: Daemon) -> None:
    daemon.kvm = True
    daemon.off = {"sms", "c1"}
    gone = (Verb.CHANGE, f"KVM cannot be used any more ({WHY})")
    assert daemon.stale(daemon.spec) == {"sms": gone, "c1": gone}


def test_machines_whose_files_are_gone_are_all_remade(daemon: Daemon) -> None:
    daemon.folder.key.unlink()
    found = daemon.stale(daemon.spec)
    assert found == dict.fromkeys(
        (node.name for node in daemon.spec.nodes), (Verb.REMAKE, staleness.FILES_GONE)
    )


def test_machines_asleep_in_a_file_are_unpaused(daemon: Daemon) -> None:
    place = daemon.folder.path / "snapshots" / ".new"
    place.mkdir(parents=True)
    (place / "asleep").touch()
    (place / "c1.save").touch()
    (place / "c2.save").touch()
    daemon.off = {"c1"}
    assert daemon.stale(daemon.spec) == {"c1": (Verb.UNPAUSE, staleness.ASLEEP)}


def test_a_domain_says_whether_its_processors_are_emulated(daemon: Daemon) -> None:
    for kvm in (True, False):
        daemon.kvm = kvm
        assert {machine.kvm for machine in daemon.domains(None, "try")} == {kvm}
    quoted = replace(daemon.domains(None, "try")[0], xml="<domain type='kvm' id='3'>")
    assert quoted.kvm
