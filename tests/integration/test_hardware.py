"""What a node sees of its hardware: its own memory, processors, swap and disk, not the host's."""

from __future__ import annotations

import re

from tests.integration.conftest import Lab

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
