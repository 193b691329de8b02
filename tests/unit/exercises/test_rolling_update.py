"""The checks of a rolling update against a scripted cluster: done well, and done otherwise."""

from __future__ import annotations

import pytest

from lab.checks.api import Outcome
from tests.unit.checks_world import World
from tests.unit.exercises.test_disk import provision
from tests.unit.exercises.test_login import judge, outcomes
from tests.unit.next_boot_world import with_image

STAMP = "role=compute\nref=december\n"
PACKED = 1_796_000_000  # 2026-11-30 00:53:20 UTC
CONFIG = "SlurmctldLogFile        = /var/log/ctld.log\n"
REQUESTED = "reboot request queued for nodes {}"
RETURNED = "node {} returned to service"
STATE = "update_node: node {} state set to {}"
UNEXPECTED = "Node {} unexpectedly rebooted boot_time=5 last response=4"
ONE_BY_ONE = (
    REQUESTED.format("c1"), RETURNED.format("c1"), REQUESTED.format("c2"), RETURNED.format("c2"),
)  # fmt: skip


def log(*lines: str, begin: int = 10) -> str:
    """Lines of the controller's log, ten seconds apart, by a clock an hour ahead of UTC."""
    rows = [
        f"[2026-11-30T01:53:{20 + begin + 5 * number:02}.123] {line}" for number, line in enumerate(lines)
    ]
    return "\n".join(["+0100", *rows, ""])


def diary(*tasks: tuple[int, bool], node: str = "c1", running: bool = True) -> str:
    """A user's tasks: when each began, in seconds since the packing, and whether its end was noted."""
    lines = [f"user{node[1:]}"] if running else []
    for number, (begun, ended) in enumerate(tasks):
        lines.append(f"task {number} begins on {node} at {PACKED + begun}")
        lines += [f"task {number} ends"] if ended else []
    return "\n".join([*lines, ""])


def updated(*lines: str) -> World:
    """Both nodes run the image; the controller's log holds these lines."""
    world = with_image(World(), {"etc/image-release": (STAMP, STAMP)}, packed=PACKED)
    world.says("sms", "^scontrol show config", CONFIG)
    world.says("sms", "^date .*/var/log/ctld.log", log(*(lines or ONE_BY_ONE)))
    world.says("sms", r"^scontrol show hostnames 'c\[1-2\]'", "c1\nc2\n")
    world.says(
        "sms",
        "scontrol -o show nodes",
        "NodeName=c1 State=IDLE Reason= \nNodeName=c2 State=ALLOCATED Reason= \n",
    )
    for number in (1, 2):
        node = f"c{number}"
        world.says("sms", f"^wwsh provision print {node}", provision("", node))
        world.says("sms", f"squeue -h -u user{number}", diary((-5, True), (17, True), (40, False), node=node))
        world.says(node, "^cat /etc/image-release", STAMP).says(node, "uptime", f"{PACKED + 12}\n")
    return world


def failing(world: World) -> dict[str, str]:
    """What each failed check has found."""
    found = judge("rolling_update", world)
    return {name: found[name].actual for name in outcomes(found, Outcome.FAILED)}


def test_an_update_that_nobody_noticed_passes() -> None:
    assert failing(updated()) == {}


def test_the_handout_fails_for_one_reason() -> None:
    found = judge("rolling_update", with_image(updated(), {}))
    assert outcomes(found, Outcome.FAILED) == ["the_image_has_a_stamp"]
    assert outcomes(found, Outcome.PASSED) == []


def test_a_stamp_on_the_sms_and_one_that_is_not_packed_are_told() -> None:
    world = with_image(updated().says("sms", "^test -s /etc/image-release"), {})
    assert "on the SMS itself" in failing(world)["the_image_has_a_stamp"]
    world = with_image(updated(), {"etc/image-release": (None, STAMP)})
    assert "older than the chroot" in failing(world)["the_image_has_a_stamp"]


def test_a_node_that_did_not_boot_is_told_whatever_it_says_of_itself() -> None:
    world = updated().says("c2", "^cat /etc/image-release", "unstamped\n")
    assert failing(world) == {"both_run_it": "c2: unstamped"}
    world = updated().says("c2", "uptime", f"{PACKED - 300}\n")
    assert failing(world) == {"both_booted_it": "c2: it booted at 00:48:20 UTC, before the image was packed"}


def test_a_node_out_of_service_is_told() -> None:
    state = "NodeName=c1 State=DOWN+DRAIN Reason=x [a@b]\nNodeName=c2 State=IDLE Reason= \n"
    assert failing(updated().says("sms", "scontrol -o show nodes", state)) == {
        "both_take_jobs": "c1: DOWN+DRAIN"
    }


@pytest.mark.parametrize(
    "lines",
    [
        (REQUESTED.format("c[1-2]"), RETURNED.format("c1"), RETURNED.format("c2")),
        (REQUESTED.format("ALL"), RETURNED.format("c2"), RETURNED.format("c1")),
        (REQUESTED.format("c1"), REQUESTED.format("c2"), RETURNED.format("c1"), RETURNED.format("c2")),
        (
            STATE.format("c1", "DRAINING"),
            UNEXPECTED.format("c2"),
            STATE.format("c1", "IDLE"),
            RETURNED.format("c2"),
        ),
        (UNEXPECTED.format("c1"), "error: Nodes c2 not responding, setting DOWN", *ONE_BY_ONE),
    ],
)
def test_nodes_that_were_both_away_are_told(lines: tuple[str, ...]) -> None:
    found = failing(updated(*lines))
    assert set(found) == {"one_of_them_always_served"}
    assert found["one_of_them_always_served"].startswith("both away from 00:53:")


@pytest.mark.parametrize(
    "lines",
    [
        (REQUESTED.format("c2"), RETURNED.format("c2"), REQUESTED.format("c1"), RETURNED.format("c1")),
        (STATE.format("c1", "DRAINED"), UNEXPECTED.format("c1"), STATE.format("c1", "IDLE"), *ONE_BY_ONE[2:]),
        (REQUESTED.format("g[1-2]"), *ONE_BY_ONE, RETURNED.format("g1")),
        (*ONE_BY_ONE, REQUESTED.format("ALL")),
        (*ONE_BY_ONE[:2], STATE.format("c1", "DRAINED"), STATE.format("c1", "IDLE"), *ONE_BY_ONE[2:]),
    ],
)
def test_other_ways_one_after_the_other_pass(lines: tuple[str, ...]) -> None:
    """By rollout or by hand, in either order, and whatever happens after the update."""
    world = updated(*lines).says("sms", r"^scontrol show hostnames 'g\[1-2\]'", "g1\ng2\n")
    assert failing(world) == {}


def test_what_happened_before_the_image_was_packed_does_not_count() -> None:
    before = log(REQUESTED.format("ALL"), RETURNED.format("c1"), RETURNED.format("c2"), begin=-15)
    world = updated().says("sms", "^date .*/var/log/ctld.log", before + log(*ONE_BY_ONE).partition("\n")[2])
    assert failing(world) == {}


def test_an_update_that_slurm_knows_nothing_of_is_told() -> None:
    found = failing(updated(REQUESTED.format("c1"), RETURNED.format("c1"), STATE.format("c3", "IDLE")))
    assert "none about c2" in found["one_of_them_always_served"]


@pytest.mark.parametrize(
    ("tasks", "running"),
    [
        (diary((-5, True), (3, False), (30, True)), True),  # killed, and another one followed
        (diary((-5, True), (3, False), running=False), False),  # killed, and none followed
        (
            diary((3, True)).replace("task 0 ends", f"task 0 begins on c1 at {PACKED + 30}\ntask 0 ends"),
            True,
        ),
    ],
)
def test_a_task_that_never_ended_is_told(tasks: str, running: bool) -> None:
    assert tasks.startswith("user1") is running
    found = failing(updated().says("sms", "squeue -h -u user1", tasks))
    assert set(found) == {"no_task_was_lost"}
    assert "of user1 began on c1 at 00:53:" in found["no_task_was_lost"]
    assert found["no_task_was_lost"].endswith("and never ended")


@pytest.mark.parametrize(
    "tasks", ["", "cat: /home/user2/tasks.log: No such file or directory\n", diary((-900, True))]
)
def test_an_update_without_jobs_proves_nothing(tasks: str) -> None:
    found = failing(updated().says("sms", "squeue -h -u user2", tasks))
    assert found == {"no_task_was_lost": "none in /home/user2/tasks.log"}


def test_a_power_cut_after_the_update_is_not_held_against_it() -> None:
    """c1 was back 15 seconds after the image was packed, c2 25 seconds after it."""
    for cut in (20, 400):
        later = diary((-5, True), (3, True), (cut, False), (500, True))
        assert failing(updated().says("sms", "squeue -h -u user1", later)) == {}
