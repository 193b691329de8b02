"""What changes write for other servers (warewulf3.md, sections 9, 14 and 15.2)."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lab.guest.warewulf import render
from lab.guest.warewulf.model import MACHINE_KARGS, Kind, NetDev, Record
from lab.guest.warewulf.network import BootNetwork

if TYPE_CHECKING:
    from tests.guest.conftest import Sms

NETWORK = BootNetwork("172.16.0.1", "255.255.0.0")
TEMPLATE = Path(__file__).parents[2] / "lab/guest/files/sms/usr/share/rackling/dnsmasq.conf"
MAC = "52:54:00:00:00:01"
BOOTSTRAP = Record(Kind.BOOTSTRAP, {"NAME": "6.12", "ARCH": "x86_64"}, id=7)


def node(**keys: str) -> Record:
    device = NetDev("eth0", hwaddr=(MAC,), ipaddr="172.16.1.1")
    return Record(
        Kind.NODE, {"NAME": ("c1",), "NODENAME": "c1", "BOOTSTRAPID": "7", **keys}, (device,), id=12
    )


def test_reservations_and_the_reason_for_each_gap(sms: Sms) -> None:
    for words in (
        ["a", "-D", "eth0", "-H", MAC, "-I", "172.16.1.1"],
        ["b", "-D", "eth0", "-I", "172.16.1.2"],
        ["c", "-D", "eth0", "-H", "52:54:00:00:00:03"],
        ["d", "-D", "eth0", "-H", "52:54:00:00:00:04", "-I", "10.0.0.1"],
        ["e", "-D", "eth0", "-H", "52:54:00:00:00:05", "-I", "172.16.1.1"],
        ["f", "-D", "eth0", "-H", "52:54:00:00:00:06,52:54:00:00:00:07", "-I", "172.16.1.6"],
        ["g", "-D", "eth0", "-H", "52:54:00:00:00:08", "-I", "172.16.1.8", "--enabled=0"],
    ):
        assert sms.wwsh("node", "new", *words).status == 0
    assert sms.read("/etc/warewulf/dnsmasq.hosts").splitlines()[1:] == [
        "# Evaluating Warewulf node: a (DB ID:1)",
        "# Adding host entry for a-eth0",
        f"{MAC},set:a-eth0,172.16.1.1,a",
        "# Evaluating Warewulf node: b (DB ID:3)",
        "# Skipping b-eth0: No defined HWADDR",
        "# Evaluating Warewulf node: c (DB ID:4)",
        "# Skipping c-eth0: No defined IPADDR",
        "# Evaluating Warewulf node: d (DB ID:5)",
        "# Skipping d-eth0: Not on boot network (10.0.0.1)",
        "# Evaluating Warewulf node: e (DB ID:6)",
        "# Skipping e-eth0: duplicate IPADDR (172.16.1.1)",
        "# Evaluating Warewulf node: f (DB ID:7)",
        "# Adding host entry for f-eth0",
        "52:54:00:00:00:06,52:54:00:00:00:07,set:f-eth0,172.16.1.6,f",
        "# Evaluating Warewulf node: g (DB ID:8)",
        "# Skipping g-eth0: Node is disabled",
    ]


def test_options_of_single_nodes() -> None:
    device = NetDev("eth0", gateway="172.16.0.1", mtu="9000")
    text = render.dnsmasq_options([Record(Kind.NODE, {"NAME": "c1"}, (device,))])
    assert "tag:c1-eth0,option:router,172.16.0.1\ntag:c1-eth0,option:mtu,9000\n" in text


def test_a_boot_file_of_a_nodes_own_is_in_the_dhcp_answer_and_stays_there(sms: Sms) -> None:
    sms.must("node", "new", "c1", "-D", "eth0", "-H", MAC, "-I", "172.16.1.1")
    sms.must("node", "new", "c2", "-D", "eth0", "-H", "52:54:00:00:00:02", "-I", "172.16.1.2")
    url = "http://%{IPADDR}/site/${mac}"
    sms.must("provision", "set", "c1", f"--ipxeurl={url}", "--pxeloader=site/lpxelinux.0")
    options = (
        "tag:c1-eth0,tag:ipxe,option:bootfile-name,http://172.16.0.1/site/${mac}\n"
        "tag:c1-eth0,tag:!ipxe,option:bootfile-name,warewulf/site/lpxelinux.0\n"
    )
    for _ in range(2):
        hosts = sms.read("/etc/warewulf/dnsmasq.hosts")
        assert f"{MAC},set:c1-eth0,set:own-ipxe,set:own-loader,172.16.1.1,c1\n" in hosts
        assert "52:54:00:00:00:02,set:c2-eth0,172.16.1.2,c2\n" in hosts
        assert sms.read("/etc/warewulf/dnsmasq.options").endswith(options)
        sms.must("dhcp", "update")
    sms.must("provision", "set", "c1", "--ipxeurl=UNDEF", "--pxeloader=UNDEF")
    assert "own-" not in sms.read("/etc/warewulf/dnsmasq.hosts")
    assert "bootfile-name" not in sms.read("/etc/warewulf/dnsmasq.options")


def test_general_boot_files_are_not_for_nodes_with_their_own() -> None:
    template = TEMPLATE.read_text()
    lines = [line for line in template.splitlines() if line.startswith("dhcp-boot=")]
    assert len(lines) == 4
    for line in lines:
        tag = "own-loader" if "tag:!ipxe" in line else "own-ipxe"
        assert f"tag:!{tag}," in line
        assert tag in render.OWN_BOOT.values()


def test_hosts_keep_what_an_administrator_wrote_above_the_marker(sms: Sms) -> None:
    sms.must("node", "new", "c1", "-D", "eth0", "-I", "172.16.1.1")
    sms.must("node", "set", "c1", "-D", "ib0", "-I", "192.0.2.1")
    assert sms.read("/etc/hosts").splitlines() == [
        "127.0.0.1 localhost",
        "172.16.0.1 sms",
        "",
        render.MARKER,
        "172.16.1.1              c1 c1.localdomain c1-eth0 c1-eth0.localdomain",
        "192.0.2.1               c1-ib0 c1-ib0.localdomain",
    ]
    sms.must("node", "delete", "c1")
    assert sms.read("/etc/hosts").splitlines()[-1] == render.MARKER


def test_a_nodes_own_name_is_its_address_on_the_boot_network(sms: Sms) -> None:
    """Provision/HostsFile.pm (generate): not the first device, and none if no device is on that network."""
    sms.must("node", "new", "c1", "-D", "bond0", "-I", "192.0.2.1", "--domain=d.e")
    sms.must("node", "set", "c1", "-D", "eth0", "-I", "172.16.1.1")
    sms.must("node", "new", "c2", "-D", "eth0", "-I", "192.0.2.2")
    sms.must("node", "new", "c3", "-D", "ib0", "-I", "192.0.2.3")
    sms.must("node", "set", "c3", "-D", "ib1", "-I", "192.0.2.4")
    sms.must("node", "new", "DEFAULT", "-D", "eth0", "-I", "172.16.1.9")
    rows = sms.read("/etc/hosts").split(render.MARKER + "\n")[1].splitlines()
    assert [row.split() for row in rows] == [
        ["192.0.2.1", "c1-bond0", "c1-bond0.localdomain", "c1-bond0.d.e"],
        ["172.16.1.1", "c1", "c1.localdomain", "c1.d.e", "c1-eth0", "c1-eth0.localdomain", "c1-eth0.d.e"],
        ["192.0.2.2", "c2", "c2.localdomain", "c2-eth0", "c2-eth0.localdomain"],
        ["192.0.2.3", "c3-ib0", "c3-ib0.localdomain"],
        ["192.0.2.4", "c3-ib1", "c3-ib1.localdomain"],
    ]


def test_new_nodes_get_the_defaults_of_node_conf(sms: Sms) -> None:
    """Event/DefaultNode.pm, and Event/UniqueNode.pm for `unique hwaddrs`."""
    rows = ("netdev = eth0", "groups = x, y", "cluster = k", "netmask = 255.255.0.0", "gateway = 192.0.2.9")
    sms.write("/etc/warewulf/defaults/node.conf", "\n".join((*rows, "unique hwaddrs = no", "")))
    sms.must("node", "new", "c[1-2]", "-I", "172.16.1.1", "-g", "a", "-G", "192.0.2.8")
    shown = sms.must("node", "print", "c2")
    for row in ("GROUPS           = a,x,y", "CLUSTER          = k", "eth0.IPADDR      = 172.16.1.2"):
        assert f"c2.k: {row}\n" in shown
    for row in ("eth0.NETMASK     = 255.255.0.0", "eth0.GATEWAY     = 192.0.2.8"):
        assert f"c2.k: {row}\n" in shown
    for name in ("c1", "c2"):
        sms.must("node", "set", name, "-H", "52:54:00:00:00:01")


def test_a_line_of_the_configuration_that_says_nothing_is_told(sms: Sms) -> None:
    text = sms.read("/etc/warewulf/provision.conf")
    sms.write("/etc/warewulf/provision.conf", f"{text}update hostfile: no\n")
    sms.write("/etc/warewulf/defaults/node.conf", "groups = 'a\n")
    done = sms.wwsh("node", "new", "c1")
    assert "WARNING:  provision.conf line 4: cannot parse: update hostfile: no\n" in done.err
    assert "WARNING:  defaults/node.conf line 1: a quote is not closed" in done.err


def test_genders(sms: Sms) -> None:
    sms.must("node", "new", "c1", "-g", "cpu,rack1")
    sms.must("node", "new", "c2")
    sms.must("node", "new", "c3", "-g", "cpu", "--enabled=0")
    sms.must("node", "new", "DEFAULT", "-g", "cpu")
    rows = ["c1 cpu,rack1", "c2", "# DISABLED c3 cpu"]
    assert sms.read("/etc/genders").splitlines() == [render.MARKER, *rows]


def test_genders_keep_what_an_administrator_wrote_above_the_marker(sms: Sms) -> None:
    """Provision/Genders.pm (generate); a row that the administrator wrote is not written twice."""
    sms.write("/etc/genders", "sms head\nc1 cpu\n")
    sms.must("node", "new", "c1", "-g", "cpu")
    sms.must("node", "new", "c2", "-g", "cpu")
    assert sms.read("/etc/genders").splitlines() == ["sms head", "c1 cpu", "", render.MARKER, "c2 cpu"]
    sms.must("node", "delete", "c2")
    assert sms.read("/etc/genders").splitlines() == ["sms head", "c1 cpu", "", render.MARKER]


def test_genders_can_be_turned_off_or_go_elsewhere(sms: Sms) -> None:
    """Provision/Genders.pm (update)."""
    settings = sms.read("/etc/warewulf/provision.conf")
    sms.write("/etc/warewulf/provision.conf", f"{settings}generate genders = no\n")
    sms.must("node", "new", "c1")
    assert not sms.path("/etc/genders").exists()
    sms.write("/etc/warewulf/provision.conf", f"{settings}genders file = /etc/mine\n")
    sms.must("node", "new", "c2")
    assert "c2" in sms.read("/etc/mine")
    assert not sms.path("/etc/genders").exists()


def test_dnsmasq_is_told_by_its_pid_file(sms: Sms) -> None:
    code = "import signal, sys; print('up', flush=True); sys.exit(signal.sigwait([signal.SIGHUP]))"
    blocked = f"import signal; signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGHUP]); {code}"
    with subprocess.Popen([sys.executable, "-c", blocked], stdout=subprocess.PIPE) as dnsmasq:
        assert dnsmasq.stdout is not None
        dnsmasq.stdout.readline()
        sms.write("/run/dnsmasq/dnsmasq.pid", f"{dnsmasq.pid}\n")
        assert sms.wwsh("node", "new", "c1", "-D", "eth0", "-H", MAC, "-I", "172.16.1.1").err == ""
        assert dnsmasq.wait(timeout=10) == signal.SIGHUP


def test_a_dnsmasq_that_does_not_run_is_a_warning_not_an_error(sms: Sms) -> None:
    done = sms.wwsh("node", "new", "c1", "-D", "eth0", "-H", MAC, "-I", "172.16.1.1")
    assert done.status == 0
    assert "WARNING:  dnsmasq is not running" in done.err


def test_an_unknown_boot_network_is_told(sms: Sms) -> None:
    sms.write("/etc/warewulf/provision.conf", "network device = none9\n")
    done = sms.wwsh("node", "new", "c1")
    assert done.status == 1
    assert "No IPv4 address on none9" in done.err
    assert "hint: set 'network device' in /etc/warewulf/provision.conf" in done.err


def test_an_ipxe_script_appears_with_a_bootstrap_and_goes_with_it(sms: Sms) -> None:
    store = sms.store()
    with store.transaction():
        store.add(Record(Kind.BOOTSTRAP, {"NAME": "6.12", "ARCH": "x86_64"}))
    store.close()
    sms.must("node", "new", "c1", "-D", "eth0", "-H", MAC, "-I", "172.16.1.1")
    script = sms.path(f"/srv/warewulf/ipxe/cfg/{MAC}")
    assert not script.exists()
    sms.must("provision", "set", "c1", "--bootstrap=6.12")
    assert "Now booting c1 with Warewulf bootstrap (6.12)" in script.read_text()
    sms.must("node", "set", "c1", "-H", "52:54:00:00:00:02")
    assert not script.exists()
    assert sms.path("/srv/warewulf/ipxe/cfg/52:54:00:00:00:02").exists()
    sms.must("node", "set", "c1", "--enabled=0")
    assert list(sms.path("/srv/warewulf/ipxe/cfg").iterdir()) == []


def test_what_the_machines_need_is_told_to_all_kernels_and_a_nodes_own_words_come_last(sms: Sms) -> None:
    sms.system.write(MACHINE_KARGS, b"console=ttyS0  panic=1\n")
    store = sms.store()
    with store.transaction():
        store.add(Record(Kind.BOOTSTRAP, {"NAME": "6.12", "ARCH": "x86_64"}))
    store.close()
    sms.must("node", "new", "c1", "-D", "eth0", "-H", MAC, "-I", "172.16.1.1")
    sms.must("provision", "set", "c1", "--bootstrap=6.12", "--kargs=debug panic=0")
    assert " console=ttyS0 panic=1 debug panic=0 " in sms.path(f"/srv/warewulf/ipxe/cfg/{MAC}").read_text()
    assert 'KARGS            = "debug panic=0"' in sms.must("provision", "print", "c1")


def test_the_ipxe_script_line_by_line() -> None:
    one = node(CONSOLE="ttyS0,115200")
    text = render.ipxe(one, one.netdevs[0], MAC, BOOTSTRAP, render.Kernels(NETWORK, "quiet", "panic=1"))
    assert text is not None
    assert text.splitlines() == [
        "#!ipxe",
        "# Configuration for Warewulf node: c1",
        "# Warewulf data store ID: 12",
        "echo Now booting c1 with Warewulf bootstrap (6.12)",
        "set base http://172.16.0.1/WW/bootstrap",
        "initrd ${base}/x86_64/7/initfs.gz",
        (
            "kernel ${base}/x86_64/7/kernel ro initrd=initfs.gz wwhostname=c1 wwtransport=http panic=1 quiet"
            " console=tty0 console=ttyS0,115200 wwmaster=172.16.0.1 wwipaddr=172.16.1.1 wwnetmask=255.255.0.0"
            f" wwnetdev=eth0 wwhwaddr={MAC}"
        ),
        "boot",
    ]


@pytest.mark.parametrize(("value", "last"), [("0", "sanboot --no-describe --drive 0x80"), ("-1", "exit 1")])
def test_local_boot(value: str, last: str) -> None:
    one = node(BOOTLOCAL=value)
    text = render.ipxe(one, one.netdevs[0], MAC, None, render.Kernels(NETWORK))
    assert text is not None
    assert text.splitlines()[-1] == last


def test_node_configuration_runs_nothing_when_a_shell_reads_it() -> None:
    one = node(EVIL='$(touch /tmp/x) `id` "; id; "\\', X="a b")
    text = render.node_config(one, Record(Kind.VNFS, {"NAME": "debian13", "CHECKSUM": "c0ffee"}))
    script = f'{text}printf "%s\\n" "$WWEVIL" "$WWX" "$WWVNFS_NAME" "$WWVNFS_CHECKSUM" "$WW_NETDEVLIST"\nenv'
    shown = subprocess.run(["sh", "-euc", script], capture_output=True, text=True, check=True).stdout
    assert shown.splitlines()[:5] == [
        '$(touch /tmp/x) `id` "; id; "\\',
        "a b",
        "debian13",
        "c0ffee",
        "eth0=172.16.1.1",
    ]
    assert "WWNODENAME=c1" in shown.splitlines()


def test_placeholders_are_filled_in_from_the_node() -> None:
    text = b"%{NODENAME} %{NETDEVS::ETH0::IPADDR} %{netdevs::eth0::hwaddr} %{LIST} %{LIST}[1] %{NOPE}. 100%"
    one = node().put("LIST", ("a", "b"))
    assert render.expanded(text, one) == f"c1 172.16.1.1 {MAC} a,b b . 100%".encode()


def test_a_file_that_is_a_mount_point_is_written_in_place(sms: Sms, monkeypatch: pytest.MonkeyPatch) -> None:
    import errno
    import os

    def busy(source: str, target: str) -> None:
        raise OSError(errno.EBUSY, "Device or resource busy", target)

    before = sms.path("/etc/hosts").stat().st_ino
    monkeypatch.setattr(os, "rename", busy)
    assert sms.system.write("/etc/hosts", b"new\n")
    assert sms.read("/etc/hosts") == "new\n"
    assert sms.path("/etc/hosts").stat().st_ino == before
    assert [path.name for path in sms.path("/etc").iterdir() if path.name.startswith(".")] == []
