"""Machines and wires as libvirt is told of them: pure text from the specification."""

from __future__ import annotations

import base64
import gzip
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from lab.backends.libvirt import engine
from lab.backends.libvirt.domain_xml import domain_xml, network_xml, profile, wire_of
from lab.backends.libvirt.storage import LabFolder
from lab.config.loader import load
from lab.model import ClusterSpec
from lab.serialize import spec_from_json

KEY = "ssh-ed25519 AAAAC3Nza lab\n"


@pytest.fixture(autouse=True)
def _bridges(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever runs these tests."""
    monkeypatch.setenv("LAB_LIBVIRT_URI", engine.SYSTEM)


@pytest.fixture
def spec() -> ClusterSpec:
    return load(None, (), {"LAB_BACKEND": "libvirt"}, "try")


@pytest.fixture
def folder(tmp_path: Path) -> LabFolder:
    made = LabFolder("try", tmp_path)
    made.path.mkdir(parents=True)
    (made.path / "key.pub").write_text(KEY)
    for name in ("sms", "outside", "client"):
        (made.path / f"{name}.base").symlink_to(tmp_path / "base" / "sms-0123456789ab.raw")
    return made


def parsed(text: str) -> ET.Element:
    return ET.fromstring(text)  # noqa: S314 (our own)


def described(spec: ClusterSpec, name: str, folder: LabFolder, *, kvm: bool = False) -> ET.Element:
    return parsed(domain_xml(spec, spec.node(name), folder, kvm=kvm))


def strings(domain: ET.Element) -> dict[str, str]:
    entries = [entry.text or "" for entry in domain.iterfind("sysinfo/oemStrings/entry")]
    return dict(entry.removeprefix("rackling.").split("=", 1) for entry in entries)


def test_a_node_has_no_disk_of_ours_and_boots_by_its_internal_card_only(
    spec: ClusterSpec, folder: LabFolder
) -> None:
    login = described(spec, "login", folder)
    assert login.find("os/kernel") is None
    cards = {card.find("mac").get("address"): card for card in login.iterfind("devices/interface")}  # type: ignore[union-attr]
    booting = [mac for mac, card in cards.items() if card.find("boot") is not None]
    assert booting == [spec.node("login").mac]
    assert all(card.find("rom") is not None for mac, card in cards.items() if mac not in booting)
    assert [disk.find("target").get("dev") for disk in login.iterfind("devices/disk")] == ["vda"]  # type: ignore[union-attr]


def test_a_node_without_a_disk_has_none(spec: ClusterSpec, folder: LabFolder) -> None:
    bare = replace(spec, nodes=tuple(replace(node, disk=0) for node in spec.nodes))
    assert not list(described(bare, "c1", folder).iterfind("devices/disk"))


def test_the_sms_boots_its_disk_with_the_kernel_of_its_base_and_knows_its_cluster(
    spec: ClusterSpec, folder: LabFolder
) -> None:
    sms = described(spec, "sms", folder)
    assert str(sms.findtext("os/kernel")).endswith("/base/sms-0123456789ab.kernel")
    assert str(sms.findtext("os/initrd")).endswith("/base/sms-0123456789ab.initrd")
    assert "root=/dev/vda" in str(sms.findtext("os/cmdline"))
    packed = base64.b64decode(strings(sms)["cluster"])
    assert spec_from_json(gzip.decompress(packed).decode()) == spec
    assert not list(sms.iterfind("devices/interface/boot"))


@pytest.mark.parametrize(
    ("name", "addresses", "known", "unknown"),
    [
        ("outside", "eth0=203.0.113.66/24", "203.0.113.10 sms", "172.16."),
        ("client", "eth0=172.16.0.100/16", "172.16.0.1 sms", "outside"),
    ],
)
def test_a_machine_beside_the_cluster_knows_its_place_and_nothing_of_the_cluster(
    spec: ClusterSpec, folder: LabFolder, name: str, addresses: str, known: str, unknown: str
) -> None:
    beside = described(spec, name, folder)
    assert [disk.find("target").get("dev") for disk in beside.iterfind("devices/disk")] == ["vda"]  # type: ignore[union-attr]
    assert str(beside.findtext("os/initrd")).endswith("/base/sms-0123456789ab.initrd")
    told = strings(beside)
    assert (told["beside"], told["hostname"], told["addresses"]) == (name, name, addresses)
    assert known in told["names"].split(";")
    assert unknown not in told["names"]
    assert "cluster" not in told


@pytest.mark.parametrize(
    ("subnet", "client", "sms"),
    [
        ("10.0.0.0/8", "eth0=10.0.0.100/8", "10.0.0.1"),
        ("192.168.7.0/24", "eth0=192.168.7.254/24", "192.168.7.1"),
    ],
)
def test_machines_of_any_subnet_are_told_their_addresses(
    folder: LabFolder, subnet: str, client: str, sms: str
) -> None:
    spec = load(None, [f"networks.internal.subnet={subnet}"], {}, "lab")
    told = strings(described(spec, "client", folder))
    assert (told["addresses"], told["server"]) == (client, sms)
    assert f"{sms} sms" in told["names"].split(";")
    packed = base64.b64decode(strings(described(spec, "sms", folder))["cluster"])
    assert str(spec_from_json(gzip.decompress(packed).decode()).sms.address) == sms


def test_a_node_is_told_the_addresses_that_come_with_its_cards(spec: ClusterSpec, folder: LabFolder) -> None:
    assert strings(described(spec, "login", folder))["addresses"].startswith("eth1=203.0.113.")
    assert "addresses" not in strings(described(spec, "c1", folder))


def test_only_the_public_key_is_told(spec: ClusterSpec, folder: LabFolder) -> None:
    (folder.path / "key").write_text("-----BEGIN OPENSSH PRIVATE KEY-----\nsecret\n")
    for name in ("sms", "c1"):
        text = domain_xml(spec, spec.node(name), folder, kvm=False)
        assert "PRIVATE" not in text
        assert strings(parsed(text))["door"] == "ssh-ed25519 AAAAC3Nza"


def test_software_emulation_gets_a_processor_that_linux_survives(
    spec: ClusterSpec, folder: LabFolder
) -> None:
    slow, fast = (described(spec, "c1", folder, kvm=kvm) for kvm in (False, True))
    assert (slow.get("type"), fast.get("type")) == ("qemu", "kvm")
    disabled = [one.get("name") for one in slow.iterfind("cpu/feature") if one.get("policy") == "disable"]
    assert disabled == ["cx16"]
    assert slow.find("features/tcg/tb-cache") is not None
    assert fast.find("features/tcg") is None
    assert fast.find("cpu").get("mode") == "host-model"  # type: ignore[union-attr]


def test_each_gpu_is_a_device_in_a_place_of_its_own(spec: ClusterSpec, folder: LabFolder) -> None:
    space = "{http://libvirt.org/schemas/domain/qemu/1.0}"
    found = [str(one.get("value")) for one in described(spec, "g1", folder).iter(f"{space}arg")]
    devices = [value for value in found if value.startswith("bochs-display")]
    assert len(devices) == spec.node("g1").gpus == len(set(devices))
    assert not list(described(spec, "c1", folder).iter(f"{space}arg"))


def test_without_root_cards_are_sockets_in_the_labs_folder(
    spec: ClusterSpec, folder: LabFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_bridges = profile(spec, spec.node("login"), folder, kvm=False)
    monkeypatch.setenv("LAB_LIBVIRT_URI", engine.SESSION)
    space = "{http://libvirt.org/schemas/domain/qemu/1.0}"
    login = described(spec, "login", folder)
    assert not list(login.iterfind("devices/interface"))
    assert [one.get("dev") for one in login.iterfind("os/boot")] == ["network"]  # else the disk boots first
    words = [str(one.get("value")) for one in login.iter(f"{space}arg")]
    wires = [word for word in words if word.startswith("dgram,")]
    assert [f"remote.path={folder.switch(name)}" in wire for name, wire in
            zip(("internal", "external"), wires, strict=True)] == [True, True]  # fmt: skip
    cards = [word for word in words if word.startswith("virtio-net-pci,")]
    assert [("bootindex=1" in card, "romfile=" in card) for card in cards] == [(True, False), (False, True)]
    assert len({card.split("addr=")[1].split(",")[0] for card in cards}) == len(cards)
    assert not list(described(spec, "sms", folder).iterfind("os/boot"))
    assert profile(spec, spec.node("login"), folder, kvm=False) != with_bridges


def test_marks_come_back_from_what_was_described(spec: ClusterSpec, folder: LabFolder) -> None:
    wire = wire_of(spec, spec.networks[0], "somebody", "2026-11-21T12:00:00+00:00")
    marks = engine.metadata_of(network_xml(wire))
    assert spec_from_json(marks["spec"]) == spec
    assert (marks["name"], marks["network"], marks["owner"]) == ("try", spec.networks[0].name, "somebody")
    marks = engine.metadata_of(domain_xml(spec, spec.node("c1"), folder, kvm=False))
    assert (marks["name"], marks["node"]) == ("try", "c1")
    assert marks["profile"] == profile(spec, spec.node("c1"), folder, kvm=False)
    assert engine.metadata_of("<domain><name>another's</name></domain>") == {}


def test_a_wire_has_no_address_of_the_host_and_a_bridge_name_that_fits(spec: ClusterSpec) -> None:
    for network in spec.networks:
        found = parsed(network_xml(wire_of(spec, network, "x", "y")))
        assert found.find("ip") is None
        assert found.find("forward") is None
        assert len(str(found.find("bridge").get("name"))) <= 15  # type: ignore[union-attr]


def test_what_a_machine_is_made_of_decides_its_profile(spec: ClusterSpec, folder: LabFolder) -> None:
    def of(**changes: int) -> str:
        return profile(spec, replace(spec.node("c1"), **changes), folder, kvm=False)  # type: ignore[arg-type]

    assert of() == of()
    assert len({of(), of(memory=2000), of(cpus=1), of(gpus=1), of(disk=0)}) == 5


def test_labs_do_not_share_bridges() -> None:
    names = {engine.bridge_name(lab, network) for lab in ("a", "b", "a-b") for network in ("internal", "b")}
    assert len(names) == 6


# what of this host a machine gets

NEEDED = {
    "controller": "libvirt adds one for USB otherwise: there is none",
    "disk": "the SMS's system and identity; what learners partition on nodes",
    "interface": "the lab's networks",
    "serial": "the console",
    "channel": "the door, and where the time is told",
    "rng": "keys are made at the first boot",
    "video": "there is none; libvirt adds one otherwise",
    "memballoon": "there is none; libvirt adds one otherwise",
}
"""A machine's devices, and why: no screen, no shared folder, no socket of the host's, no agent of QEMU's."""


@pytest.mark.parametrize("uri", [engine.SYSTEM, engine.SESSION])
@pytest.mark.parametrize("kvm", [True, False])
def test_a_machine_has_no_device_that_no_lesson_needs(
    spec: ClusterSpec, folder: LabFolder, monkeypatch: pytest.MonkeyPatch, uri: str, kvm: bool
) -> None:
    monkeypatch.setenv("LAB_LIBVIRT_URI", uri)
    for node in spec.nodes:
        devices = described(spec, node.name, folder, kvm=kvm).find("devices")
        assert devices is not None
        assert {device.tag for device in devices} <= set(NEEDED), node.name
        assert [(one.get("type"), one.get("model")) for one in devices.iterfind("controller")] == [
            ("usb", "none")
        ]
        assert [one.get("type") for one in devices.iterfind("video/model")] == ["none"]
        assert [one.get("model") for one in devices.iterfind("memballoon")] == ["none"]
        names = [str(one.get("name")) for one in devices.iterfind("channel/target")]
        assert names == ["rackling.door", "rackling.clock"]
        rate = devices.find("rng/rate")
        assert rate is not None
        assert int(str(rate.get("bytes"))) <= 1 << 16


def test_no_format_and_no_base_is_left_to_guess(
    spec: ClusterSpec, folder: LabFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine may write the head of another format to its disk, which names any file of this host's."""
    for uri in (engine.SYSTEM, engine.SESSION):
        monkeypatch.setenv("LAB_LIBVIRT_URI", uri)
        for node in spec.nodes:
            for disk in described(spec, node.name, folder).iterfind("devices/disk"):
                form = disk.find("driver").get("type")  # type: ignore[union-attr]
                below = disk.find("backingStore")
                assert below is not None, "libvirt would look for one"
                assert form in ("raw", "qcow2")
                if form == "raw":
                    assert not list(below)
                    continue
                assert below.find("format").get("type") == "raw"  # type: ignore[union-attr]
                assert below.find("source").get("file") == str(folder.base_of(node.name).disk)  # type: ignore[union-attr]
                assert below.find("backingStore") is not None
                assert not list(below.find("backingStore"))  # type: ignore[arg-type]


def test_the_base_of_all_labs_is_not_given_to_the_account_of_machines(
    spec: ClusterSpec, folder: LabFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels = "devices/disk/backingStore/source/seclabel"
    (label,) = described(spec, "sms", folder).iterfind(labels)
    assert label.attrib == {"model": "dac", "relabel": "no"}
    monkeypatch.setenv("LAB_LIBVIRT_URI", engine.SESSION)  # which knows no such label
    assert not list(described(spec, "sms", folder).iterfind(labels))


def test_cards_are_served_by_the_machines_own_process(spec: ClusterSpec, folder: LabFolder) -> None:
    cards = list(described(spec, "login", folder, kvm=True).iterfind("devices/interface"))
    assert len(cards) == 2
    assert [card.find("driver").get("name") for card in cards] == ["qemu"] * 2  # type: ignore[union-attr]
