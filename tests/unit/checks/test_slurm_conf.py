"""What a check says of a setting that only slurm.conf has, only the running controller, or neither."""

from __future__ import annotations

import pytest

from lab.checks import CheckFailedError, ClusterView, failed, require_partitions, require_settings
from lab.checks.shell_pool import TimeBudget
from lab.checks.slurm_conf import Setting
from lab.facts.partitions import Queue
from tests.unit.checks_world import World

QUEUE = "PartitionName=x PriorityTier=1 Nodes=c1 MaxTime=UNLIMITED\n"


def seen(running: str, written: str) -> ClusterView:
    world = World()
    world.says("sms", "^scontrol show config", running).says("sms", "^scontrol -o show partition", running)
    world.says("sms", "^cat /etc/slurm/slurm.conf", written)
    return ClusterView(world.room(), TimeBudget(20.0))


def weighed(setting: Setting) -> CheckFailedError | None:
    weight = setting("PriorityWeightAge")
    return failed(expected="1000", actual=weight, hint="edit", look="sprio -w") if weight != "1000" else None


@pytest.mark.parametrize(
    ("running", "written", "hint", "look"),
    [
        ("0", "0", "edit", "sprio -w"),
        ("0", "1000", "scontrol reconfigure", "sprio -w"),
        ("1000", "0", "when it starts", "grep -i ^Priority /etc/slurm/slurm.conf"),
    ],
)
def test_a_setting_is_missing_in_one_place(running: str, written: str, hint: str, look: str) -> None:
    cluster = seen(f"PriorityWeightAge   = {running}\n", f"priorityweightage={written}\n")
    with pytest.raises(CheckFailedError) as told:
        require_settings(cluster, weighed, key="Priority")
    assert hint in told.value.hint
    assert told.value.look == look


def test_a_setting_in_both_places_is_fine_whatever_the_case_of_its_name() -> None:
    require_settings(seen("PriorityWEIGHTAge = 1000\n", "priorityweightage=1000\n"), weighed, key="Priority")


def only_x(found: dict[str, Queue]) -> CheckFailedError | None:
    return None if list(found) == ["x"] else failed(expected="x", actual=list(found))


def test_a_partition_that_only_the_running_controller_has_does_not_last() -> None:
    require_partitions(seen(QUEUE, "PartitionName=x Nodes=c1\n"), only_x)
    with pytest.raises(CheckFailedError) as told:
        require_partitions(seen(QUEUE, "PartitionName=y Nodes=c1\n"), only_x)
    assert (told.value.expected, told.value.final) == ("x, in slurm.conf as in the running controller", True)
    assert told.value.actual == "in slurm.conf: y"
