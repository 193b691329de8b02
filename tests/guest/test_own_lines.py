"""Every file that our programs write again keeps what an administrator wrote there."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from lab.guest.setup import cluster, host, program, provisioning, slurm, vm_host
from lab.guest.setup.identity import Identity
from lab.guest.system import System
from lab.guest.warewulf import events, render
from lab.guest.warewulf.model import MACHINE_KARGS
from tests.guest.conftest import Sms
from tests.guest.test_setup_sms import LAB, MACS, Played, play_ours

MINE = "# mine\n"
HOST_KEYS = tuple(
    f"{folder}/ssh_host_ed25519_key"
    for folder in ("/etc/ssh", "/etc/warewulf/vnfs/ssh", f"{host.CHROOT}/etc/ssh")
)


@pytest.fixture
def head(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Played:
    """A bare SMS on which the whole set-up can run; only other programs are played."""
    play_ours(monkeypatch)
    monkeypatch.setattr(host, "install_users", lambda *_words, **_more: None)  # only root gives files away
    system = Played(tmp_path)
    system.write(cluster.FILE, json.dumps(LAB).encode())
    system.write("/sys/class/net/eth0/address", (MACS["sms0"] + "\n").encode())
    system.write("/sys/class/net/eth1/address", (MACS["sms1"] + "\n").encode())
    system.write("/proc/cmdline", b"quiet\n")
    for name in ("dnsmasq.conf", "nginx.conf", "dnsmasq-machines.conf"):
        system.write(f"{host.TEMPLATES}/{name}", b"")
    return system


def set_up(system: System) -> None:
    assert program.main([], system) == 0
    vm_host.prepare(system, cluster.read(system))


ABOVE, BELOW = (lambda text: MINE + text), (lambda text: text + MINE)
REPLACED = lambda _text: MINE  # noqa: E731
KEPT: dict[str, Callable[[str], str]] = {
    "/etc/hosts": ABOVE,
    "/etc/ssh/ssh_known_hosts": BELOW,
    "/root/.ssh/config": REPLACED,
    "/etc/warewulf/provision.conf": ABOVE,
    "/etc/slurm/slurm.conf": BELOW,
    "/etc/slurm/gres.conf": BELOW,
    "/etc/slurm/cgroup.conf": REPLACED,
    "/etc/exports": BELOW,
    vm_host.NODEIMAGE_KARGS: REPLACED,
    f"{host.CHROOT}/etc/ssh/ssh_known_hosts": BELOW,
    f"{host.CHROOT}/root/.ssh/authorized_keys": BELOW,
    provisioning.NETWORK_TEMPLATE: BELOW,
}
"""What an administrator does to each file that the set-up writes and that is theirs, too."""
OURS = {
    "/etc/rackling/dnsmasq.conf": "says where an administrator's own settings belong",
    "/etc/nginx/conf.d/warewulf.conf": "says where an administrator's own settings belong",
    "/etc/munge/munge.key": "a key of the lab",
    "/etc/slurm/jwt_hs256.key": "a key of the lab",
    "/root/.ssh/cluster": "a key of the lab",
    **{path: "a key of the lab" for folder in HOST_KEYS for path in (folder, f"{folder}.pub")},
    MACHINE_KARGS: "the kernel arguments of the SMS",
}
"""Why the set-up may replace the other files."""
RECORDS = ("/etc/rackling/", "/var/lib/rackling/", "/run/rackling/")
"""Folders that only the lab's programs use."""


def test_each_file_of_the_set_up_is_an_administrators_too_or_ours_for_a_reason(
    head: Played, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: set[str] = set()
    really = System.write

    def noted(system: System, path: str, data: bytes, mode: int = 0o644) -> bool:
        written.add(path)
        return really(system, path, data, mode)

    monkeypatch.setattr(System, "write", noted)
    set_up(head)
    assert {path for path in written if not path.startswith(RECORDS)} - set(OURS) == set(KEPT)


@pytest.mark.parametrize("path", KEPT)
def test_the_set_up_keeps_an_administrators_lines(head: Played, path: str) -> None:
    set_up(head)
    Path(head.path(path)).write_text(KEPT[path](head.text(path)))
    another = json.loads(json.dumps(LAB).replace(MACS["g1"], "52:54:00:00:00:99").replace('"g1"', '"g9"'))
    another["nodes"][-1]["gpus"] = 1
    for description in (LAB, another):
        head.write(cluster.FILE, json.dumps(description).encode())
        set_up(head)
        assert MINE.rstrip() in head.text(path).splitlines()
    assert head.text(path).count(MINE) == 1


def test_a_new_node_is_named_beside_an_administrators_lines(head: Played) -> None:
    """The lines that the set-up renews are renewed, not added again."""
    set_up(head)
    key = "gateway ssh-rsa AAAA mine\n"
    for path in ("/etc/ssh/ssh_known_hosts", f"{host.CHROOT}/etc/ssh/ssh_known_hosts"):
        head.write(path, (head.text(path) + key).encode())
    renamed = json.loads(json.dumps(LAB).replace('"g1"', '"g9"'))
    renamed["nodes"][-1]["gpus"] = 2
    head.write(cluster.FILE, json.dumps(renamed).encode())
    set_up(head)
    for path in ("/etc/ssh/ssh_known_hosts", f"{host.CHROOT}/etc/ssh/ssh_known_hosts"):
        names = [line.split()[0] for line in head.text(path).splitlines()]
        assert names == ["sms,172.16.0.1", "login,172.16.0.2,c1,172.16.1.1,g9,172.16.2.1", "gateway"]
    assert "NodeName=g9 Name=gpu File=/dev/nvidia[0-1]\n" in head.text(slurm.GRES_CONF)


def test_a_key_that_the_nodes_trust_already_is_not_added_again(head: Played) -> None:
    set_up(head)
    trusted = f"{host.CHROOT}/root/.ssh/authorized_keys"
    before = head.text(trusted)
    assert before == Identity(head).public_key("root") + "\n"
    Path(head.path(f"{host.CHROOT}/etc/ssh/ssh_known_hosts")).unlink()
    set_up(head)
    assert head.text(trusted) == before


ABOVE_THE_MARKER = ("/etc/hosts", events.GENDERS)
WAREWULFS_OWN = (events.DHCP_HOSTS, events.DHCP_OPTIONS)
"""Rebuilt as a whole, as Warewulf's dhcpd.conf is; the first line says so."""


@pytest.mark.parametrize("path", ABOVE_THE_MARKER)
def test_wwsh_keeps_the_lines_above_its_marker(sms: Sms, path: str) -> None:
    # A line that only contains the marker is none.
    mine = f"{MINE}# note: {render.MARKER}\n"
    sms.write(path, mine)
    sms.must("node", "new", "c[1-2]", "-D", "eth0", "-I", "172.16.1.1", "-g", "cpu")
    sms.must("node", "delete", "c1")
    assert sms.read(path).startswith(f"{mine}\n{render.MARKER}\n")
    assert "c2" in sms.read(path).split(f"\n{render.MARKER}\n")[1]
    assert "c1" not in sms.read(path)


def test_wwsh_says_that_changes_of_the_other_files_are_lost(sms: Sms) -> None:
    sms.must("node", "new", "c1")
    for path in WAREWULFS_OWN:
        assert sms.read(path).splitlines()[0] == render.GENERATED


def test_wwsh_keeps_boot_scripts_that_are_no_nodes(sms: Sms) -> None:
    """Provision/Pxe.pm (delete) removes the scripts of nodes only."""
    sms.write(f"{events.IPXE}/default", "#!ipxe\n# a machine that is not Warewulf's\n")
    sms.write(f"{events.IPXE}/52:54:00:00:00:77", f"{render.IPXE_HEAD}gone\n")
    sms.path(f"{events.IPXE}/more").mkdir()
    sms.must("node", "new", "c1")
    assert sorted(path.name for path in sms.path(events.IPXE).iterdir()) == ["default", "more"]


def test_wwinit_keeps_an_administrators_files(bare: Sms) -> None:
    bare.write("/sys/class/net/lo/address", "")
    bare.run("wwinit", "ALL")
    paths = ["/root/.ssh/authorized_keys", "/root/.ssh/config", "/etc/hosts"]
    paths += [f"/etc/warewulf/{name}" for name in ("provision.conf", "vnfs.conf", "bootstrap.conf")]
    before = {path: MINE + (bare.read(path) if bare.path(path).exists() else "") for path in paths}
    for path, text in before.items():
        bare.write(path, text)
    bare.run("wwinit", "ALL")
    assert all(bare.read(path).startswith(MINE) for path in paths)
