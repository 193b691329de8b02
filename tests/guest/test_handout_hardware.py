"""What the SMS does where nodes are virtual machines: exports, a router for iPXE, and kernel arguments."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lab.guest.handout import cluster, hardware, machine
from tests.guest.test_handout_sms import LAB, Played

FILES = Path(hardware.__file__).parents[1] / "files" / "sms"
PROVISION = '# network\nnetwork device = eth1\n# Kernel arguments.\ndefault kargs = "quiet"\n'


@pytest.fixture
def played(tmp_path: Path) -> Played:
    system = Played(tmp_path)
    system.write(cluster.FILE, json.dumps({**LAB, "backend": "libvirt"}).encode())
    name = "dnsmasq-machines.conf"
    template = FILES / machine.TEMPLATES.lstrip("/") / name
    system.write(f"{machine.TEMPLATES}/{name}", template.read_bytes())
    system.write(hardware.DNSMASQ, b"interface=eth1\n")
    system.write(hardware.PROVISION, PROVISION.encode())
    system.write(hardware.EXPORTS, b"# Examples follow.\n")
    return system


def prepare(system: Played) -> None:
    hardware.prepare(system, cluster.read(system))


def test_only_machines_have_kernels_of_their_own(played: Played) -> None:
    assert cluster.read(played).own_kernels
    played.write(cluster.FILE, json.dumps({**LAB, "backend": "docker"}).encode())
    assert not cluster.read(played).own_kernels


def test_storage_is_exported_once_and_a_learners_exports_stay(played: Played) -> None:
    prepare(played)
    exported = played.text(hardware.EXPORTS)
    assert [line.split("(")[0] for line in exported.splitlines() if line.startswith("/")] == [
        "/home *",
        "/opt/ohpc/pub *",
    ]
    assert ["systemctl", "start", "--no-block", "nfs-server.service"] in played.commands
    played.write(hardware.EXPORTS, b"/srv *(ro)\n")
    prepare(played)
    assert played.text(hardware.EXPORTS) == "/srv *(ro)\n"


def test_a_router_that_leads_nowhere_is_announced(played: Played) -> None:
    prepare(played)
    text = played.text(hardware.DNSMASQ)
    assert text.startswith("interface=eth1\n")
    assert "enable-ra" in text
    assert f"dhcp-range={hardware.ROUTER_NETWORK},ra-only" in text
    assert ["ip", "addr", "replace", hardware.ROUTER, "dev", "eth1"] in played.commands


def test_kernel_arguments_are_set_once_and_a_learners_stay(played: Played) -> None:
    prepare(played)
    text = played.text(hardware.PROVISION)
    assert "network device = eth1\n" in text
    assert [line for line in text.splitlines() if line.startswith("default kargs")] == [
        f'default kargs = "{hardware.KARGS}"'
    ]
    mine = text.replace("quiet", "debug")
    played.write(hardware.PROVISION, mine.encode())
    prepare(played)
    assert played.text(hardware.PROVISION) == mine
