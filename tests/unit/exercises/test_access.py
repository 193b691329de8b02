"""The checks about what the login node is given, runs and lets in, against scripted nodes."""

from __future__ import annotations

import hashlib
import re

import pytest

from lab.checks.api import Outcome
from lab.checks.cluster_view import ClusterView
from lab.checks.conditions import conditions
from lab.checks.shell_pool import TimeBudget
from lab.model import NodeStatus, Power
from tests.unit.checks_world import Said, World
from tests.unit.exercises.test_login import SIX, judge, kept, outcomes, packs, with_option_two

SEVEN = f"{SIX},slurm.conf.login"


def printed(node: str, **values: str) -> str:
    rows = {"BOOTSTRAP": "6.12.0", "VNFS": "debian13", "FILES": SIX, "KARGS": '"quiet"', **values}
    lines = [f"{node:>15}: {key:<16} = {value}" for key, value in rows.items()]
    return "\n".join([f"#### {node} {'#' * 60}", *lines]) + "\n"


def gives(world: World, node: str, **values: str) -> World:
    return world.says("sms", f"^wwsh provision print {node}$", printed(node, **values))


def compared() -> World:
    """LOGIN-4 solved: login has one file more, and it is on the node."""
    world = kept(with_option_two())
    for node in ("c1", "c2"):
        gives(world, node)
    return gives(world, "login", FILES=SEVEN)


def test_login_compare_fails_at_its_start_for_one_reason() -> None:
    found = judge("login_compare", gives(compared(), "login"))
    assert outcomes(found, Outcome.FAILED) == ["login_is_given_the_file"]
    assert outcomes(found, Outcome.PASSED) == []
    assert found["login_is_given_the_file"].expected == "slurm.conf.login in the list of files"


def test_login_compare_passes_when_solved() -> None:
    found = judge("login_compare", compared())
    assert len(outcomes(found, Outcome.PASSED)) == len(found)


def test_login_compare_takes_more_files_than_asked_for() -> None:
    found = judge("login_compare", gives(compared(), "login", FILES=f"{SEVEN},sshd.login"))
    assert len(outcomes(found, Outcome.PASSED)) == len(found)


def test_login_compare_misses_a_file_that_was_never_made() -> None:
    world = compared().says("sms", "^wwsh file list", "")
    assert "last exercise" in judge("login_compare", world)["login_is_given_the_file"].hint


@pytest.mark.parametrize(
    ("node", "values", "check", "part"),
    [
        ("login", {"FILES": "slurm.conf.login"}, "nothing_was_taken_away", "missing: dynamic_hosts"),
        ("c2", {"FILES": SEVEN}, "compute_nodes_are_not_given_it", "c2 would get it too"),
        ("login", {"FILES": SEVEN, "VNFS": "other"}, "only_the_files_differ", "VNFS: other, not debian13"),
        ("c1", {"KARGS": '"single"'}, "only_the_files_differ", 'KARGS: "quiet", not "single"'),
    ],
)
def test_login_compare_names_what_went_wrong(
    node: str, values: dict[str, str], check: str, part: str
) -> None:
    found = judge("login_compare", gives(compared(), node, **values))
    assert outcomes(found, Outcome.FAILED) == [check]
    assert part in found[check].actual


@pytest.mark.parametrize(
    ("text", "status", "actual"), [("", 1, "no such file"), ("ClusterName=other\n", 0, "different content")]
)
def test_login_compare_wants_the_file_on_the_node(text: str, status: int, actual: str) -> None:
    world = compared().says("login", "^cat /etc/slurm/slurm.conf", text, status)
    found = judge("login_compare", world)
    assert outcomes(found, Outcome.FAILED) == ["login_has_what_it_is_given"]
    assert found["login_has_what_it_is_given"].actual == actual


CHROOT = "/opt/ohpc/admin/images/debian13"
OVERRIDE = "/etc/systemd/system/slurmd.service.d/override.conf"
REFUSED = "ActiveState=inactive\nConditionResult=no\nConditionTimestampMonotonic=7\nAssertResult=yes\n"
STOPPED = "ActiveState=inactive\nConditionResult=yes\nConditionTimestampMonotonic=7\nResult=success\n"
ACTIVE = STOPPED.replace("inactive", "active")
CAME = "UserspaceTimestamp=@2000\n1000 " + OVERRIDE + "\n"
UNIT = "[Unit]\nConditionHost=|c*\nConditionHost=|g*\n"
BY_HAND = "UserspaceTimestamp=@2000\n3000 " + OVERRIDE + "\n"
NONE = "UserspaceTimestamp=@2000\n"


def conditioned() -> World:
    """LOGIN-5 solved: both kinds of node have booted with the condition."""
    world = compared()
    world.says("sms", f"^grep -rlsE .*{CHROOT}", f"{CHROOT}{OVERRIDE}\n")
    for node, state in (("login", REFUSED), ("c1", ACTIVE)):
        world.says(node, "^systemctl show slurmd", state)
        world.says(node, "UserspaceTimestamp", CAME)
        world.says(node, "/proc/uptime", "100\n")
    packs(world, {OVERRIDE.lstrip("/"): UNIT})
    world.says("sms", f"^cd {CHROOT} .*slurmd.service.d", UNIT)
    world.says("login", "^systemd-analyze condition", status=1)
    for node in ("c1", "c2"):
        world.says(node, "^systemd-analyze condition")
    for node in ("login", "c1"):
        world.says(node, "^systemctl is-system-running", "running\n")
    world.says("sms", "^wwsh file show slurm.conf.login . md5sum", "aaaa  -\n")
    world.says("sms", "^date", "1767225700\n")  # c1's BootTime in test_checks_login.NODES, and 100 s
    line = "NodeName=c1 State=DOWN CPUTot=2 RealMemory=1024 BootTime=2026-01-01T00:00:00\n"
    return world.says("sms", "scontrol -o show node c1", line)


def test_login_no_slurmd_fails_at_its_start_for_two_reasons() -> None:
    world = conditioned().says("sms", f"^grep -rlsE .*{CHROOT}", "", 1)
    for node in ("login", "c1"):
        world.says(node, "^systemctl show slurmd", ACTIVE).says(node, "UserspaceTimestamp", NONE)
    found = judge("login_no_slurmd", world)
    assert outcomes(found, Outcome.FAILED) == ["login_refuses_slurmd", "image_has_the_condition"]
    assert outcomes(found, Outcome.PASSED) == []


def test_login_no_slurmd_passes_when_solved_and_c1_down() -> None:
    found = judge("login_no_slurmd", conditioned())
    assert len(outcomes(found, Outcome.PASSED)) == len(found)


@pytest.mark.parametrize(
    "state",
    [
        "ActiveState=inactive\nAssertResult=no\nAssertTimestampMonotonic=5\nConditionResult=yes\n",
        "ActiveState=failed\nResult=exec-condition\n",
    ],
    ids=["assert", "ExecCondition"],
)
def test_login_no_slurmd_takes_other_ways_of_refusing(state: str) -> None:
    found = judge("login_no_slurmd", conditioned().says("login", "^systemctl show slurmd", state))
    assert len(outcomes(found, Outcome.PASSED)) == len(found)


def test_login_no_slurmd_takes_a_file_of_warewulfs() -> None:
    world = conditioned().says("sms", f"^grep -rlsE .*{CHROOT}", "", 1)
    row = f"slurmd.login            :  rw-r--r-- 1   root root                38 {OVERRIDE}\n"
    world.says("sms", "^wwsh file list", row + world.answer("sms", "wwsh file list", 1.0).output)
    gives(world, "login", FILES=f"{SEVEN},slurmd.login")
    packs(world, {}).says("sms", f"^cd {CHROOT} .*slurmd.service.d", "[Unit]\nDescription=slurmd\n")
    world.says("c1", "UserspaceTimestamp", NONE)
    found = judge("login_no_slurmd", world)
    assert len(outcomes(found, Outcome.PASSED)) == len(found)


@pytest.mark.parametrize(
    ("node", "pattern", "said", "check", "part"),
    [
        ("login", "^systemctl show slurmd", STOPPED, "login_refuses_slurmd", "not because of a condition"),
        (
            "login",
            "^systemctl show slurmd",
            "ActiveState=inactive\nConditionResult=no\nConditionTimestampMonotonic=0\n",
            "login_refuses_slurmd",
            "not because of a condition",
        ),
        ("login", "UserspaceTimestamp", BY_HAND, "login_booted_with_it", "after the node had booted"),
        ("login", "^sinfo$", "sinfo: fatal: Could not\n", "sinfo_works_all_the_same", "fatal"),
        ("c1", "UserspaceTimestamp", NONE, "compute_node_runs_slurmd", "has none"),
        ("c1", "^systemctl show slurmd", REFUSED, "compute_node_runs_slurmd", "condition is unmet"),
        ("c1", "/proc/uptime", "10\n", "slurm_knows_of_the_reboot", "not registered"),
        ("c2", "^systemd-analyze", "", "condition_sorts_the_nodes", "does not meet: ConditionHost=|c*"),
        ("login", "^systemd-analyze", "", "condition_sorts_the_nodes", "it meets: ConditionHost=|c*"),
    ],
)
def test_login_no_slurmd_names_what_went_wrong(
    node: str, pattern: str, said: str, check: str, part: str
) -> None:
    status = 1 if "fatal" in said or (node, check) == ("c2", "condition_sorts_the_nodes") else 0
    found = judge("login_no_slurmd", conditioned().says(node, pattern, said, status))
    assert outcomes(found, Outcome.FAILED) == [check]
    assert part in found[check].actual


def test_login_no_slurmd_wants_the_condition_in_the_image_and_says_so_at_once() -> None:
    found = judge("login_no_slurmd", packs(conditioned(), {OVERRIDE.lstrip("/"): None}))
    assert outcomes(found, Outcome.FAILED) == ["image_is_packed"]
    assert OVERRIDE in found["image_is_packed"].actual


def test_login_no_slurmd_wants_a_configuration_that_a_boot_brings() -> None:
    found = judge("login_no_slurmd", gives(conditioned(), "login"))
    assert outcomes(found, Outcome.FAILED) == ["sinfo_works_all_the_same"]
    assert "memory of login" in found["sinfo_works_all_the_same"].actual


@pytest.mark.parametrize(
    ("text", "merged"),
    [
        ("[Unit]\nConditionHost=a\n ConditionPathExists = /x \n", "ConditionHost=a ConditionPathExists=/x"),
        (
            "[Unit]\nConditionHost=a\nAssertHost=b\nConditionHost=\nConditionHost=c\n",
            "AssertHost=b ConditionHost=c",
        ),
        ("[Unit]\n#ConditionHost=a\n[Service]\nExecCondition=/bin/false\n", ""),
    ],
)
def test_conditions_are_merged_as_systemd_does(text: str, merged: str) -> None:
    world = World().says("sms", "^cd /tree .*x.service", text)
    view = ClusterView(world.room(), TimeBudget(9.0))
    assert " ".join(conditions(view, "/tree", "x.service")) == merged


def test_login_no_slurmd_asks_whether_the_folder_was_packed() -> None:
    world = conditioned().says("login", "^systemctl show slurmd", ACTIVE)
    assert "Reboot login" in judge("login_no_slurmd", world)["login_refuses_slurmd"].hint
    packs(world, {OVERRIDE.lstrip("/"): None})
    assert "wwvnfs" in judge("login_no_slurmd", world)["login_refuses_slurmd"].hint


DENIED = "Access denied: user user1 (uid=1001) has no active jobs on this node.\n"
PAM = "/etc/pam.d/sshd"
ASKS, OPEN = "account required pam_slurm.so\n", "#account required pam_slurm.so\n"


def md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


class Doors(World):
    """Who gets in where: ssh asks the answering node's door about the user of the shell."""

    def answer(self, node: str, command: str, timeout: float) -> Said:
        if found := re.match(r"ssh -o \S+ -o \S+ (\S+) true$", command):
            user = next(user for place, user, said in reversed(self.ran) if (place, said) == (node, command))
            return super().answer(node, f"{user} enters {found[1]}", timeout)
        return super().answer(node, command, timeout)


def doors() -> World:
    """LOGIN-6 solved."""
    world = Doors()
    world.rules = conditioned().rules
    world.says("sms", "enters login$").says("sms", "^root enters c")
    world.says("sms", "^user. enters c", DENIED, 255)
    row = "sshd.login              :  rw-r--r-- 1   root root                38 /etc/pam.d/sshd\n"
    world.says("sms", "^wwsh file list", row)
    gives(world, "login", FILES=f"{SEVEN},sshd.login")
    world.says("sms", "^wwsh file show sshd.login", OPEN)
    world.says("sms", "^wwsh file show sshd.login . md5sum", f"{md5(OPEN)}  -\n")
    world.says("login", "UserspaceTimestamp --value", "@2000\n").says("login", "^find /etc/pam.d", "")
    world.says("login", "^md5sum", f"{md5(OPEN)}  {PAM}\n")
    for node in ("c1", "c2"):
        world.says(node, "^md5sum", f"{md5(ASKS)}  {PAM}\n")
    packs(world, {PAM.lstrip("/"): ASKS})
    world.says("sms", f"^md5sum <{CHROOT}{PAM}", f"{md5(ASKS)}  -\n")
    world.says("sms", f"^md5sum {CHROOT}{PAM}", f"{md5(ASKS)}  {CHROOT}{PAM}\n")
    world.says("login", "^true$")
    return world.says("sms", "^squeue", "")


def test_login_access_fails_at_its_start_for_one_reason() -> None:
    world = doors().says("sms", "^user1 enters login", DENIED, 255)
    found = judge("login_access", world)
    assert outcomes(found, Outcome.FAILED) == ["users_may_log_in"]
    assert outcomes(found, Outcome.PASSED) == []
    assert "no active jobs" in found["users_may_log_in"].actual


def test_login_access_passes_when_solved() -> None:
    found = judge("login_access", doors())
    assert len(outcomes(found, Outcome.PASSED)) == len(found)


def test_login_access_takes_a_line_that_the_image_itself_decides() -> None:
    world = packs(doors(), {PAM.lstrip("/"): OPEN})
    world.says("sms", f"^md5sum <{CHROOT}{PAM}", f"{md5(OPEN)}  -\n")
    gives(world, "login", FILES=SEVEN)
    for node in ("c1", "c2"):  # they refuse users in another way
        world.says(node, "^md5sum", f"{md5(OPEN)}  {PAM}\n")
    found = judge("login_access", world)
    assert len(outcomes(found, Outcome.PASSED)) == len(found)


def test_login_access_lets_in_more_than_one_user() -> None:
    found = judge("login_access", doors().says("sms", "^user2 enters login", DENIED, 255))
    assert found["users_may_log_in"].look == "sudo -u user2 ssh login hostname"


def test_login_access_tells_a_lock_out_and_the_way_out_of_it() -> None:
    found = judge("login_access", doors().says("sms", "enters login$", "Connection closed\n", 255))
    assert "lab reset login" in found["users_may_log_in"].hint


def test_login_access_tells_a_node_that_is_off_from_a_lock_out() -> None:
    world = doors().says("sms", "enters login$", "No route to host\n", 255)
    world.down["login"] = NodeStatus("login", Power.OFF, "off")
    found = judge("login_access", world)
    assert found["users_may_log_in"].look == "lab power on login"


@pytest.mark.parametrize(
    ("files", "listed", "part"),
    [
        (SEVEN, False, "How did you make slurm.conf permanent"),
        (SEVEN, True, "not assigned to login"),
        (f"{SEVEN},sshd.login", True, "reboot the node"),
    ],
)
def test_login_access_wants_it_from_the_sms(files: str, listed: bool, part: str) -> None:
    world = doors().says("login", "^md5sum", f"cccc  {PAM}\n")
    gives(world, "login", FILES=files)
    if not listed:
        world.says("sms", "^wwsh file list", "")
    found = judge("login_access", world)
    assert outcomes(found, Outcome.FAILED) == ["a_boot_will_not_undo_it"]
    assert part in found["a_boot_will_not_undo_it"].hint


def test_login_access_wants_the_chroots_file_packed() -> None:
    world = gives(doors(), "login", FILES=SEVEN).says("sms", "^wwsh file list", "")
    world.says("sms", f"^md5sum {CHROOT}{PAM}", f"{md5(OPEN)}  {CHROOT}{PAM}\n")
    found = judge("login_access", world)
    assert outcomes(found, Outcome.FAILED) == ["a_boot_will_not_undo_it"]
    assert "packed before" in found["a_boot_will_not_undo_it"].hint


def test_login_access_finds_another_file_that_admits_users_until_the_boot() -> None:
    own = "/etc/ssh/sshd_config.d/00-users.conf"
    world = doors().says("login", "^find /etc/pam.d", f"{own}\n")
    world.says("login", "^md5sum", f"{md5(OPEN)}  {PAM}\ncccc  {own}\n")
    found = judge("login_access", world)
    assert outcomes(found, Outcome.FAILED) == ["a_boot_will_not_undo_it"]
    assert own in found["a_boot_will_not_undo_it"].expected


def test_login_access_finds_a_compute_node_that_its_next_boot_opens() -> None:
    found = judge("login_access", gives(doors(), "c2", FILES=f"{SIX},sshd.login"))
    assert outcomes(found, Outcome.FAILED) == ["their_next_boot_refuses_users"]
    assert "c2 boots with" in found["their_next_boot_refuses_users"].expected
    packed = packs(doors(), {PAM.lstrip("/"): OPEN}).says("sms", "^md5sum <", f"{md5(OPEN)}  -\n")
    assert outcomes(judge("login_access", packed), Outcome.FAILED) == ["their_next_boot_refuses_users"]


def test_login_access_finds_an_open_compute_node() -> None:
    found = judge("login_access", doors().says("sms", "^user2 enters c2"))
    assert outcomes(found, Outcome.FAILED) == ["compute_nodes_refuse_users"]
    assert found["compute_nodes_refuse_users"].actual == "user2 got a shell on c2"


def test_login_access_does_not_mind_a_user_with_a_job() -> None:
    world = doors().says("sms", "^squeue", "user2\n").says("sms", "^user2 enters c")
    found = judge("login_access", world)
    assert len(outcomes(found, Outcome.PASSED)) == len(found)


def test_login_access_cannot_say_it_of_nodes_that_are_off() -> None:
    world = doors()
    for name in ("c1", "c2"):
        world.down[name] = NodeStatus(name, Power.OFF, "off")
    found = judge("login_access", world)
    assert found["compute_nodes_refuse_users"].look == "lab status"
