"""Boots that end badly: on a host that rebooted while its lab was up, and one that stands still."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator

import pytest

from tests import leaks
from tests.integration.conftest import LAB, Lab

FEW = ("--set", "g.count=0", "--set", "c.count=2")
CHROOT = "/opt/ohpc/admin/images/debian13"
# systemd forgets to start local-fs.target if the last unit that it waits for ends while a network mount
# counts as a local one: between the kernel's word and mount(8)'s note of the option _netdev (systemd,
# src/core/mount.c). Without rpcbind, nodes mount early enough. This helper mounts what is no network file
# system, and takes its time.
HELPER = """\
#!/bin/sh
if [ "$2" = /home ] && [ ! -e /run/nfs/home/.stood ]; then
    touch /run/nfs/home/.stood
    mount -t tmpfs "$1" /home && touch /run/bound && sleep 6
    exit 0
fi
exec /usr/sbin/mount.nfs.first "$@"
"""
LAST = """\
[Service]
ExecStartPre=/bin/sh -c 'for i in $(seq 40); do [ ! -e /run/bound ] || break; sleep 0.1; done; sleep 2'
"""
BREAK = f"""\
set -e
cd {CHROOT}
mv usr/sbin/mount.nfs usr/sbin/mount.nfs.first
cat >usr/sbin/mount.nfs <<'END'
{HELPER}END
chmod 755 usr/sbin/mount.nfs
mkdir -p etc/systemd/system/rackling-disks.service.d
cat >etc/systemd/system/rackling-disks.service.d/last.conf <<'END'
{LAST}END
chroot . systemctl mask -q rpcbind.service rpcbind.socket
wwvnfs --chroot={CHROOT}
"""


@pytest.fixture(scope="module")
def lab(nothing_left: None) -> Iterator[Lab]:
    del nothing_left
    made = Lab(leaks.LABS[2])
    try:
        made.command("up", *FEW)
        yield made
    finally:
        made.command("down", "-y")


def killed(lab: Lab, said: str, *more: str) -> None:
    """Kills `lab up` when it says that."""
    argv = [*LAB, "up", "-l", lab.name, "--progress", "plain", *more]
    process = subprocess.Popen(argv, stderr=subprocess.PIPE, text=True, start_new_session=True)
    assert process.stderr is not None
    with process.stderr:
        assert any(said in line for line in process.stderr)
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(10)


def host_reboots(lab: Lab) -> None:
    """Ends every container of the lab, as a host does that loses its power."""
    wanted = ["docker", "ps", "-q", "--filter", f"label=rackling.lab={lab.name}"]
    found = subprocess.run(wanted, capture_output=True, text=True, check=True).stdout.split()
    subprocess.run(["docker", "kill", *found], capture_output=True, check=True)


@pytest.mark.parametrize("said", ["powering on", "slurmctld answers"])
def test_an_up_that_was_killed_after_the_host_rebooted_is_finished_by_the_next(lab: Lab, said: str) -> None:
    lab.on("sms", "scontrol update nodename=c2 state=drain reason=fan")
    host_reboots(lab)
    killed(lab, said)
    lab.command("up")
    assert lab.states() == {"c1": "idle", "c2": "drained"}, "and what a person took out stays out"


def test_a_node_that_a_killed_up_added_is_known_to_warewulf_after_the_next(lab: Lab) -> None:
    more = ("--set", "c.count=3", "--set", "g.count=0")
    killed(lab, "connecting cables", *more)
    lab.command("up", *more)
    assert (lab.states()["c1"], lab.states()["c3"]) == ("idle", "idle")


def test_a_boot_that_stands_still_is_powered_off_and_on_once(lab: Lab) -> None:
    lab.on("sms", BREAK, timeout=120)
    done = lab.command("power", "reset", "c1", "--progress", "plain")
    assert "c1 stands still in its boot" in done.stderr
    assert lab.states()["c1"] == "idle"
