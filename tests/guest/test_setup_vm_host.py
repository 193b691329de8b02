"""What the SMS does where nodes are virtual machines: exports, a router for iPXE, and kernel arguments."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lab.guest.setup import cluster, host, vm_host
from lab.guest.warewulf import model
from tests.guest.test_setup_sms import LAB, Played

FILES = Path(vm_host.__file__).parents[1] / "files" / "sms"


@pytest.fixture
def played(tmp_path: Path) -> Played:
    system = Played(tmp_path)
    system.write(cluster.FILE, json.dumps({**LAB, "backend": "libvirt"}).encode())
    name = "dnsmasq-machines.conf"
    template = FILES / host.TEMPLATES.lstrip("/") / name
    system.write(f"{host.TEMPLATES}/{name}", template.read_bytes())
    system.write(vm_host.DNSMASQ, b"interface=eth1\n")
    system.write(vm_host.CMDLINE, b"root=/dev/vda rw console=ttyS0 net.ifnames=0 quiet audit=0 panic=1\n")
    system.write(vm_host.EXPORTS, b"# Examples follow.\n")
    return system


def prepare(system: Played) -> None:
    vm_host.prepare(system, cluster.read(system))


def test_only_machines_have_kernels_of_their_own(played: Played) -> None:
    assert cluster.read(played).own_kernels
    played.write(cluster.FILE, json.dumps({**LAB, "backend": "docker"}).encode())
    assert not cluster.read(played).own_kernels


def test_storage_is_exported_once_and_a_learners_exports_stay(played: Played) -> None:
    prepare(played)
    exported = played.text(vm_host.EXPORTS)
    assert [line.split("(")[0] for line in exported.splitlines() if line.startswith("/")] == [
        "/home *",
        "/opt/ohpc/pub *",
    ]
    assert ["systemctl", "start", "--no-block", "nfs-server.service"] in played.commands
    played.write(vm_host.EXPORTS, b"/srv *(ro)\n")
    prepare(played)
    assert played.text(vm_host.EXPORTS) == "/srv *(ro)\n"


def test_a_router_that_leads_nowhere_is_announced(played: Played) -> None:
    prepare(played)
    text = played.text(vm_host.DNSMASQ)
    assert text.startswith("interface=eth1\n")
    assert "enable-ra" in text
    assert f"dhcp-range={vm_host.ROUTER_NETWORK},ra-only" in text
    assert ["ip", "addr", "replace", vm_host.ROUTER, "dev", "eth1"] in played.commands


def test_kernels_are_told_what_their_machines_need_and_warewulfs_own_default_stays(played: Played) -> None:
    prepare(played)
    assert played.text(model.MACHINE_KARGS) == "console=ttyS0 audit=0 panic=1\n"
    assert not played.exists("/etc/warewulf/provision.conf")
