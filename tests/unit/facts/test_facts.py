"""Facts: every parser against a recording, and what it says to nonsense (tests/data/facts/ORIGIN.md)."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import pytest

from lab.facts import slurm, storage, systemd, warewulf
from lab.facts.fact import Fact, FactError, pairs

T = TypeVar("T")
DATA = Path(__file__).resolve().parents[2] / "data" / "facts"


def read(fact: Fact[T], name: str, status: int = 0) -> T:
    """What a fact makes of a recording."""
    return fact.parse(status, (DATA / f"{name}.txt").read_text())


def at(clock: str) -> int:
    """Seconds since 1970 of a time of the recordings' day."""
    return int(datetime.fromisoformat(f"2026-11-21T{clock}").replace(tzinfo=UTC).timestamp())


def test_every_recording_has_its_origin_written_down() -> None:
    told = (DATA / "ORIGIN.md").read_text()
    for place in DATA.glob("*.txt"):
        kind = place.stem.split("-")[0]
        assert f"`{kind}-*`" in told or f"`{place.stem}`" in told, place.name


# Slurm


def test_node_states() -> None:
    states = read(slurm.node_states, "sinfo-nodes")
    assert states == {"c1": "allocated", "c2": "down", "g1": "draining", "g2": "idle"}
    reasons = read(slurm.node_reasons, "sinfo-nodes")
    assert reasons == {
        "c1": "",
        "c2": "Node unexpectedly rebooted",
        "g1": "fan = broken | dust",
        "g2": "",
    }


def test_partitions() -> None:
    first, second = read(slurm.partitions, "sinfo-partitions")
    assert (first.name, first.default, first.available, first.time_limit) == (
        "normal",
        True,
        True,
        "1-00:00:00",
    )
    assert (first.nodes, first.node_list) == (4, "c[1-2],g[1-2]")
    assert (second.name, second.default, second.available) == ("long", False, False)


def test_jobs() -> None:
    waiting, first, second = read(slurm.jobs, "squeue")
    assert (waiting.job_id, waiting.reason, waiting.name) == ("3_[1-4]", "Resources", "a|b")
    assert (first.job_id, first.user, first.state, first.nodes) == ("1", "user1", "RUNNING", "c1")
    assert (second.job_id, second.nodes, second.name) == ("2", "g1", "wrap")


def test_nodes_with_states_reasons_and_times() -> None:
    nodes = read(slurm.nodes, "scontrol-nodes")
    c1, c2, g1, g2 = (nodes[name] for name in ("c1", "c2", "g1", "g2"))
    assert (c1.state, c1.takes_jobs, c1.reason, c1.cpus, c1.memory) == ("ALLOCATED", True, "", 2, 921)
    assert (c1.boot_time, c1.slurmd_start) == (at("14:57:42"), at("14:59:47"))
    assert (c2.label, c2.takes_jobs, c2.reason) == ("DOWN", False, "Node unexpectedly rebooted")
    assert c2.reason_time == at("15:01:12")
    assert (g1.label, g1.takes_jobs, g1.reason) == ("ALLOCATED+DRAIN", False, "fan = broken | dust")
    assert (g2.state, g2.takes_jobs, c1.gres, g2.gres) == ("IDLE", True, "", "gpu:2")


def test_a_node_that_was_never_seen() -> None:
    line = "NodeName=g2 CPUTot=2 RealMemory=9 State=DOWN*+NOT_RESPONDING BootTime=None SlurmdStartTime=None\n"
    node = slurm.nodes.parse(0, line)["g2"]
    assert (node.state, node.flags, node.takes_jobs) == ("DOWN", frozenset({"NOT_RESPONDING"}), False)
    assert (node.boot_time, node.slurmd_start) == (None, None)


@pytest.mark.parametrize(
    ("state", "takes_jobs"),
    [
        ("IDLE", True),
        ("MIXED", True),
        ("ALLOCATED", True),
        ("IDLE*", False),
        ("IDLE+DRAIN", False),
        ("IDLE+NOT_RESPONDING", False),
        ("IDLE+REBOOT_REQUESTED", False),
        ("MIXED+PLANNED", True),
        ("DOWN", False),
        ("UNKNOWN*", False),
        ("FUTURE", False),
    ],
)
def test_which_states_take_jobs(state: str, *, takes_jobs: bool) -> None:
    line = f"NodeName=c1 State={state} CPUTot=2 RealMemory=900\n"
    assert slurm.nodes.parse(0, line)["c1"].takes_jobs is takes_jobs


def test_one_node_and_no_such_node() -> None:
    line = (DATA / "scontrol-nodes.txt").read_text().splitlines()[1]
    assert slurm.node("c2").parse(0, line).name == "c2"
    with pytest.raises(FactError, match="ended with status 1"):
        slurm.node("c9").parse(1, "Node c9 not found")
    assert "'c9; rm'" in slurm.node("c9; rm").command


def test_a_hostlist_names_its_nodes() -> None:
    assert slurm.hostnames("c[1-2]").parse(0, "c1\nc2\n") == ("c1", "c2")
    assert slurm.hostnames("c[1").parse(1, "Invalid hostlist: c[1\n") == ()
    assert "'c1; rm'" in slurm.hostnames("c1; rm").command


def test_config_and_controller() -> None:
    config = read(slurm.config, "scontrol-config")
    assert config["ReturnToService"] == "1"
    assert (config["RebootProgram"], config["AccountingStorageBackupHost"]) == ("", "")
    assert config["SlurmctldHost[0]"] == "sms"
    assert slurm.controller_up.parse(0, "Slurmctld(primary) at sms is UP\n")
    assert not slurm.controller_up.parse(1, "Slurmctld(primary) at sms is DOWN\n")
    with pytest.raises(FactError, match="neither UP nor DOWN"):
        slurm.controller_up.parse(124, "")


@pytest.mark.parametrize("fact", [slurm.node_states, slurm.partitions, slurm.jobs, slurm.nodes, slurm.config])
def test_a_failed_command_is_never_an_empty_answer(fact: Fact[object]) -> None:
    with pytest.raises(FactError) as caught:
        fact.parse(1, "slurm_load: Unable to contact slurm controller (connect failure)\n")
    assert "Unable to contact" in caught.value.evidence
    assert fact.command.split()[0] in caught.value.message


def test_a_line_of_another_shape_is_told() -> None:
    with pytest.raises(FactError, match="does not have 3 fields"):
        slurm.node_states.parse(0, "c1 idle\n")


def test_of_a_key_that_comes_twice_the_first_counts() -> None:
    assert pairs("State=IDLE Comment=it had State=DOWN") == {"State": "IDLE", "Comment": "it had"}


def test_a_cluster_without_nodes_has_none() -> None:
    assert slurm.parse_nodes(0, "No nodes in the system\n") == {}


def test_pairs_with_blanks_in_values() -> None:
    assert pairs("A=1 OS=Linux 6.1 #1 SMP B= C=x=y,z=2") == {
        "A": "1",
        "OS": "Linux 6.1 #1 SMP",
        "B": "",
        "C": "x=y,z=2",
    }


# systemd


def test_unit() -> None:
    unit = read(systemd.unit("slurmd"), "systemctl-show")
    assert (unit.name, unit.load, unit.active, unit.sub) == ("slurmd.service", "loaded", "inactive", "dead")
    assert (unit.enabled, unit.condition, unit.result, unit.exit_status) == ("enabled", False, "success", 0)
    with pytest.raises(FactError, match="printed no ActiveState"):
        systemd.unit("x").parse(0, "")


def test_system_state_and_failed_units() -> None:
    assert systemd.system.parse(0, "running\n").up
    assert systemd.system.parse(1, "degraded\n").up
    assert not systemd.system.parse(1, "starting\n").up
    with pytest.raises(FactError, match="printed no state"):
        systemd.system.parse(1, "")
    assert read(systemd.failed_units, "systemctl-failed") == ("broken.service", "worn.service")
    assert systemd.failed_units.parse(0, "") == ()


# Warewulf


def test_node_list() -> None:
    rows = {row.name: row for row in read(warewulf.node_list, "wwsh-node-list")}
    assert list(rows) == ["c1", "c2", "g1", "g2", "login", "spare"]
    c1, login = rows["c1"], rows["login"]
    assert (c1.groups, c1.addresses, c1.macs) == ("", ("172.16.1.1",), ("52:54:00:a2:f2:f9",))
    assert (login.groups, login.addresses) == ("front,edge", ("172.16.0.2", "203.0.113.11"))
    assert warewulf.node_list.parse(1, "No nodes found\n") == ()
    with pytest.raises(FactError):
        warewulf.node_list.parse(1, "ERROR:  Could not open the datastore\n")


def test_nodes_that_wwsh_shows_with_cluster_and_domain() -> None:
    head = "NAME GROUPS IPADDR HWADDR\n" + "=" * 80
    (row,) = warewulf.node_list.parse(0, f"{head}\nc1.alpha.d.e UNDEF 172.16.1.1 52:54:00:aa:bb:01\n")
    assert row.name == "c1"
    printed = "#### c1.alpha.d.e ####\n   c1.alpha.d.e: CLUSTER          = alpha\n"
    assert warewulf.node_print("c1").parse(0, printed) == {"CLUSTER": "alpha"}


def test_node_print() -> None:
    found = read(warewulf.node_print("login"), "wwsh-node-print", status=1)
    assert (found["eth0.HWADDR"], found["eth1.IPADDR"]) == ("52:54:00:4f:0e:fd", "203.0.113.11")
    assert (found["DOMAIN"], found["eth1.HWADDR"]) == ("", "")
    with pytest.raises(FactError, match="shows no c9"):
        read(warewulf.node_print("c9"), "wwsh-node-print")


def test_provision() -> None:
    found = read(warewulf.provision_print("login"), "wwsh-provision-print", status=1)
    assert (found.vnfs, found.bootstrap) == ("debian13", "6.18.44-fc-v669")
    assert found.files == ("dynamic_hosts", "group", "munge.key", "network", "passwd", "shadow")
    assert found.kargs == "net.ifnames=0 biosdevname=0 quiet"
    assert found.filesystem == "select /dev/vda,mkfs 4 ext4 -L root,fstab 4 / ext4 defaults 0 0"
    assert found.value("PRESHELL") == "FALSE"
    assert found.value("MASTER") == ""
    rows = read(warewulf.provision_list, "wwsh-provision-list")
    vnfs = {row.name: row.vnfs for row in rows}
    assert (len(vnfs), vnfs["c1"], vnfs["login"], vnfs["spare"]) == (6, "debian13", "debian13", "")


def test_files() -> None:
    rows = {row.name: row for row in read(warewulf.file_list, "wwsh-file-list")}
    assert rows["slurm.conf.login"].path == "/etc/slurm/slurm.conf"
    assert (rows["munge.key"].perms, rows["munge.key"].user, rows["munge.key"].size) == (
        "r--------",
        "munge",
        128,
    )
    assert rows["floating"].path == ""
    assert warewulf.file_list.parse(0, "No objects found\n") == ()


def test_images() -> None:
    (vnfs,) = read(warewulf.vnfs_list, "wwsh-vnfs-list")
    assert (vnfs.name, vnfs.size, vnfs.chroot) == ("debian13", 51.4, "/opt/ohpc/admin/images/debian13")
    (bootstrap,) = read(warewulf.bootstrap_list, "wwsh-bootstrap-list")
    assert (bootstrap.name, bootstrap.arch) == ("6.18.44-fc-v669", "x86_64")
    assert warewulf.vnfs_list.parse(0, "") == ()


# storage


def test_mounts() -> None:
    one = read(storage.mount("/tmp"), "findmnt-one")
    assert (one.target, one.fstype, one.source, one.size) == ("/", "tmpfs", "none", 512 << 20)
    assert one.size > one.used > 0
    assert "rw" in one.options
    found = {mount.target: mount for mount in read(storage.mounts, "findmnt-all")}
    assert (found["/home"].fstype, found["/home"].source) == ("fuse", "172.16.0.1:/home")
    assert found["/proc"].size == 0
    with pytest.raises(FactError, match="shows no mount"):
        storage.mount("/x").parse(0, "")
    with pytest.raises(FactError, match="KEY="):
        storage.mount("/x").parse(0, 'TARGET="/"')


def test_memory() -> None:
    memory = read(storage.memory, "free")
    assert (memory.total, memory.swap_total, memory.swap_used) == (25276502016, 0, 0)
    assert (memory.used, memory.shared) == (2034520064, 1065459712)
    assert 0 < memory.available < memory.total
    with pytest.raises(FactError, match="no Mem and Swap"):
        storage.memory.parse(0, "")
