"""A node's chassis, its limits and its host's kernel are out of reach of root in the node."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

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
