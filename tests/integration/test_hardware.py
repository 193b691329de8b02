"""What a node sees of its hardware: its own memory, processors, swap and disk, not the host's."""

from __future__ import annotations

import re
from pathlib import Path

from tests.integration.conftest import Lab, wait_until

MEMORY = 1024  # MiB, lab.toml's default for every node but the SMS
FILL = "head -c {}M /dev/zero | tail -c {}M | wc -c"


def free(lab: Lab, node: str, row: str = "Mem") -> dict[str, int]:
    """A row of `free -m` by column."""
    head, *rows = lab.on(node, "free -m").splitlines()
    found = next(line.split()[1:] for line in rows if line.startswith(row))
    return dict(zip(head.split(), map(int, found), strict=False))


def test_memory_is_the_nodes_to_every_way_of_asking(lab: Lab) -> None:
    assert free(lab, "c1")["total"] == MEMORY
    assert free(lab, "c1", "Swap") == {"total": 0, "used": 0, "free": 0}
    assert free(lab, "sms")["total"] == 2 * MEMORY
    # sysinfo(2) by itself, as root and as a user; slurmd asks it too.
    for user in ("root", "user1"):
        assert int(lab.on("c1", "getconf _PHYS_PAGES", user=user)) * 4096 == MEMORY << 20
    assert re.search(rf"^NodeName=c1 CPUs=2 .*RealMemory={MEMORY}$", lab.on("c1", "slurmd -C"), re.MULTILINE)
    assert lab.on("c1", "swapon --show") == ""


def test_processors_are_the_nodes(lab: Lab) -> None:
    assert lab.on("c1", "nproc; nproc --all; grep -c ^processor /proc/cpuinfo").split() == ["2", "2", "2"]
    assert "SocketsPerBoard=2 CoresPerSocket=1 ThreadsPerCore=1" in lab.on("c1", "slurmd -C")


def test_files_in_the_root_file_system_are_memory_gone(lab: Lab) -> None:
    before = free(lab, "c1")
    lab.on("c1", "dd if=/dev/zero of=/tmp/foo bs=1M count=200 status=none")
    after = free(lab, "c1")
    assert 190 <= after["used"] - before["used"] <= 230
    lab.on("c1", "rm /tmp/foo")
    assert free(lab, "c1")["used"] - before["used"] <= 30


def test_a_program_that_outgrows_the_node_is_killed_and_the_node_lives(lab: Lab) -> None:
    started = lab.on("c1", "systemctl show -P ActiveEnterTimestampMonotonic slurmd")
    assert "status 137" in lab.on("c1", "bash -c 'tail /dev/zero'; echo status $?")
    assert lab.on("c1", "systemctl show -P ActiveEnterTimestampMonotonic slurmd") == started
    assert lab.on("c1", "systemctl is-system-running").strip() == "running"


def test_no_file_system_more_is_listed(lab: Lab) -> None:
    listed = lab.on("c1", "df --output=target").split()[2:]
    assert not [path for path in listed if path.startswith(("/proc", "/sys"))]


def loops(lab: Lab, node: str) -> list[Path]:
    """What the host shows of the loop devices that a node's disk consists of; there while they are in use."""
    numbers = lab.on(node, "cat /sys/block/vda/dev /sys/block/vda/vda*/dev").split()
    return [Path(f"/sys/block/loop{number.removeprefix('7:')}/loop/backing_file") for number in numbers]


def test_the_disk_is_there_with_the_loaders_partition(lab: Lab) -> None:
    table = lab.on("c1", "parted -sm /dev/vda unit s print").splitlines()
    assert table[1].startswith("/dev/vda:41943040s:virtblk:512:512:gpt:")
    assert table[2:] == ["1:2048s:6143s:4096s::EFI:boot, esp;"]
    assert lab.on("c1", "lsblk -nlo NAME,TYPE").split() == ["vda", "disk", "vda1", "part"]
    assert lab.on("sms", "lsblk -nlo NAME").split().count("vda1") == 0


def test_partitions_and_swap_come_and_go_and_stay_with_the_node(lab: Lab) -> None:
    made = "mkpart swap linux-swap 3MiB 515MiB mkpart data ext4 515MiB 100%"
    lab.on("c2", f"parted --script /dev/vda {made}; mkswap /dev/vda2; mkfs.ext4 -q /dev/vda3")
    lab.on("c2", "swapon /dev/vda2; mount /dev/vda3 /mnt; echo kept >/mnt/file")
    assert free(lab, "c2", "Swap")["total"] == 511
    assert "is mounted" in lab.on("c2", "mkfs.ext4 -q -F /dev/vda2", check=False)
    assert "being used" in lab.on("c2", "parted --script /dev/vda rm 3", check=False)
    used = loops(lab, "c2")
    assert len(used) == 4
    assert all(path.exists() for path in used)
    assert "vda" not in lab.on("c1", "lsblk -nlo NAME | grep vda3 || true")
    lab.command("power", "off", "c2")
    wait_until(lambda: not any(path.exists() for path in used), 20, "no loop device is left")
    lab.command("power", "on", "c2")
    assert free(lab, "c2", "Swap")["total"] == 0
    assert lab.on("c2", "mount /dev/vda3 /mnt && cat /mnt/file").strip() == "kept"
    lab.on("c2", "umount /mnt; parted --script /dev/vda rm 3 rm 2")
    assert lab.on("c2", "cat /proc/partitions").split()[-1] == "vda1"


def test_software_of_all_nodes_comes_by_modules(lab: Lab) -> None:
    program = "import numpy; print(numpy.full((100, 100), 1).sum())"
    said = lab.on("c1", f"bash -lc 'module load py3-numpy; python3 -c \"{program}\"'")
    assert said.split()[-1] == "10000"
