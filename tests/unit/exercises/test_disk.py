"""The checks about memory and disks against scripted nodes: right, wrong, and other right ways."""

from __future__ import annotations

import pytest

from lab.checks.api import Outcome
from lab.facts import storage
from lab.facts.fact import FactError
from tests.unit.checks_world import World
from tests.unit.exercises.test_login import judge, outcomes
from tests.unit.next_boot_world import with_bootstrap

MIB = 1 << 20
# `parted -sm /dev/vda unit B print` on c1 of a Docker lab, before and after the exercise
HEAD = "BYT;\n/dev/vda:21474836480B:virtblk:512:512:gpt:Virtio Block Device:;\n"
LOADER = "1:1048576B:3145727B:2097152B::EFI:boot, esp;\n"
REST = (
    "2:3145728B:540016639B:536870912B:ext4:boot:;\n"
    "3:540016640B:2687500287B:2147483648B:linux-swap(v1):swap:swap;\n"
    "4:2687500288B:4834983935B:2147483648B:ext4:root:;\n"
    "5:4834983936B:21473787903B:16638803968B:ext4:tmp:;\n"
)
LAYOUT = (
    "select /dev/vda,name 2 boot,name 3 swap,name 4 root,name 5 tmp,mkfs 2 ext4 -L boot,mkfs 3 swap,"
    "mkfs 4 ext4 -L root,mkfs 5 ext4 -L tmp,fstab 4 / ext4 defaults 0 0,fstab 2 /boot ext4 defaults 0 0,"
    "fstab 3 none swap defaults 0 0,fstab 5 /tmp ext4 defaults 0 0"
)
NOTES = """\
memory_total = 1024
root_limit = 512
root_used: 215 MiB
swap_total = 0
array = 620
file = 237
exit_status = 137
"""


def free(total: int, used: int, available: int, swap: int = 0) -> str:
    head = "               total        used        free      shared  buff/cache   available\n"
    row = " ".join(str(size * MIB) for size in (total, used, total - used, used, used, available))
    return f"{head}Mem: {row}\nSwap: {swap * MIB} 0 {swap * MIB}\n"


def found_at(target: str, source: str, fstype: str, size: int, used: int) -> str:
    return (
        f'TARGET="{target}" SOURCE="{source}" FSTYPE="{fstype}" OPTIONS="rw" '
        f'SIZE="{size * MIB}" USED="{used * MIB}"\n'
    )


def noted(text: str = NOTES) -> World:
    """c1 as it is handed out, and a form."""
    world = World()
    world.says("sms", "^cat /home/user1/ram_limits", text)
    world.says("c1", "^find /tmp")
    world.says("c1", "^free", free(1024, 242, 781))
    world.says("c1", "^findmnt", found_at("/", "none", "tmpfs", 512, 215))
    return world


def test_a_form_that_fits_the_node_passes() -> None:
    found = judge("ram_limits", noted())
    assert len(outcomes(found, Outcome.PASSED)) == len(found)


def test_an_empty_form_fails_for_one_reason() -> None:
    found = judge("ram_limits", noted("memory_total =\nroot_limit =\n"))
    assert outcomes(found, Outcome.FAILED) == ["the_form_is_filled_in"]
    assert outcomes(found, Outcome.PASSED) == []


@pytest.mark.parametrize(
    ("before", "after", "check"),
    [
        ("memory_total = 1024", "memory_total = 2048", "the_node_is_known"),
        ("swap_total = 0", "swap_total = 511", "the_node_is_known"),
        ("array = 620", "array = 900", "the_array_fits_alone"),
        ("array = 620", "array = 400", "the_file_kills_the_array"),
        ("file = 237", "file = 500", "the_file_kills_the_array"),
        ("exit_status = 137", "exit_status = 1", "the_program_was_killed"),
    ],
)
def test_each_wrong_number_is_told(before: str, after: str, check: str) -> None:
    found = judge("ram_limits", noted(NOTES.replace(before, after)))
    assert outcomes(found, Outcome.FAILED) == [check]


def test_a_file_that_was_left_is_named() -> None:
    found = judge("ram_limits", noted().says("c1", "^find /tmp", "/tmp/foo\n"))
    assert outcomes(found, Outcome.FAILED) == ["nothing_large_is_left"]
    assert found["nothing_large_is_left"].actual == "/tmp/foo"


def test_a_root_that_was_enlarged_until_the_next_boot_is_told() -> None:
    world = noted(NOTES.replace("root_limit = 512", "root_limit = 900").replace("file = 237", "file = 500"))
    world.says("c1", "^findmnt", found_at("/", "none", "tmpfs", 900, 215))
    found = judge("ram_limits", world)
    assert outcomes(found, Outcome.FAILED) == ["the_root_is_as_it_boots"]
    assert (found["the_root_is_as_it_boots"].actual, "reboot" in found["the_root_is_as_it_boots"].hint) == (
        "900 MiB",
        True,
    )


def provision(layout: str, name: str) -> str:
    rows = {
        "BOOTSTRAP": "6.12.0",
        "VNFS": "debian13",
        "FILES": "passwd",
        "FS": (layout and f'"{layout}"') or "UNDEF",
    }
    lines = [f"{name:>15}: {key:<16} = {value}" for key, value in rows.items()]
    return "\n".join([f"#### {name} {'#' * 68}", *lines]) + "\n"


NODE = (
    "NodeName={} CPUTot=2 State=IDLE BootTime=2026-11-21T17:00:00 SlurmdStartTime=2026-11-21T17:00:10 "
    "RealMemory=921 Gres=(null) Reason=\n"
)


def solved() -> World:
    """Both nodes on their disks."""
    world = with_bootstrap(World(), "virtio_blk", "ext4", loads=("virtio_blk", "ext4"))
    world.says(
        "sms", "^cat /etc/warewulf/bootstrap.conf", "modprobe += sd_mod\nmodprobe += virtio_blk, ext4\n"
    )
    world.says("sms", "scontrol -o show nodes", NODE.format("c1") + NODE.format("c2"))
    for name in ("c1", "c2"):
        world.says("sms", f"^wwsh provision print {name}", provision(LAYOUT, name))
        world.says(name, "^parted", HEAD + LOADER + REST)
        world.says(name, "^findmnt.* /$", found_at("/", "/dev/vda4", "ext4", 1950, 219))
        world.says(name, "^findmnt.* /boot$", found_at("/boot", "/dev/vda2", "ext4", 488, 1))
        world.says(name, "^findmnt.* /tmp$", found_at("/tmp", "/dev/vda5", "ext4", 15000, 2))
        world.says(name, "^cat /proc/swaps", "Filename Type\n/dev/vda3 partition 2097148 0 -2\n")
        world.says(name, "uptime -s", "1000\n")
        world.says(name, "^dumpe2fs", "1003\n")
        world.says(name, "^free", free(1024, 40, 980, 2047))
    return world


def test_nodes_on_their_disks_pass() -> None:
    found = judge("local_disk", solved())
    assert len(outcomes(found, Outcome.PASSED)) == len(found)


def test_a_node_not_divided_is_named() -> None:
    found = judge("local_disk", solved().says("c2", "^parted", HEAD + LOADER))
    assert outcomes(found, Outcome.FAILED)[0] == "disks_are_divided"
    assert found["disks_are_divided"].actual == "c2: no partition 2"


@pytest.mark.parametrize("first", ["", LOADER.replace("boot, esp", ""), LOADER.replace("3145727", "4194303")])
def test_a_loader_that_is_gone_or_changed_is_told(first: str) -> None:
    found = judge("local_disk", solved().says("c1", "^parted", HEAD + first + REST))
    assert outcomes(found, Outcome.FAILED) == ["first_partition_is_untouched"]


@pytest.mark.parametrize(
    ("before", "after", "check"),
    [
        ("select /dev/vda,", "", "nodes_are_given_the_layout"),
        ("fstab 5 /tmp ext4 defaults 0 0", "", "nodes_are_given_the_layout"),
        ("mkfs 5 ext4 -L tmp,", "", "nodes_are_given_the_layout"),
        ("fstab 5 /tmp", "fstab 2 /tmp", "nodes_are_given_the_layout"),
        ("fstab 3 none", "fstab 5 none", "nodes_are_given_the_layout"),
        ("name 2 boot", "mklabel gpt,name 2 boot", "no_boot_makes_a_new_table"),
    ],
)
def test_a_layout_with_a_flaw_is_told(before: str, after: str, check: str) -> None:
    flawed = provision(LAYOUT.replace(before, after), "c1")
    found = judge("local_disk", solved().says("sms", "^wwsh provision print c1", flawed))
    assert outcomes(found, Outcome.FAILED) == [check]


@pytest.mark.parametrize(
    ("text", "loads", "part", "look"),
    [
        ("modprobe += virtio_blk\n", ("virtio_blk",), "does not load ext4", "grep modprobe"),
        ("#modprobe += virtio_blk, ext4\n", (), "does not load virtio_blk and ext4", "grep modprobe"),
        ("modprobe += virtio_blk, ext4\nmodprobe = sd_mod\n", ("sd_mod",), "virtio_blk", "grep modprobe"),
        ("modprobe += virtio_blk\nmodprobe += ext4\n", (), "built without it", "cpio"),
        ("modprobe += virtio-blk ext4  # disk\n", ("virtio_blk",), "built without it", "cpio"),
    ],
)
def test_drivers_that_the_bootstrap_does_not_load_are_named(
    text: str, loads: tuple[str, ...], part: str, look: str
) -> None:
    world = with_bootstrap(solved(), "virtio_blk", "ext4", loads=loads).says("sms", "bootstrap.conf", text)
    found = judge("local_disk", world)
    assert outcomes(found, Outcome.FAILED) == ["bootstrap_loads_the_drivers"]
    assert part in found["bootstrap_loads_the_drivers"].actual
    assert look in found["bootstrap_loads_the_drivers"].look


def test_a_driver_that_is_loaded_must_also_be_packed() -> None:
    found = judge("local_disk", with_bootstrap(solved(), "ext4", loads=("virtio_blk", "ext4")))
    assert outcomes(found, Outcome.FAILED) == ["bootstrap_loads_the_drivers"]
    assert "does not load virtio_blk" in found["bootstrap_loads_the_drivers"].actual


@pytest.mark.parametrize(("built", "part"), [(1001, "booted before"), (900, "none, tmpfs")])
def test_a_node_that_booted_too_early_is_told(built: int, part: str) -> None:
    drivers = ("virtio_blk", "ext4")
    world = with_bootstrap(solved(), *drivers, loads=drivers, built=built)
    world.says("c1", "^findmnt.* /$", found_at("/", "none", "tmpfs", 512, 215))
    assert part in judge("local_disk", world)["root_is_on_the_disk"].actual


def test_a_file_system_of_an_earlier_boot_is_told() -> None:
    found = judge("local_disk", solved().says("c2", "^dumpe2fs.*vda5", "400\n"))
    assert outcomes(found, Outcome.FAILED) == ["every_boot_starts_clean"]


def test_a_reboot_unasked_is_no_fault_of_the_disks() -> None:
    down = NODE.replace("State=IDLE", "State=DOWN").replace(
        "Reason=", "Reason=Node unexpectedly rebooted [slurm@x]"
    )
    world = solved().says("sms", "scontrol -o show nodes", down.format("c1") + NODE.format("c2"))
    assert judge("local_disk", world)["slurm_has_them_back"].outcome is Outcome.PASSED
    world.says("sms", "scontrol -o show nodes", down.replace("unexpectedly", "x").format("c1"))
    assert judge("local_disk", world)["slurm_has_them_back"].outcome is Outcome.FAILED


def test_a_table_is_read() -> None:
    table = storage.partitions("/dev/vda").parse(0, HEAD + LOADER + REST)
    assert (table.size, table.kind) == (20 << 30, "gpt")
    first = table.partitions[0]
    assert (first.start, first.size, first.name, first.flags) == (MIB, 2 * MIB, "EFI", ("boot", "esp"))
    with pytest.raises(FactError):
        storage.partitions("/dev/vda").parse(0, "Error: unrecognised disk label\n")
    with pytest.raises(FactError):
        storage.made("/dev/vda4").parse(0, "\n")
