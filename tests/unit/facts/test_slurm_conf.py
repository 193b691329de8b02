"""slurm.conf as Slurm reads it: forms that people write, and the partitions a controller makes of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.facts import partitions, slurm_conf
from lab.facts.fact import FactError
from lab.guest.setup import slurm as handout

DATA = Path(__file__).resolve().parents[2] / "data" / "facts"
THREE = """\
#PartitionName=normal Nodes=c[1-2],g[1-2] Default=YES MaxTime=24:00:00 State=UP OverSubscribe=EXCLUSIVE
PartitionName=DEFAULT DefMemPerCPU=400 ExclusiveUser=NO LLN=NO MaxNodes=2 MinNodes=1 Nodes=c[1-2]
PartitionName=short DefaultTime=02:00:00 MaxTime=02:00:00 AllowAccounts=ALL PriorityTier=3
PartitionName=medium Default=YES DefaultTime=06:00:00 MaxTime=48:00:00 AllowAccounts=ALL PriorityTier=2
PartitionName=long DefaultTime=24:00:00 MaxTime=168:00:00 DenyAccounts=gratis PriorityTier=1
"""


def read(*texts: str, **included: str) -> slurm_conf.SlurmConf:
    files = {"/etc/slurm/slurm.conf": "".join(texts)}
    files |= {f"/etc/slurm/{name}.conf": text for name, text in included.items()}
    return slurm_conf.parse(lambda path: files.get(path, ""))


def test_the_tutorials_partitions_are_what_the_controller_shows() -> None:
    """The recording is of a controller that has read these lines (tests/data/facts/ORIGIN.md)."""
    recorded = partitions.queues.parse(0, (DATA / "queues.txt").read_text())
    assert read(handout.BASE, THREE).queues == recorded


@pytest.mark.parametrize(
    "text",
    [
        THREE.lower().replace("partitionname=default", "partitionname=DEFAULT"),
        THREE.replace("02:00:00", "120").replace("48:00:00", "2-0").replace("168:00:00", "7-00:00"),
        THREE.replace("Default=YES", "Default=1").replace("AllowAccounts=ALL ", ""),
        THREE.replace(" PriorityTier", " \\\n    PriorityTier").replace("Tier=1", "Tier = 1  # last"),
        THREE.replace(" MaxNodes=2", "\nPartitionName=default MaxNodes=2").replace("c[1-2] ", '"c[1-2]" '),
    ],
    ids=["lower case", "other times", "other words", "continued", "two DEFAULT lines"],
)
def test_other_ways_to_write_them(text: str) -> None:
    assert read(text).queues == read(THREE).queues


def test_of_two_default_partitions_the_last_is_the_default() -> None:
    found = read(THREE.replace("=long", "=long Default=YES")).queues
    assert [name for name, queue in found.items() if queue.default] == ["long"]


def test_included_files_are_read_where_they_are_named() -> None:
    found = read("Include part.conf\nINCLUDE /etc/slurm/more.conf\nA=1\n", part=THREE, more="A=2\nB=3\n")
    assert (list(found.queues), found.setting("a"), found.setting("B")) == (
        ["short", "medium", "long"],
        "1",
        "3",
    )
    assert read("Include slurm.conf\nA=1\n").setting("A") == "1"  # ends, though Slurm itself would refuse it


def test_a_default_line_is_for_the_lines_below_it() -> None:
    found = read(*reversed(THREE.splitlines(keepends=True)[1:])).queues
    assert {queue.nodes for queue in found.values()} == {""}


def test_an_account_list_makes_slurm_ignore_the_list_of_denied_ones() -> None:
    queue = read("PartitionName=x AllowAccounts=a,b DenyAccounts=a\n").queues["x"]
    assert (queue.admits("a"), queue.admits("c")) == (True, False)


def test_settings_with_their_defaults() -> None:
    found = read("# PriorityType=priority/basic\nSchedulerParameters=bf_window=9,bf_continue\nA=1 B=2\na=3\n")
    assert found.setting("PriorityType") == "priority/multifactor"
    assert found.setting("schedulerparameters") == "bf_window=9,bf_continue"
    assert (found.setting("A"), found.setting("B"), found.setting("C")) == ("3", "2", "")
    assert read('RebootProgram="/sbin/shutdown -r now"\n').setting("RebootProgram") == "/sbin/shutdown -r now"


def test_nodes_by_the_name_that_is_written() -> None:
    found = read("NodeName=DEFAULT Sockets=2\nNodeName=c[1-2] RealMemory=900\nnodename=login State=UNKNOWN\n")
    assert found.nodes["c[1-2]"] == {"sockets": "2", "realmemory": "900"}
    assert found.nodes["login"]["sockets"] == "2"


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("90", 90),
        ("90:30", 90.5),
        ("2:00:00", 120),
        ("3-0", 4320),
        ("3-1:30", 4410),
        ("7-00:00:00", 10080),
        ("UNLIMITED", None),
    ],
)
def test_times_in_all_of_slurms_forms(text: str, wanted: float | None) -> None:
    assert partitions.minutes(text) == wanted


def test_a_file_that_is_not_there_is_empty_and_one_that_cannot_be_read_is_not() -> None:
    question = slurm_conf.text("/etc/slurm/part.conf")
    assert question.parse(1, "cat: /etc/slurm/part.conf: No such file or directory\n") == ""
    assert question.parse(0, "# No such file\n") == "# No such file\n"
    with pytest.raises(FactError):
        question.parse(1, "cat: /etc/slurm/part.conf: Permission denied\n")
