"""What root in a machine must not reach: this host's network, files, memory and disk, and other labs.

What can be shown without booting is in tests/unit/backends/libvirt: the switch and the bridge
(test_user_network.py, test_wire_guard.py), disks and devices (test_domain_xml.py), modes (test_storage.py),
and what a machine writes to its ports (test_console_log.py, test_ssh_channel.py, test_time_sync.py).
"""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.backends.libvirt import assembly, engine, inspection, protections, snapshots, wire_guard
from lab.backends.libvirt.backend import LibvirtBackend
from lab.backends.libvirt.domain_xml import domain_xml
from lab.backends.libvirt.engine import bridge_name
from lab.backends.libvirt.storage import DiskStore, LabFolder, make_closed_folder
from lab.config.loader import load
from lab.model import ClusterSpec, Power
from tests.backends.contract import Bed, silent
from tests.backends.test_libvirt_contract import SECONDS, why_not

LAB, UNBOOTED = "hvhostile", "hvunbooted"
NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
FEW = ("c.count=1", "g.count=0", "login.count=0", "client.count=0", "outside.count=0")
ALL = ("c.count=1", "g.count=1", "login.count=1")
KNOWN = {
    "bochs-display": "a GPU that lspci finds",
    "isa-serial": "the console",
    "pcie-root-port": "where libvirt plugs the others",
    "virtio-blk-pci": "disks",
    "virtio-net-pci": "the lab's networks",
    "virtio-rng-pci": "random numbers",
    "virtio-serial-pci": "carries the two ports",
    "virtserialport": "the door, and the time",
}
"""Every device that QEMU is told to make, those that libvirt adds included, and why."""
PORT = 45671

pytestmark = [pytest.mark.engine, pytest.mark.timeout(2 * SECONDS)]
only_bridges = pytest.mark.skipif(engine.is_session(), reason="an account's own libvirt has no bridge")
only_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes another account")


@pytest.fixture(scope="module", autouse=True)
def _usable() -> None:
    if why := why_not():
        assert not os.environ.get("LAB_TEST_NO_SKIP"), why
        pytest.skip(f"no virtual machines here: {why}")


def spec_of(lab: str, sets: tuple[str, ...]) -> ClusterSpec:
    return load(None, sets, {"LAB_BACKEND": "libvirt"}, lab)


@pytest.fixture(scope="module")
def unbooted() -> Iterator[ClusterSpec]:
    """A lab that has everything but power."""
    spec, backend, folder = spec_of(UNBOOTED, ALL), LibvirtBackend(), LabFolder(UNBOOTED)
    backend.delete(UNBOOTED, silent)
    try:
        assembly.make_wires(backend.connection, spec)
        folder.make()
        for node in spec.nodes:
            assembly.make_disks(node, folder, DiskStore())
            assembly.define(backend.connection, spec, node, folder, kvm=False)
        yield spec
    finally:
        backend.delete(UNBOOTED, silent)


def readable_by_others(folder: Path) -> str:
    """What an account that has nothing to do with labs may read below a folder."""
    done = subprocess.run(
        [*NOBODY, "find", str(folder), "-mindepth", "1", "-readable"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.stdout


@pytest.mark.quick
def test_qemu_gets_no_right_and_no_device_that_no_lesson_needs(unbooted: ClusterSpec) -> None:
    connection, folder = LibvirtBackend().connection, LabFolder(UNBOOTED)
    for node in unbooted.nodes:
        words = connection.domainXMLToNative("qemu-argv", domain_xml(unbooted, node, folder, kvm=False))
        made = re.findall(r"-device '?(?:\{\"driver\":\")?([a-z-]+)", words)
        assert made
        assert set(made) <= set(KNOWN), node.name
        assert "-sandbox on" in words
        assert "elevateprivileges=deny,spawn=deny" in words
        assert not re.search(r"-(vnc|spice|usb|fsdev|virtfs|incoming|gdb)\b|vhost", words)


@pytest.mark.quick
@only_root
def test_other_accounts_read_nothing_of_a_lab(unbooted: ClusterSpec) -> None:
    folder = LabFolder(unbooted.lab)
    place = folder.path / "snapshots" / "kept"
    make_closed_folder(place)
    snapshots.copy_disks(folder.path, place)
    assert list(place.iterdir())
    assert readable_by_others(folder.path) == ""
    base = folder.base_of("sms")
    assert subprocess.run([*NOBODY, "test", "-r", base.disk], check=False).returncode == 0, "no secret"
    for path in (base.kernel, base.initrd):
        assert subprocess.run([*NOBODY, "test", "-r", path], check=False).returncode == 1, path


@pytest.mark.quick
@only_bridges
def test_the_bridges_of_a_lab_are_closed_from_the_beginning(unbooted: ClusterSpec) -> None:
    bridges = [bridge_name(unbooted.lab, network.name) for network in unbooted.networks]
    assert len(bridges) == 2
    assert [wire_guard.is_closed(bridge) for bridge in bridges] == [True, True]
    assert not set(bridges) & set(wire_guard.open_cards())


@pytest.mark.quick
def test_the_table_of_protections_is_about_this_host(unbooted: ClusterSpec) -> None:
    found = {one.name: one for one in LibvirtBackend().probe().protections()}
    assert all(one.evidence for one in found.values())
    always = ("QEMU's system calls", "bounded consoles")
    assert {name: found[name].given for name in always} == dict.fromkeys(always, True), found
    assert found["processors of KVM"].given is inspection.kvm_verdict()[0]
    folder = LabFolder(unbooted.lab).path
    folder.chmod(folder.stat().st_mode | 0o001)
    try:
        opened = {one.name: one for one in LibvirtBackend().probe().protections()}["closed files"]
    finally:
        folder.chmod(folder.stat().st_mode & ~0o001)
    assert opened.given is False
    assert unbooted.lab not in found["closed files"].evidence


@pytest.fixture(scope="module")
def up() -> Iterator[Bed]:
    """An SMS and a node of a hostile learner's."""
    bed = Bed(LibvirtBackend(), spec_of(LAB, FEW), SECONDS)
    bed.backend.delete(LAB, silent)
    try:
        bed.up()
        bed.wait_for("sms", "c1")
        yield bed
    finally:
        bed.backend.delete(LAB, silent)


def process_of(node: str) -> Path:
    """A machine's QEMU, in /proc."""
    found = subprocess.run(
        ["pgrep", "-f", f"guest=rackling-{LAB}-{node},"], capture_output=True, text=True, check=True
    )
    return Path("/proc", found.stdout.split()[0])


@only_bridges
def test_a_machines_process_has_no_right_of_roots_and_opens_nothing_but_its_labs(up: Bed) -> None:
    for node in ("sms", "c1"):
        process = process_of(node)
        told = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines())
        assert set(told["Uid"].split()) != {"0"}
        assert int(told["CapEff"], 16) == 0
        assert told["Seccomp"].strip() == "2"
        assert (process / "ns" / "mnt").readlink() != Path("/proc/self/ns/mnt").readlink()
        opened = {str(path.readlink()) for path in (process / "fd").iterdir()}
        ours = (f"{LabFolder(LAB).path}/", f"{DiskStore().folder}/", "/dev/", "/memfd:", "/run/libvirt/qemu/")
        assert [path for path in opened if path.startswith("/") and not path.startswith(ours)] == []
    base = LabFolder(up.name).base_of("sms").disk
    assert base.stat().st_uid == os.geteuid(), "the account of machines may write to it"


def cards_of(lab: str) -> list[str]:
    """The bridges of a lab, and the cards on them; none where there are sockets instead."""
    bridges = [Path("/sys/class/net", bridge_name(lab, name)) for name in ("internal", "external")]
    return [path.name for bridge in bridges if bridge.exists() for path in (bridge, *bridge.glob("brif/*"))]


FRAMES = """
import socket, struct, sys
card = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
card.bind((sys.argv[1], 0))
own, bridge, host, port = card.getsockname()[4], *sys.argv[2:4], int(sys.argv[4])
def address(mac): return bytes.fromhex(mac.replace(":", ""))
def send(target, source, to, text):
    body = struct.pack("!HHHH", 1, port, 8 + len(text), 0) + text
    ends = socket.inet_aton(source) + socket.inet_aton(to)
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(body), 1, 0, 64, 17, 0) + ends
    total = sum(struct.unpack("!10H", head))
    head = head[:10] + struct.pack("!H", ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF) + head[12:]
    card.send(address(target) + own + b"\\x08\\0" + head + body)
for _ in range(3):
    send(bridge, "172.16.0.1", host, b"to its address")
    send("ff:ff:ff:ff:ff:ff", "0.0.0.0", "255.255.255.255", b"to everybody")
    send("01:80:c2:00:00:0e", "172.16.0.1", host, b"as to a switch")
"""


@only_bridges
def test_root_in_a_machine_reaches_no_socket_of_this_host(up: Bed) -> None:
    """The node booted over the same bridge, so it passes frames on."""
    bridge = Path("/sys/class/net", bridge_name(LAB, "internal"))
    mac = (bridge / "address").read_text().strip()
    card = next(one.name for one in up.spec.sms.interfaces if one.network == "internal")
    before = int((bridge / "statistics" / "rx_packets").read_text())
    cards = cards_of(LAB)
    assert len(cards) == 5, "two bridges; two cards of the SMS, and one of the node"
    assert not set(cards) & set(wire_guard.open_cards())
    told = json.loads(subprocess.run(["ip", "-j", "addr"], capture_output=True, check=True).stdout)
    mine = [one["local"] for card in told for one in card["addr_info"] if one["family"] == "inet"]
    host = next(address for address in mine if not address.startswith("127."))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
        line.bind(("0.0.0.0", PORT))  # noqa: S104 (who is not asked hears nothing)
        line.settimeout(2)
        done = up.run("sms", f"python3 - {card} {mac} {host} {PORT}", stdin=FRAMES.encode())
        assert done.returncode == 0, done
        with pytest.raises(TimeoutError):
            line.recv(100)
    arrived = int((bridge / "statistics" / "rx_packets").read_text()) - before
    assert arrived >= 6, "what is not sent reaches nobody"


def test_the_head_of_another_format_on_a_disk_shows_nothing_of_this_host(up: Bed, tmp_path: Path) -> None:
    """Were the format guessed, QEMU would take the file that the head names for what the disk lies on."""
    tmp_path.chmod(0o755)
    secret, head = tmp_path / "secret", tmp_path / "head"
    secret.write_bytes(b"a secret of this host\n" * 100)
    secret.chmod(0o644)
    make = ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", str(secret), str(head), "64M"]
    subprocess.run(make, check=True)
    assert (
        up.run("c1", "dd of=/dev/vda conv=fsync status=none", stdin=head.read_bytes()[:4096]).returncode == 0
    )
    size = up.must("c1", "blockdev --getsize64 /dev/vda")
    up.backend.stop(LAB, ["c1"], hard=True)
    up.wait_off("c1")
    up.backend.start(LAB, ["c1"])
    up.wait_for("c1")
    assert up.must("c1", "blockdev --getsize64 /dev/vda") == size
    assert up.must("c1", "head -c 3 /dev/vda") == "QFI"
    assert up.run("c1", "head -c 1000000 /dev/vda | grep -a 'a secret'").returncode == 1


def test_a_console_without_end_takes_little_of_the_disk_and_stops_no_command(up: Bed) -> None:
    flood = r"while :; do printf '%8000d\033]7337;init 1 \033[2J\n' 1; done"
    up.must("c1", f'setsid timeout 20 sh -c "{flood}" </dev/null >/dev/ttyS0 2>&1 &')
    time.sleep(10)
    began = time.monotonic()
    assert up.status()["c1"].power is Power.ON
    assert time.monotonic() - began < 20
    files = list(LabFolder(LAB).path.glob("c1.console*"))
    assert files
    assert sum(path.stat().st_size for path in files) < 5 * protections.LOG_BYTES


@only_root
def test_other_accounts_read_nothing_of_a_running_lab_and_of_its_memory(up: Bed) -> None:
    up.backend.snapshot(LAB, "kept", silent)
    folder = LabFolder(LAB)
    assert list((folder.path / "snapshots" / "kept").glob("*.save"))
    assert readable_by_others(folder.path) == ""
    assert not folder.path.stat().st_mode & 0o007
    assert folder.door("c1").is_socket()
    found = subprocess.run([*NOBODY, "test", "-e", str(folder.door("c1"))], check=False)
    assert found.returncode == 1, "who finds it may open it"
    assert not set(cards_of(LAB)) & set(wire_guard.open_cards()), "machines went on with new cards"
