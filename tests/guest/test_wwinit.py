"""wwinit: what the install guide's commands leave behind (warewulf3.md, section 12)."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from tests.guest import conftest

if TYPE_CHECKING:
    from tests.guest.conftest import Sms


def test_the_database_is_made_once(bare: Sms) -> None:
    done = bare.run("wwinit", "database")
    assert done.status == 0
    assert done.out.splitlines()[0].split() == ["database:", "Creating", "the", "datastore", "OK"]
    assert done.out.splitlines()[-1] == "Done."
    bare.write("/etc/warewulf/provision.conf", conftest.PROVISION)
    bare.must("node", "new", "c1")
    assert "SKIPPED" in bare.run("wwinit", "DATABASE").out
    assert bare.must("node", "list", "-1").split() == ["c1"]


@pytest.mark.skipif(not shutil.which("ssh-keygen"), reason="no ssh-keygen here")
def test_ssh_keys_are_made_once_and_closed_to_others(bare: Sms) -> None:
    assert bare.run("wwinit", "ssh_keys").status == 0
    key = bare.path("/root/.ssh/cluster")
    first = key.read_text()
    assert key.stat().st_mode & 0o777 == 0o600
    assert bare.read("/root/.ssh/cluster.pub") in bare.read("/root/.ssh/authorized_keys")
    assert bare.path("/etc/warewulf/vnfs/ssh/ssh_host_ed25519_key").exists()
    done = bare.run("wwinit", "ssh_keys")
    assert done.out.count("SKIPPED") == 2
    assert key.read_text() == first


def test_configuration_is_written_where_there_is_none(bare: Sms) -> None:
    bare.write("/etc/warewulf/vnfs.conf", "mine\n")
    assert bare.run("wwinit", "wwsh", "vnfs", "bootstrap").status == 0
    assert bare.read("/etc/warewulf/vnfs.conf") == "mine\n"
    assert "\ndrivers += kernel/drivers/virtio/" in bare.read("/etc/warewulf/bootstrap.conf")
    assert bare.path("/etc/warewulf/filesystem/examples/gpt_example.cmds").exists()


def test_without_the_boot_network_dhcp_gets_empty_files(bare: Sms) -> None:
    bare.write("/etc/warewulf/provision.conf", "network device = none9\n")
    done = bare.run("wwinit", "database", "dhcp")
    assert done.status == 0
    assert "WARNING:  No IPv4 address on none9" in done.err
    assert bare.path("/etc/warewulf/dnsmasq.hosts").exists()


def test_mistakes(bare: Sms) -> None:
    assert bare.run("wwinit", "frobnicate").err.startswith("ERROR:  Unknown module or tag: frobnicate")
    assert bare.run("wwinit").out.startswith("USAGE: wwinit")
    bare.write("/etc/warewulf/provision.conf", "network device = none9\n")
    done = bare.run("wwinit", "hostfile")
    assert done.status == 1
    assert "Lethal error thrown by module hostfile: Failed initialization of the data store!" in done.err
