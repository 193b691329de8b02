"""With `trust = "nobody"`, root in a node is an account without rights on the host, and its system works."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator

import pytest

from lab.backends.docker.assembly import NOBODY
from lab.backends.docker.container_spec import FIRST_ID
from tests.cases.conftest import COMMAND, Lab
from tests.isolation.conftest import SIZE, inside
from tests.isolation.test_chassis import CLIMB, LIMIT, OPEN, RAISE, REFUSED

NODES = ("sms", "c1", "outside", "client")
IDS = 65536
SETTINGS = """
mkdir -p /run/proc && mount -t proc proc /run/proc || exit
mount -o remount,rw /proc/sys
for file in sys/kernel/core_pattern sys/kernel/panic sys/vm/swappiness sys/fs/file-max sysrq-trigger \
    irq/default_smp_affinity; do
    for proc in /proc /run/proc; do
        if (: >>$proc/$file) 2>/dev/null; then echo "opened $proc/$file"; fi
    done
done
(: >>/run/proc/sys/net/ipv4/conf/lo/forwarding) && echo "its own network"
umount /run/proc
"""
"""Opens files for writing, and writes nothing."""
MOUNTS = """
mkdir -p /run/mounts
for type in fusectl debugfs tracefs securityfs bpf configfs ext4; do
    mount -t $type none /run/mounts 2>/dev/null && echo "mounted $type" && umount /run/mounts
done
mount -t tmpfs none /run/mounts && echo "its own memory" && umount /run/mounts
"""
DEVICES = """
for words in 'c 1 1' 'c 1 3' 'c 10 237' 'c 10 183' 'b 7 0' 'b 8 0' 'b 254 0'; do
    mknod /run/device $words 2>/dev/null && echo "made $words" && rm /run/device
done
for device in /dev/loop* /dev/sd* /dev/vd* /dev/mem /dev/kmsg; do [ ! -e $device ] || echo "has $device"; done
echo >/dev/null && echo "its own devices"
"""


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    """A lab with one compute node, of images whose files belong to the nodes' ids."""
    made = Lab(f"ison{os.getpid()}")
    subprocess.run([*COMMAND, *NOBODY.split()[1:]], check=True, capture_output=True, timeout=1200)
    try:
        up = made.run("up", *SIZE, "--set", "trust=nobody", "--set", "c.count=1")
        assert up.returncode == 0, up.stderr.decode(errors="replace")
        yield made
    finally:
        made.run("down", "-y")


def owners(lab: Lab, node: str) -> set[int]:
    """Whom the processes of a node belong to on the host."""
    script = """own=$(readlink /proc/$(/chassis/power pid)/ns/pid)
    for one in /proc/[0-9]*; do [ "$(readlink $one/ns/pid)" != "$own" ] || stat -c %u $one; done"""
    return {int(line) for line in inside(lab, node, script).split()}


@pytest.mark.parametrize("node", NODES)
def test_no_process_of_a_node_belongs_to_an_account_of_the_host(lab: Lab, node: str) -> None:
    found = owners(lab, node)
    assert FIRST_ID in found
    assert not [owner for owner in found if owner not in range(FIRST_ID, FIRST_ID + IDS)]


@pytest.mark.parametrize("node", NODES)
def test_a_second_proc_opens_no_setting_of_the_host(lab: Lab, node: str) -> None:
    assert lab.on(node, SETTINGS) == (0, "its own network\n")


@pytest.mark.parametrize("node", NODES)
def test_file_systems_of_the_kernel_and_of_disks_are_not_mounted(lab: Lab, node: str) -> None:
    """By fusectl, root of one lab would cut the shared folders of another."""
    assert lab.on(node, MOUNTS) == (0, "its own memory\n")


@pytest.mark.parametrize("node", NODES)
def test_a_node_makes_no_device_and_has_none_of_the_hosts(lab: Lab, node: str) -> None:
    assert lab.on(node, DEVICES) == (0, "its own devices\n")


@pytest.mark.parametrize("node", NODES)
def test_the_clock_of_the_host_is_out_of_reach(lab: Lab, node: str) -> None:
    assert lab.on(node, 'date -s "$(date)" >/dev/null 2>&1 && echo set')[1] == ""


@pytest.mark.parametrize("node", ["sms", "c1", "outside"])
def test_a_node_cannot_lift_its_limits(lab: Lab, node: str) -> None:
    before = inside(lab, node, LIMIT)
    lab.on(node, RAISE)
    assert inside(lab, node, LIMIT) == before
    assert "opened" not in lab.on(node, OPEN)[1]


@pytest.mark.parametrize("node", NODES)
def test_nothing_lies_below_the_root_of_a_node(lab: Lab, node: str) -> None:
    status, text = lab.on(node, f"cat >/tmp/climb <<'EOF'\n{CLIMB}\nEOF\nunshare --mount perl /tmp/climb")
    assert (status, text) == (0, "at the top\n")


def test_calls_that_look_into_the_hosts_kernel_are_refused(lab: Lab) -> None:
    script = "".join(f'syscall({number}, 0, 0, 0, 0, 0); print $!+0, " ";' for number in REFUSED.values())
    assert lab.on("c1", f"perl -e '{script}'")[1].split() == ["1"] * len(REFUSED)  # EPERM


@pytest.mark.parametrize("node", NODES)
def test_a_node_gains_no_capability_by_its_user_namespace(lab: Lab, node: str) -> None:
    bounds = "grep CapBnd /proc/%s/status | cut -f2"
    of_chassis = int(inside(lab, node, bounds % "self"), 16)
    of_node = int(inside(lab, node, bounds % "$(/chassis/power pid)"), 16)
    of_shell = int(lab.on(node, bounds % "self")[1], 16)
    assert of_node == of_shell
    assert of_node & ~of_chassis == 0


def test_what_a_node_writes_belongs_to_no_account_of_the_host(lab: Lab) -> None:
    lab.on("c1", "touch /home/of_root; install -o user1 -m 600 /dev/null /home/of_user1")
    found = inside(lab, "sms", "stat -c %u /volumes/home/of_root /volumes/home/of_user1").split()
    assert found == [str(FIRST_ID), str(FIRST_ID + 1001)]
    assert lab.on("sms", "stat -c %U /home/of_root /home/of_user1")[1].split() == ["root", "user1"]


def test_set_user_id_programs_of_the_image_still_are(lab: Lab) -> None:
    assert lab.on("sms", "su user1 -c 'sudo -n id -u'")[1] == "0\n"


def test_what_administrators_do_in_their_own_namespaces_works(lab: Lab) -> None:
    script = """
    mkdir -p /root/tree/dev /root/tree/proc
    mount --bind /dev /root/tree/dev && mount --bind /proc /root/tree/proc && ls /root/tree/dev/null
    umount /root/tree/dev /root/tree/proc
    ip link add dummy0 type veth peer name dummy1 && ip link del dummy0 && echo linked
    wwmkchroot debian-13 /root/copy >/dev/null && ls -d /root/copy/etc && rm -rf /root/copy
    """
    assert lab.on("sms", script) == (0, "/root/tree/dev/null\nlinked\n/root/copy/etc\n")


def test_jobs_run_and_a_restart_is_one(lab: Lab) -> None:
    assert lab.on("sms", "su - user1 -c 'srun -N1 id -un'")[1].endswith("user1\n")
    before = lab.on("c1", "cat /proc/sys/kernel/random/boot_id")[1]
    assert lab.run("power", "cycle", "c1").returncode == 0
    assert lab.run("up").returncode == 0
    assert lab.on("c1", "cat /proc/sys/kernel/random/boot_id")[1] != before
    assert lab.on("c1", "systemctl is-system-running")[1] == "running\n"


def test_a_snapshot_brings_files_of_both_sides_back(lab: Lab) -> None:
    lab.on("sms", "install -o user1 -m 640 /dev/null /root/kept; install -o user1 /dev/null /home/user1/kept")
    assert lab.run("snapshot", "before").returncode == 0
    lab.on("sms", "rm /root/kept /home/user1/kept")
    assert lab.run("restore", "before", "-y").returncode == 0
    assert lab.on("sms", "stat -c '%U %a' /root/kept /home/user1/kept")[1].split("\n")[0] == "user1 640"
    owners = lab.on("sms", "stat -c %U /home/user1/kept /home /opt/ohpc/pub")[1].split()
    assert owners == ["user1", "root", "root"]
