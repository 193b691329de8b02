"""The checks of the login chapter against scripted nodes: right, wrong, and other right ways."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lab.checks.api import Outcome, Verdict
from lab.checks.runner import Notice, Runner
from lab.course.catalog import load
from lab.model import NodeStatus, Power
from lab.paths import data_folder
from tests.unit.checks_world import LOGIN_MAC, World
from tests.unit.next_boot_world import with_image

CATALOG = load(data_folder("exercises"))
SIX = "dynamic_hosts,group,munge.key,network,passwd,shadow"
NODE_LIST = """\
NAME                GROUPS              IPADDR              HWADDR
================================================================================
c1                  UNDEF               172.16.1.1          52:54:00:00:01:01
"""
FILE_LIST = """\
munge.key               :  r-------- 1   munge munge            1024 /etc/munge/munge.key
passwd                  :  rw-r--r-- 1   root root              1427 /etc/passwd
"""


def node_print(mac: str = LOGIN_MAC, address: str = "172.16.0.2") -> str:
    rows = {
        "NAME": "login",
        "ENABLED": "TRUE",
        "eth0.HWADDR": mac,
        "eth0.IPADDR": address,
        "eth0.MTU": "UNDEF",
    }
    lines = [f"{'login':>15}: {key:<16} = {value}" for key, value in rows.items()]
    return "\n".join([f"#### login {'#' * 68}", *lines]) + "\n"


def provision_print(vnfs: str = "debian13", bootstrap: str = "6.12.0", files: str = SIX) -> str:
    rows = {"MASTER": "UNDEF", "BOOTSTRAP": bootstrap, "VNFS": vnfs, "FILES": files, "KARGS": '"quiet"'}
    lines = [f"{'login':>15}: {key:<16} = {value}" for key, value in rows.items()]
    return "\n".join([f"#### login {'#' * 68}", *lines]) + "\n"


def packs(world: World, files: dict[str, str | None], gone: str = "") -> World:
    """The VNFS holds these small files with this text, as the chroot does; None: only the chroot has it.

    Only the VNFS still has the file that is `gone`.
    """
    both = {path: (text, text or "") for path, text in files.items()}
    return with_image(world, {**both, **({gone: ("x", None)} if gone else {})})


def handed_out() -> World:
    """The cluster as it is handed out: login loops in PXE."""
    world = World()
    world.says("sms", "^wwsh node list", NODE_LIST)
    world.says(
        "sms",
        "^wwsh vnfs list",
        "VNFS NAME            SIZE (M)   ARCH       CHROOT LOCATION\n"
        "debian13             60.0       x86_64     /opt/ohpc/admin/images/debian13\n",
    )
    world.says(
        "sms",
        "^wwsh bootstrap list",
        "BOOTSTRAP NAME            SIZE (M)      ARCH\n6.12.0                    9.0           x86_64\n",
    )
    world.says("sms", "dnsmasq.hosts", "# Evaluating Warewulf node: c1\n52:54:00:00:01:01,172.16.1.1,c1\n")
    world.says("sms", "systemctl show dnsmasq", "Id=dnsmasq.service\nActiveState=active\n")
    world.says("sms", "^cat /srv/warewulf/ipxe", "cat: No such file or directory", 1)
    world.down["login"] = NodeStatus("login", Power.ON, "pxe", "no DHCP answer")
    world.says("sms", "ssh .*login", "ssh: connect to host login port 22: No route to host", 255)
    return world


def registered(world: World, mac: str = LOGIN_MAC, **provision: str) -> World:
    """The login node is in the database."""
    world.says(
        "sms",
        "^wwsh node list",
        f"{NODE_LIST}login               UNDEF               172.16.0.2          {mac}\n",
    )
    world.says("sms", "^wwsh node print login", node_print(mac))
    world.says("sms", "^wwsh provision print login", provision_print(**provision))
    world.says(
        "sms", "dnsmasq.hosts", f"# Adding host entry for login-eth0 {LOGIN_MAC}\n{mac},172.16.0.2,login\n"
    )
    world.says(
        "sms",
        f"^cat /srv/warewulf/ipxe/cfg/{mac}",
        "#!ipxe\ninitrd http://172.16.0.1/WW/bootstrap (6.12.0)\n",
    )
    return world


def booted(world: World) -> World:
    """The login node is up, as it should be."""
    del world.down["login"]
    world.says("sms", "ssh .*login")
    world.says("sms", "mktemp", "/home/.seen-Ab12Cd\n/opt/ohpc/pub/.seen-Ef34Gh\n")
    world.says("login", "^hostname", "login\n")
    world.says(
        "login",
        "^findmnt",
        'TARGET="/" SOURCE="none" FSTYPE="tmpfs" OPTIONS="rw" SIZE="536870912" USED="9"\n',
    )
    world.says(
        "login",
        "^cat /etc/hosts",
        "127.0.0.1 localhost\n172.16.0.1   sms\n172.16.0.2 login\n"
        "172.16.1.1  c1 c1.localdomain c1-eth0\n172.16.1.2 c2\n",
    )
    return world


def judge(
    name: str, world: World, patience: float = 0.001, notice: Callable[[Notice], None] = lambda _: None
) -> dict[str, Verdict]:
    checks = CATALOG.get(name).checks()
    runner = Runner(checks, world.room(), patience=patience, pause=0.001, grace=30, notice=notice)
    found = {verdict.check: verdict for verdict in runner.run()}
    broken = {v.check: v.actual for v in found.values() if v.outcome is Outcome.BROKEN}
    assert broken == {}
    return found


def outcomes(found: dict[str, Verdict], outcome: Outcome) -> list[str]:
    return [name for name, verdict in found.items() if verdict.outcome is outcome]


def test_the_handed_out_cluster_fails_for_one_reason_only() -> None:
    found = judge("login_node", handed_out())
    assert outcomes(found, Outcome.FAILED) == ["node_is_known"]
    assert outcomes(found, Outcome.PASSED) == []
    assert found["node_is_known"].actual == "c1"


def test_the_solved_exercise_passes() -> None:
    found = judge("login_node", booted(registered(handed_out())))
    assert len(outcomes(found, Outcome.PASSED)) == len(found)


def test_more_files_than_six_are_fine() -> None:
    found = judge("login_node", booted(registered(handed_out(), files=f"{SIX},slurm.conf.login")))
    assert len(outcomes(found, Outcome.PASSED)) == len(found)


def test_a_wrong_mac_is_shown_pair_by_pair() -> None:
    wrong = LOGIN_MAC[:-1] + "3"
    found = judge("login_node", registered(handed_out(), wrong))
    assert outcomes(found, Outcome.FAILED) == ["mac_is_the_handouts"]
    verdict = found["mac_is_the_handouts"]
    assert verdict.expected == LOGIN_MAC
    assert verdict.actual == f"{wrong} (pair 6 is 33, not 3c)"
    assert verdict.look == "wwsh node print login"


def test_a_mac_under_another_name_is_told() -> None:
    world = handed_out()
    world.says(
        "sms",
        "^wwsh node list",
        f"{NODE_LIST}logn                UNDEF               172.16.0.2          {LOGIN_MAC}\n",
    )
    assert "'logn'" in judge("login_node", world)["node_is_known"].actual


@pytest.mark.parametrize(
    ("provision", "check", "part"),
    [
        ({"vnfs": "UNDEF"}, "vnfs_is_assigned", "nothing"),
        ({"vnfs": "rocky9.4"}, "vnfs_is_assigned", "rocky9.4"),
        ({"bootstrap": "UNDEF"}, "bootstrap_is_assigned", "nothing"),
        (
            {"files": "dynamic_hosts,passwd"},
            "files_are_assigned",
            "missing: group, shadow, munge.key, network",
        ),
        ({"files": "UNDEF"}, "files_are_assigned", "none (missing:"),
    ],
)
def test_what_is_not_assigned_is_named(provision: dict[str, str], check: str, part: str) -> None:
    found = judge("login_node", registered(handed_out(), **provision))
    assert outcomes(found, Outcome.FAILED) == [check]
    assert part in found[check].actual


def test_a_node_that_does_not_come_up_tells_how_far_it_got() -> None:
    world = registered(handed_out())
    world.down["login"] = NodeStatus("login", Power.ON, "vnfs", "fetching debian13")
    found = judge("login_node", world)
    assert outcomes(found, Outcome.FAILED) == ["login_answers"]
    assert found["login_answers"].actual == "stage vnfs: fetching debian13"


def test_an_address_that_was_mended_after_the_boot_is_told_at_once() -> None:
    world = registered(handed_out())
    del world.down["login"]
    shown = "2: eth0    inet 172.16.0.20/16 scope global eth0\n"
    world.says("login", "^ip -c=never -4", shown).says("login", "^systemctl is-system-running", "running\n")
    notices: list[Notice] = []
    verdict = judge("login_node", world, patience=1.0, notice=notices.append)["login_answers"]
    assert verdict.actual == "it is up with 172.16.0.20"
    assert "lab reset login" in verdict.hint
    assert not [notice for notice in notices if notice.check.name == "login_answers" and notice.found]


def test_a_booted_login_node_that_refuses_ssh_is_not_sent_to_its_console() -> None:
    world = registered(handed_out())
    del world.down["login"]
    world.says("login", "^ip -c=never -4", "2: eth0    inet 172.16.0.2/16 scope global eth0\n")
    verdict = judge("login_node", world)["login_answers"]
    assert "No route to host" in verdict.actual
    assert verdict.look == "sudo ssh login true"


def test_a_login_node_without_power_is_not_waited_for() -> None:
    world = registered(handed_out())
    world.down["login"] = NodeStatus("login", Power.OFF, "off")
    notices: list[Notice] = []
    verdict = judge("login_node", world, patience=1.0, notice=notices.append)["login_answers"]
    assert (verdict.actual, verdict.look) == ("login is powered off", "lab power on login")
    assert not [notice for notice in notices if notice.check.name == "login_answers" and notice.found]


def test_a_stopped_dhcp_server_is_told() -> None:
    world = registered(handed_out()).says("sms", "systemctl show dnsmasq", "ActiveState=inactive\n")
    assert judge("login_node", world)["dhcp_will_answer"].actual == "dnsmasq is inactive"


@pytest.mark.parametrize(
    ("command", "said", "status", "check"),
    [
        ("^hostname", "localhost\n", 0, "name_is_login"),
        (
            "^findmnt",
            'TARGET="/" SOURCE="x" FSTYPE="ext4" OPTIONS="rw" SIZE="536870912" USED="9"\n',
            0,
            "root_is_in_memory",
        ),
        (
            "^findmnt",
            'TARGET="/" SOURCE="x" FSTYPE="tmpfs" OPTIONS="rw" SIZE="1073741824" USED="9"\n',
            0,
            "root_is_in_memory",
        ),
        (
            "^cat /etc/hosts",
            "127.0.0.1 localhost\n172.16.0.1 sms\n172.16.1.1 c1\n",
            0,
            "neighbours_are_known",
        ),
    ],
)
def test_what_the_boot_left_wrong_is_told(command: str, said: str, status: int, check: str) -> None:
    world = booted(registered(handed_out())).says("login", command, said, status)
    assert outcomes(judge("login_node", world), Outcome.FAILED) == [check]


def test_an_unmounted_folder_and_a_foreign_munge_key_are_told() -> None:
    world = booted(registered(handed_out()))
    world.says("sms", "mktemp", "/opt/ohpc/pub/.seen-Ef34Gh\n").says(
        "sms", "munge -n$|unmunge", "unmunge: Error: Invalid credential\n", 15
    )
    found = judge("login_node", world)
    assert outcomes(found, Outcome.FAILED) == ["folders_are_the_sms_s", "munge_agrees"]
    assert "in /home is not there" in found["folders_are_the_sms_s"].actual
    assert "Invalid credential" in found["munge_agrees"].actual


SINFO_ROWS = "normal*|up|1-00:00:00|2|c[1-2]\n"
NODES = "".join(
    f"NodeName={name} State=IDLE CPUTot=2 RealMemory=1024 BootTime=2026-01-01T00:00:00\n"
    for name in ("c1", "c2")
)


BOTH = "NodeName=c[1-2] CPUs=2\nNodeName = login CPUs=2\n"


def without_sinfo() -> World:
    """The login node as the first exercise leaves it."""
    world = booted(registered(handed_out()))
    world.says("sms", "^sinfo -h -o", SINFO_ROWS)
    world.says("sms", "scontrol -o show nodes", NODES)
    world.says("sms", "scontrol show config", "ClusterName             = cluster\n")
    world.says("sms", "^sinfo -hN -n login", "")
    world.says("sms", "^wwsh file list", FILE_LIST)
    packs(world, {})
    world.says("sms", "^cat /etc/slurm/slurm.conf", "NodeName=c[1-2] CPUs=2\n")
    world.says("sms", "^scontrol show hostnames 'c.1-2.'$", "c1\nc2\n")
    world.says("sms", "^scontrol show hostnames 'c.1-2.,login'$", "c1\nc2\nlogin\n")
    world.says("login", "^! test -e", "", 1).says("login", "^test -e", "", 1)
    world.says("login", "^grep -qi .*SlurmctldHost", "", 2)
    world.says("login", "systemctl show slurmd", "Id=slurmd.service\nActiveState=failed\n")
    world.says("login", "sinfo", "sinfo: fatal: Could not establish a configuration source\n", 1)
    world.says("login", "^stat", "stat: cannot statx '/etc/slurm/slurm.conf'\n", 1)
    return world


def with_option_one() -> World:
    """slurmd runs on login, and Slurm knows the node."""
    world = without_sinfo()
    world.says(
        "sms", "scontrol -o show nodes", NODES + "NodeName=login State=IDLE CPUTot=2 RealMemory=1024\n"
    )
    world.says("sms", "^cat /etc/slurm/slurm.conf", BOTH)
    world.says("login", "systemctl show slurmd", "Id=slurmd.service\nActiveState=active\n")
    world.says("login", "sinfo", "PARTITION AVAIL\nnormal* up\n").says("login", "^! test -e", "", 1)
    world.says("login", "^sinfo -h -o '%P.", SINFO_ROWS)
    return world


TWO_LINES = "ClusterName=cluster\nSlurmctldHost=sms\n"


def with_option_two(text: str = TWO_LINES, *, perms: str = "-rw-r--r--") -> World:
    """login has a file of its own; slurmd is off, and nothing of option one is left."""
    world = without_sinfo()
    world.says("login", "^grep -qi .*SlurmctldHost").says("login", "^test -e")
    world.says("login", "systemctl show slurmd", "Id=slurmd.service\nActiveState=inactive\n")
    world.says("login", "sinfo", "PARTITION AVAIL\nnormal* up\n")
    world.says("login", "^sinfo -h -o '%P.", SINFO_ROWS)
    world.says("login", "^stat", f"{perms}\n")
    world.says("login", "^cat /etc/slurm/slurm.conf", text)
    world.says("login", "^SLURM_CONF=", "normal*\n").says("login", r"^\( f=", "normal* up\n")
    return world


def kept(
    world: World, path: str = "/etc/slurm/slurm.conf", text: str = TWO_LINES, perms: str = "rw-r--r--"
) -> World:
    """Warewulf has the file."""
    row = f"slurm.conf.login        :  {perms} 1   root root                38 {path}\n"
    world.says("sms", "^wwsh file list", FILE_LIST + row)
    return world.says("sms", "^wwsh file show slurm.conf.login", text)


def test_login_slurm_fails_at_its_start_for_one_reason() -> None:
    found = judge("login_slurm", without_sinfo())
    assert outcomes(found, Outcome.FAILED) == ["login_has_a_way_to_the_configuration"]
    assert outcomes(found, Outcome.PASSED) == []


def with_file_assigned() -> World:
    """Option two, and the file is login's in Warewulf."""
    world = kept(with_option_two())
    world.says("sms", "^wwsh provision print login", provision_print(files=f"{SIX},slurm.conf.login"))
    return world.says("sms", "^wwsh file show slurm.conf.login . md5sum", "aaaa  -\n")


def with_a_record_in_the_name_service() -> World:
    """Neither slurmd nor a file: the name service says where the controller is."""
    world = (
        without_sinfo().says("login", "^! test -e").says("login", "sinfo", "PARTITION AVAIL\nnormal* up\n")
    )
    return world.says("login", "^sinfo -h -o '%P.", SINFO_ROWS)


@pytest.mark.parametrize(
    "world",
    [
        with_option_one(),
        with_file_assigned(),
        packs(with_option_two(), {"etc/slurm/slurm.conf": "ClusterName=cluster\nSlurmctldHost=sms\n"}),
        with_a_record_in_the_name_service(),
    ],
    ids=["option 1", "option 2 in Warewulf", "option 2 in the VNFS", "name service"],
)
def test_login_slurm_takes_every_way_that_lasts(world: World) -> None:
    found = judge("login_slurm", world)
    assert len(outcomes(found, Outcome.PASSED)) == len(found)


@pytest.mark.parametrize(
    ("world", "part"),
    [
        (with_option_two(), "only in the memory of login"),
        (packs(with_option_two(), {"etc/slurm/slurm.conf": None}), "only in the memory of login"),
        (kept(with_option_two()), "Warewulf has slurm.conf.login, but it is not assigned"),
        (
            with_option_one().says("sms", "^cat /etc/slurm/slurm.conf", "NodeName=c[1-2]\n"),
            "only the running controller",
        ),
    ],
    ids=["by hand", "not packed", "not assigned", "line deleted"],
)
def test_login_slurm_takes_nothing_that_a_boot_or_a_restart_undoes(world: World, part: str) -> None:
    found = judge("login_slurm", world)
    assert outcomes(found, Outcome.FAILED) == ["a_boot_will_not_undo_it"]
    assert part in found["a_boot_will_not_undo_it"].actual


def test_login_slurm_tells_which_link_is_missing() -> None:
    world = without_sinfo().says("sms", "^cat /etc/slurm/slurm.conf", BOTH)
    assert "scontrol reconfigure" in judge("login_slurm", world)["login_has_a_way_to_the_configuration"].hint
    world = with_option_one().says("login", "systemctl show slurmd", "ActiveState=failed\n")
    assert (
        "although Slurm knows" in judge("login_slurm", world)["login_has_a_way_to_the_configuration"].actual
    )


def test_login_slurm_wants_no_jobs_on_login() -> None:
    world = with_option_one().says("sms", "^sinfo -hN -n login", "visitors\n")
    found = judge("login_slurm", world)
    assert outcomes(found, Outcome.FAILED) == ["login_takes_no_jobs"]
    assert found["login_takes_no_jobs"].actual == "in visitors"


def test_a_dead_controller_fails_the_check_with_its_words() -> None:
    world = with_option_one().says(
        "sms", "scontrol", "Unable to contact slurm controller (connect failure)\n", 1
    )
    found = judge("login_slurm", world)
    assert "Unable to contact" in found["compute_nodes_take_jobs"].actual


@pytest.mark.parametrize("world", [without_sinfo(), with_option_one()], ids=["nothing done", "option 1"])
def test_login_client_fails_at_its_start(world: World) -> None:
    found = judge("login_client", world)
    assert outcomes(found, Outcome.FAILED) == ["login_has_its_own_file", "warewulf_has_the_file"]
    assert outcomes(found, Outcome.PASSED) == []


@pytest.mark.parametrize(
    "text",
    [
        TWO_LINES,
        "# ours\nclustername = Cluster\n\nSlurmctldHost=sms(172.16.0.1) # here\nAuthType=auth/munge\n",
    ],
)
def test_login_client_passes_when_solved(text: str) -> None:
    found = judge("login_client", kept(with_option_two(text), text=text))
    assert len(outcomes(found, Outcome.PASSED)) == len(found)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("ClusterName=cluster\n", "SlurmctldHost="),
        ("SlurmctldHost=sms\n", "ClusterName="),
        ("", "ClusterName="),
        ("ClusterName=other\nSlurmctldHost=sms\n", "ClusterName=cluster"),
        (TWO_LINES + "NodeName=c[1-2]\nPartitionName=normal\n", "only what a client needs"),
    ],
)
def test_login_client_says_what_is_wrong_with_a_file(text: str, part: str) -> None:
    found = judge("login_client", kept(with_option_two(text), text=text))
    assert outcomes(found, Outcome.FAILED) == [
        "file_says_only_where_the_controller_is",
        "kept_file_says_the_same",
    ]
    assert part in found["kept_file_says_the_same"].expected


def test_login_client_wants_a_stored_file_that_works() -> None:
    world = kept(with_option_two(), text="ClusterName=cluster\nSlurmctldHost=sns\n")
    world.says("login", r"^\( f=", "slurm_load_partitions: Unable to contact slurm controller\n", 1)
    found = judge("login_client", world)
    assert outcomes(found, Outcome.FAILED) == ["kept_file_says_the_same"]
    assert "wwsh file sync" in found["kept_file_says_the_same"].hint


def test_login_client_takes_a_second_file_object_after_a_first_that_is_wrong() -> None:
    world = kept(with_option_two())
    row = "a.conf                  :  rw-r--r-- 1   root root                99 /etc/slurm/slurm.conf\n"
    listed = world.answer("sms", "wwsh file list", 1.0).output
    world.says("sms", "^wwsh file list", row + listed).says("sms", "^wwsh file show a.conf", "NodeName=c1\n")
    found = judge("login_client", world)
    assert len(outcomes(found, Outcome.PASSED)) == len(found)


def test_login_client_wants_the_path_on_the_node() -> None:
    found = judge("login_client", kept(with_option_two(), "/etc/slurm/slurm.conf.login"))
    verdict = found["warewulf_has_the_file"]
    assert verdict.actual == "slurm.conf.login: /etc/slurm/slurm.conf.login"
    assert "--path" in verdict.hint


def test_login_client_wants_a_file_that_users_can_read() -> None:
    found = judge("login_client", kept(with_option_two(perms="-rw-------"), perms="rw-------"))
    assert outcomes(found, Outcome.FAILED) == ["login_has_its_own_file", "kept_file_says_the_same"]


def test_login_client_wants_a_controller_that_answers() -> None:
    world = kept(with_option_two()).says(
        "login", "^SLURM_CONF=", "slurm_load_partitions: Unable to contact\n", 1
    )
    assert outcomes(judge("login_client", world), Outcome.FAILED) == ["sinfo_works_with_the_file_alone"]
