"""The checks about reboots that Slurm orders, against scripted nodes."""

from __future__ import annotations

import pytest

from lab.checks.api import Outcome
from tests.unit.checks_world import World
from tests.unit.exercises.test_disk import provision
from tests.unit.exercises.test_login import judge, outcomes
from tests.unit.next_boot_world import with_image

ORDER = "[2026-11-21T17:07:31.661] reboot request queued for nodes {}\n"
RETURNED = "[2026-11-21T17:07:44.223] node c1 returned to service\n"
SYSTEMCTL = "/usr/bin/systemctl"
RESUMED = "[2026-11-21T17:06:00.000] update_node: node c1 state set to IDLE\n"
CONFIG = "RebootProgram           = {}\nSlurmctldLogFile        = /var/log/ctld.log\n"


def c1(world: World, state: str, reason: str = "") -> World:
    line = f"NodeName=c1 State={state} CPUTot=2 RealMemory=9 BootTime=2026-01-01T00:00:00 Reason={reason}\n"
    return world.says("sms", "scontrol -o show node c1", line)


def rebooted(
    log: str = RESUMED + ORDER.format("c1") + RETURNED, program: str = "/sbin/shutdown -r now"
) -> World:
    world = with_image(c1(World(), "IDLE"), {"usr/sbin/shutdown": ("", ""), SYSTEMCTL[1:]: ("", "")})
    world.says(
        "sms", "^cat /etc/slurm/slurm.conf", "" if program == "(null)" else f'RebootProgram="{program}"\n'
    )
    world.says("sms", "^wwsh provision print c1", provision("", "c1")).says("sms", "^wwsh file list", "")
    world.says("sms", "^scontrol show config", CONFIG.format(program))
    world.says("sms", "^grep -E .*/var/log/ctld.log", log, 0 if log else 1)
    world.says("sms", "^scontrol show hostnames c1$", "c1\n").says("sms", "hostnames c2$", "c2\n")
    world.says("sms", r"^scontrol show hostnames 'c\[1-3\],g1'", "c1\nc2\nc3\ng1\n")
    world.says("c1", "^d=", f"/usr/sbin/shutdown\n{SYSTEMCTL}\nnone\n").says(
        "c1", "is-system-running", "running\n"
    )
    return world.says("c1", "^test -x /sbin/shutdown$")


def test_the_start_fails_for_two_reasons() -> None:
    world = c1(rebooted("", "(null)"), "DOWN", "Node unexpectedly rebooted [slurm@2026-01-01T00:00:00]")
    found = judge("seamless_reboot", world)
    assert outcomes(found, Outcome.FAILED) == ["node_is_in_service", "reboot_program_is_known"]
    assert outcomes(found, Outcome.PASSED) == []
    assert found["node_is_in_service"].actual == "down: Node unexpectedly rebooted"


@pytest.mark.parametrize(
    "log",
    [
        ORDER.format("c1") + RETURNED,
        ORDER.format("c[1-3],g1") + RETURNED,
        ORDER.format("ALL") + RETURNED,
        RESUMED + ORDER.format("c1") + RETURNED + RESUMED,
        ORDER.format("c1") + RETURNED + ORDER.format("c2"),
        ORDER.format("c1") + RESUMED.replace("c1", "c11") + RETURNED,
    ],
)
def test_an_ordered_reboot_that_came_back_passes(log: str) -> None:
    found = judge("seamless_reboot", rebooted(log))
    assert len(outcomes(found, Outcome.PASSED)) == len(found)


@pytest.mark.parametrize(
    ("log", "check", "part"),
    [
        ("", "slurm_ordered_a_reboot", "none"),
        (ORDER.format("c2") + RETURNED, "slurm_ordered_a_reboot", "none"),
        (ORDER.format("c1"), "node_came_back_by_itself", "not returned"),
        (ORDER.format("c1") + RESUMED + RETURNED, "node_came_back_by_itself", "state set to IDLE"),
        (ORDER.format("c1") + RETURNED + ORDER.format("c1"), "node_came_back_by_itself", "not returned"),
        (ORDER.format("c1") + "x Canceling REBOOT on node c1\n", "node_came_back_by_itself", "Canceling"),
    ],
)
def test_what_the_log_tells_against_it(log: str, check: str, part: str) -> None:
    found = judge("seamless_reboot", rebooted(log))
    assert outcomes(found, Outcome.FAILED) == [check]
    assert part in found[check].actual


def test_a_line_that_was_not_read_is_shown() -> None:
    world = rebooted(program="(null)").says("sms", "^cat /etc/slurm", "RebootProgram=/sbin/reboot\n")
    verdict = judge("seamless_reboot", world)["reboot_program_is_known"]
    assert verdict.expected == "RebootProgram = /sbin/reboot"
    assert "scontrol reconfigure" in verdict.hint


def test_a_program_that_only_the_sms_has_is_told() -> None:
    world = rebooted(program="/root/mine --now").says("c1", "^test -x /root/mine$", "", 1)
    assert outcomes(judge("seamless_reboot", world), Outcome.FAILED) == ["node_has_the_program"]


def test_a_node_under_way_is_waited_for_and_one_that_is_down_is_not() -> None:
    verdict = judge("seamless_reboot", c1(rebooted(), "DOWN+DRAIN+REBOOT_ISSUED", "Reboot ASAP"))
    assert "journalctl" in verdict["node_is_in_service"].hint
    verdict = judge("seamless_reboot", c1(rebooted(), "DOWN", "reboot complete"))
    assert "sinfo -R" in verdict["node_is_in_service"].hint


@pytest.mark.parametrize("written", ["", "#RebootProgram=/sbin/reboot\n", "RebootProgram=/bin/true\n"])
def test_a_program_that_only_the_running_controller_has_is_told(written: str) -> None:
    found = judge("seamless_reboot", rebooted().says("sms", "^cat /etc/slurm", written))
    verdict = found["reboot_program_is_known"]
    assert verdict.outcome is Outcome.FAILED
    assert ("slurm.conf" in verdict.actual) or ("scontrol reconfigure" in verdict.hint)


def own(path: str) -> World:
    """A program of the learner's own on c1."""
    world = rebooted(program=path).says("c1", f"^test -x {path}$")
    return world.says("c1", "^d=", f"{path}\n{path}\nnone\n")


def test_a_program_that_was_copied_to_the_node_is_told() -> None:
    found = judge("seamless_reboot", own("/usr/local/sbin/again"))
    assert outcomes(found, Outcome.FAILED) == ["node_has_the_program"]
    assert "gone after the first reboot" in found["node_has_the_program"].actual


def test_a_program_may_come_from_the_image_the_files_or_shared_storage() -> None:
    path = "/usr/local/sbin/again"
    image = with_image(own(path), {path.lstrip("/"): ("", "")})
    shared = own(path).says("c1", "^d=", f"{path}\n{path}\n172.16.0.1:/opt/ohpc/pub\n")
    row = f"again  :  rwxr-xr-x 1   root root   9 {path}\n"
    given = provision("", "c1").replace("passwd", "passwd,again")
    files = own(path).says("sms", "^wwsh file list", row).says("sms", "^wwsh provision print c1", given)
    for world in (image, shared, files):
        assert judge("seamless_reboot", world)["node_has_the_program"].outcome is Outcome.PASSED


@pytest.mark.parametrize(
    ("times", "state", "told"),
    [
        ("100\n130\n", "running", "slurmd ran /bin/true 30 s ago, and c1 runs on"),
        ("100\n105\n", "running", "idle+reboot_issued"),
        ("100\n130\n", "stopping", "idle+reboot_issued"),
        ("130\n", "running", "idle+reboot_issued"),
    ],
)
def test_a_program_that_does_not_reboot_is_told_at_once(times: str, state: str, told: str) -> None:
    world = c1(rebooted(program="/bin/true"), "IDLE+REBOOT_ISSUED", "Reboot ASAP : reboot issued")
    world.says("c1", "^journalctl", times).says("c1", "is-system-running", f"{state}\n")
    assert judge("seamless_reboot", world)["node_is_in_service"].actual.startswith(told)


def test_a_reboot_that_took_too_long_is_not_blamed_on_the_operator() -> None:
    verdict = judge("seamless_reboot", c1(rebooted(), "DOWN", "reboot timed out"))
    assert "uptime" in verdict["node_is_in_service"].hint
