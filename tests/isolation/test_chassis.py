"""A node's chassis, its limits and its host's kernel are out of reach of root in the node."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator

import pytest

from lab.backends.docker.engine import container_name
from tests.cases.conftest import Lab
from tests.isolation.conftest import inside, remake

pytestmark = pytest.mark.quick
NODES = ("sms", "c1", "outside", "client")
UMOUNT2, SETNS, DETACH, NEW_MOUNTS = 166, 308, 2, 0x20000
# setns(2) into one's own mount namespace makes its topmost mount the root: whatever lies below "/".
CLIMB = f"""
use Fcntl;
sysopen(my $own, "/proc/self/ns/mnt", O_RDONLY) or die;
for (1..6) {{
    my $top = "/";
    last if syscall({UMOUNT2}, $top, {DETACH});
    syscall({SETNS}, fileno($own), {NEW_MOUNTS});
    for my $found (glob("/chassis/* /cache/* /nfs/*"), "/disks", "/shared", "/.dockerenv") {{
        print "reached $found\\n" if -e $found;
    }}
}}
print "at the top\\n";
"""
LIMIT = "cat /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null || cat /sys/fs/cgroup/memory.max"
RAISE = """
mkdir -p /root/limits
if mount -t cgroup -o memory none /root/limits; then
    echo -1 >/root/limits/memory.limit_in_bytes
else
    for file in $(find /sys/fs/cgroup -name memory.max); do echo max >$file; done
fi
umount /root/limits; rmdir /root/limits
"""
HWRNG = "c 10:183"  # a device that no node may open
OPEN = f"""
mkdir -p /root/rules && mount -t cgroup -o devices none /root/rules || exit 0
mknod /root/rng c 10 183
echo '{HWRNG} rwm' >/root/rules/devices.allow
perl -e 'print "opened\\n" if open F, "<", "/root/rng"'
rm /root/rng; umount /root/rules
"""
PLANTED = """
umount --lazy /%(path)s && rmdir /%(path)s && ln -s /chassis /%(path)s || exit
for program in firmware boot newroot enter; do
    printf '#!/bin/sh\\n: >/chassis/state/replaced\\nexec sleep 1000\\n' >%(shared)s/$program
    chmod 755 %(shared)s/$program
done
"""
"""Makes a link to the chassis of a folder on a disk, and has programs in what is mounted there."""
REFUSED = {
    "bpf": 321,
    "perf_event_open": 298,
    "syslog": 103,
    "keyctl": 250,
    "add_key": 248,
    "kexec_load": 246,
    "open_by_handle_at": 304,
    "userfaultfd": 323,
}
"""System calls by their number on x86-64."""


def firmware(lab: Lab, node: str) -> str:
    return inside(lab, node, "find /chassis -type f ! -path '*/state/*' | sort | xargs sha256sum")


@pytest.fixture
def spoilt(one: Lab) -> Iterator[Lab]:
    """The lab, whose outside machine and client are made again afterwards."""
    yield one
    for node in ("outside", "client"):
        remake(one, node)


@pytest.mark.parametrize("node", NODES)
def test_nothing_lies_below_the_root_of_a_node(one: Lab, node: str) -> None:
    status, text = one.on(node, f"cat >/tmp/climb <<'EOF'\n{CLIMB}\nEOF\nunshare --mount perl /tmp/climb")
    assert (status, text) == (0, "at the top\n")


@pytest.mark.parametrize("node", NODES)
def test_a_node_has_no_folder_of_its_chassis(one: Lab, node: str) -> None:
    assert one.on(node, "ls -d /chassis /cache /disks /shared 2>/dev/null")[1] == ""


def test_machines_that_need_no_disks_and_images_have_none_in_their_chassis(one: Lab) -> None:
    for node in ("outside", "client"):
        assert inside(one, node, "ls /cache /disks").split() == ["/cache:", "/disks:"]


@pytest.mark.parametrize("node", ["c1", "outside"])
def test_a_node_cannot_lift_the_limit_of_its_memory(one: Lab, node: str) -> None:
    before = inside(one, node, LIMIT)
    one.on(node, RAISE)
    assert inside(one, node, LIMIT) == before
    assert int(before) < 1 << 40


@pytest.mark.parametrize("node", ["c1", "outside"])
def test_a_node_cannot_allow_itself_further_devices(one: Lab, node: str) -> None:
    assert "opened" not in one.on(node, OPEN)[1]


@pytest.mark.parametrize("node", ["sms", "c1"])
def test_calls_that_look_into_the_hosts_kernel_are_refused(one: Lab, node: str) -> None:
    script = "".join(f'syscall({number}, 0, 0, 0, 0, 0); print $!+0, " ";' for number in REFUSED.values())
    assert one.on(node, f"perl -e '{script}'")[1].split() == ["1"] * len(REFUSED)  # EPERM


def test_links_that_a_node_leaves_behind_lead_no_write_into_the_chassis(spoilt: Lab) -> None:
    before = {node: firmware(spoilt, node) for node in ("c1", "outside", "client")}
    for node in before:
        spoilt.on(
            node,
            "cd /dev; rm -rf .sys .cpu .kernel console .boot_id .cpuinfo .cmdline vda1"
            "; for name in .sys .cpu .kernel vda1; do ln -s /chassis $name; done"
            "; for name in console .boot_id .cpuinfo .cmdline; do ln -s /chassis/enter $name; done"
            "; ln -sf /chassis/confine /etc/hosts; ln -sf /chassis/power /etc/hostname"
            "; ln -sf /chassis/firmware /etc/ld.so.preload.new; mv -T /run /run.old; ln -s /chassis /run",
        )
        spoilt.run("power", "cycle", "--hard", node)
    assert {node: firmware(spoilt, node) for node in before} == before


def test_what_an_outside_machine_changes_is_not_what_its_chassis_runs(spoilt: Lab) -> None:
    spoilt.on("outside", "for name in nsenter unshare mount; do echo spoilt >/usr/bin/$name; done")
    assert inside(spoilt, "outside", "grep -l spoilt /usr/bin/nsenter /usr/bin/mount || true") == ""
    spoilt.run("power", "cycle", "--hard", "outside")
    assert spoilt.on("outside", "hostname") == (0, "outside\n")


def is_planted(lab: Lab, node: str, path: str) -> None:
    """Has a node leave the link; its programs lie on shared storage, which other nodes hold, too."""
    shared = f"/run/shared/{path}"
    hold = f"mkdir -p {shared} && mount --bind /{path} {shared} || exit; "
    status, text = lab.on(node, hold + PLANTED % {"path": path, "shared": shared})
    assert (status, text) == (0, "")


def said(lab: Lab, node: str) -> str:
    return lab.run("console", node).stdout.decode(errors="replace")


def wait_until_said(lab: Lab, node: str, line: str) -> None:
    for _ in range(100):
        if line in said(lab, node):
            return
        time.sleep(0.3)
    pytest.fail(said(lab, node)[-2000:])


@pytest.fixture
def back_at_the_handout(one: Lab) -> Iterator[Lab]:
    """The lab, whose SMS gets its first disk again."""
    yield one
    done = one.run("restore", "handout", "-y")
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    assert one.on("sms", "mountpoint -q /opt/ohpc/pub && ls -d /opt/ohpc/pub/software")[0] == 0


def test_a_link_on_the_disk_of_the_sms_has_no_volume_mounted_over_its_chassis(
    back_at_the_handout: Lab,
) -> None:
    """The engine would follow it at the next start of the container, and the boot program at each boot."""
    lab = back_at_the_handout
    before = firmware(lab, "sms")
    is_planted(lab, "sms", "opt/ohpc/pub")
    container = container_name(lab.name, "sms")
    subprocess.run(["docker", "restart", "--time", "1", container], check=True, capture_output=True)
    wait_until_said(lab, "sms", "/opt/ohpc/pub is not a folder")
    assert firmware(lab, "sms") == before
    assert inside(lab, "sms", "ls /chassis/state; cat /run/chassis/node/stage").split()[0] == "power"


def test_a_link_on_the_disk_of_a_client_has_no_shared_folder_mounted_over_its_chassis(one: Lab) -> None:
    before = firmware(one, "client")
    is_planted(one, "client", "home")
    one.run("power", "cycle", "--hard", "client")
    wait_until_said(one, "client", "/home is not a folder")
    assert firmware(one, "client") == before
    assert inside(one, "client", "ls /chassis/state").split() == ["power"]
    remake(one, "client")
    one.on("sms", "rm /home/firmware /home/boot /home/newroot /home/enter")


HELD = """
cd /home/swapped || exit
: >../held
until [ -e ../replaced ]; do sleep 0.1; done
for name in firmware power ../chassis/firmware; do cat $name >/dev/null 2>&1 && echo "read $name"; done
(echo '#' >>firmware) 2>/dev/null && echo wrote
(: >of_a_node) 2>/dev/null && echo made
ls 2>/dev/null | head -3
"""
REPLACED = """
mkdir /home/swapped && : >/home/swapped/own && rm -f /home/held /home/replaced
(until [ -e /home/held ]; do sleep 0.1; done
    mv /home/swapped /home/former && ln -s /chassis /home/swapped && : >/home/replaced) >/dev/null 2>&1 &
"""


@pytest.mark.parametrize("node", ["c1", "client"])
def test_a_link_in_place_of_an_open_folder_leads_no_server_into_the_chassis(one: Lab, node: str) -> None:
    """The server of a shared folder finds files by path, and the head node changes what lies on it."""
    before = firmware(one, node)
    assert one.on("sms", REPLACED) == (0, "")
    try:
        status, text = one.on(node, HELD)
        assert (status, text) == (0, "")
        assert firmware(one, node) == before
        assert inside(one, node, "ls /chassis/of_a_node || true") == ""
    finally:
        one.on("sms", "rm -rf /home/swapped /home/former /home/held /home/replaced")
