"""slurm.conf as the lab hands it out, and nodes that join later without undoing a learner's edits."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.guest.setup import slurm
from lab.guest.setup.cluster import Card, Description, Machine
from lab.guest.system import System


def machine(name: str, *, gpus: int = 0, memory: int = 2048, cpus: int = 2) -> Machine:
    card = Card("eth0", "internal", "52:54:00:00:00:01", "172.16.1.1")
    return Machine(name, "compute", "gpu" if gpus else "cpu", cpus, memory, gpus, True, (card,))


C1, C2, C3 = (machine(f"c{number}") for number in (1, 2, 3))
G1, G2 = (machine(f"g{number}", gpus=2) for number in (1, 2))
LINE = "Sockets=2 CoresPerSocket=1 ThreadsPerCore=1 RealMemory=1843"


def described(*machines: Machine) -> Description:
    return Description({}, machines)


@pytest.fixture
def system(tmp_path: Path) -> System:
    return System(str(tmp_path), uid=0)


def test_equal_nodes_share_a_line_and_all_are_in_one_partition() -> None:
    assert slurm.nodes([C1, C2, G1, G2]).splitlines() == [
        f"NodeName=c[1-2] {LINE} State=UNKNOWN",
        f"NodeName=g[1-2] {LINE} Gres=gpu:2 State=UNKNOWN",
        slurm.PARTITION.format("c[1-2],g[1-2]").rstrip(),
    ]


def test_a_lab_without_compute_nodes_has_no_partition_of_none() -> None:
    assert slurm.nodes([]) == ""
    assert "PartitionName=normal Nodes=c1 " in slurm.add_nodes("ClusterName=x\n", [C1])


def test_gpus_are_device_files() -> None:
    one = machine("g3", gpus=1)
    assert slurm.gres([C1, G1, one]).splitlines()[1:] == [
        "NodeName=g1 Name=gpu File=/dev/nvidia[0-1]",
        "NodeName=g3 Name=gpu File=/dev/nvidia0",
    ]


def test_the_first_boot_writes_all_and_the_next_nothing(system: System) -> None:
    assert slurm.write(system, described(C1, G1)) is False  # no controller runs yet that must be told
    text = system.text(slurm.CONF)
    assert text.startswith("# Slurm configuration of the lab's cluster.")
    assert "ReturnToService=1\n" in text
    assert slurm.write(system, described(C1, G1)) is False
    assert system.text(slurm.CONF) == text
    assert "CgroupPlugin=disabled" in system.text("/etc/slurm/cgroup.conf")
    assert "NodeName=g1 " in system.text("/etc/slurm/gres.conf")


def test_a_new_node_joins_and_edits_stay(system: System) -> None:
    slurm.write(system, described(C1))
    edited = (
        system.text(slurm.CONF).replace("#RebootProgram=", "RebootProgram=/sbin/reboot") + "# mine \udce9\n"
    )
    system.write(slurm.CONF, edited.encode("utf-8", "surrogateescape"))
    assert slurm.write(system, described(C1, C2, G1)) is True
    text = system.text(slurm.CONF)
    assert "RebootProgram=/sbin/reboot\n" in text
    assert "# mine \udce9\n" in text
    assert f"NodeName=c2 {LINE} State=UNKNOWN\n" in text
    assert re.findall(r"Nodes=(\S+)", text) == ["c1,c2,g1"]
    assert slurm.write(system, described(C1, C2, G1)) is False


@pytest.mark.parametrize(
    ("text", "nodes"),
    [
        ("NodeName=c1 x\nPartitionName=normal Nodes=c1 Default=YES\n", "c1,c2"),
        ("nodename=c1 x\npartitionname=NORMAL Default=YES nodes=c1\n", "c1,c2"),
        ("NodeName=c1 x\nPartitionName=normal MaxNodes=7 Nodes=c1\n", "c1,c2"),
        ("NodeName=c1 x\nPartitionName=normal Nodes=ALL\n", "ALL"),
        ("NodeName=c1 x\nPartitionName=normal-long Nodes=c1\n", "c1"),
        ("NodeName=c1 x\n# PartitionName=normal Nodes=c1\n", "c1"),
    ],
)
def test_only_the_partition_normal_grows(text: str, nodes: str) -> None:
    grown = slurm.add_nodes(text, [C1, C2])
    assert re.findall(r"(?i)\snodes=(\S+)", grown) == [nodes]
    assert grown.endswith(f"NodeName=c2 {LINE} State=UNKNOWN\n")


@pytest.mark.parametrize(
    "line",
    ["NodeName=c1,c2", "NodeName=c[1-2]", "  nodename=c[1,2]", "NodeName=x[7-9],c[1-2],y", "NodeName=c2,c1"],
)
def test_nodes_that_stand_in_the_file_in_any_form_are_known(line: str) -> None:
    text = f"{line} CPUs=1\n"
    assert slurm.add_nodes(text, [C1, C2]) == text


@pytest.mark.parametrize("slip", ["c[1-", "c[a-b]", "c[", "c]", "[1-2", "c[1--2]", "c[1-2]x[3]", ",,", "c[]"])
def test_a_learners_slip_stops_nothing(slip: str) -> None:
    grown = slurm.add_nodes(f"NodeName={slip} CPUs=1\nPartitionName=normal Nodes={slip}\n", [C3])
    assert f"NodeName={slip} CPUs=1\n" in grown
    assert f"NodeName=c3 {LINE}" in grown


def test_hardware_that_differs_has_a_line_of_its_own() -> None:
    small = replace(C2, memory=1024)
    assert len(slurm.nodes([C1, small]).splitlines()) == 3


@pytest.mark.parametrize(
    ("names", "short"),
    [
        (["c1"], "c1"),
        (["c1", "c2", "g1"], "c[1-2],g1"),
        (["c3", "c1", "c2", "c9"], "c[1-3,9]"),
        (["login", "c10", "c9"], "login,c[9-10]"),
        (["a01"], "a01"),  # padded: its own prefix
        (["node"], "node"),
        ([], ""),
    ],
)
def test_hostlist(names: list[str], short: str) -> None:
    assert slurm.hostlist(names) == short


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("c[01-02],login", ("c01", "c02", "login")),
        ("c[2-1],c3", ("c[2-1]", "c3")),
        ("c1,,c2", ("c1", "c2")),
        ("", ()),
    ],
)
def test_names_in_a_host_list(text: str, names: tuple[str, ...]) -> None:
    assert slurm.listed_names(text) == names


NAMES = st.lists(
    st.from_regex(r"[a-z]{1,3}(-[a-z]{1,2})?[0-9]{0,3}", fullmatch=True), unique=True, max_size=30
)


@given(NAMES)
def test_a_short_form_stands_for_exactly_its_names(names: list[str]) -> None:
    assert sorted(slurm.listed_names(slurm.hostlist(names))) == sorted(names)


@given(NAMES, st.integers(0, 29))
def test_nodes_added_in_two_goes_are_the_nodes_added_at_once(names: list[str], cut: int) -> None:
    machines = [machine(name) for name in names]
    text = slurm.add_nodes(slurm.add_nodes(slurm.BASE, machines[:cut]), machines)
    found = [name for line in re.findall(r"(?m)^NodeName=(\S+)", text) for name in slurm.listed_names(line)]
    parts = [
        name
        for line in re.findall(r"(?m)^PartitionName=normal Nodes=(\S+)", text)
        for name in slurm.listed_names(line)
    ]
    assert sorted(found) == sorted(parts) == sorted(names)
