"""The exercise new_mainboard: its checks against scripted nodes, right and wrong."""

from __future__ import annotations

import pytest

from lab.checks.api import Outcome
from lab.model import NodeStatus, Power
from tests.unit.checks_world import World
from tests.unit.exercises.test_login import SIX, judge, outcomes

RULER = "=" * 80
OLD, C1, C2 = "52:54:00:ff:ff:c1", "52:54:00:00:01:01", "52:54:00:00:01:02"
HEALTHY = "NodeName=c1 State=IDLE Reason=\n"
DRAINED = "NodeName=c1 State=IDLE+DRAIN Reason=new mainboard [root@2026-11-30T19:00:00]\n"


def listed(**macs: str) -> str:
    rows = [f"{name:<20}UNDEF               172.16.1.{name[1:]:<12}{mac}" for name, mac in macs.items()]
    return "\n".join(["NAME                GROUPS              IPADDR              HWADDR", RULER, *rows, ""])


def printed(**values: str) -> str:
    lines = [f"{'c1':>15}: {key.replace('__', '.'):<16} = {value}" for key, value in values.items()]
    return "\n".join([f"#### c1 {'#' * 68}", *lines, ""])


def solved() -> World:
    world = World()
    world.says("sms", "^wwsh node list", listed(c1=C1, c2=C2))
    world.says("sms", "^wwsh node print c1", printed(NAME="c1", eth0__HWADDR=C1, eth0__IPADDR="172.16.1.1"))
    world.says("sms", "^wwsh provision print c1", printed(BOOTSTRAP="6.12", VNFS="debian13", FILES=SIX))
    world.says("sms", "ssh .* c1 true")
    world.says("sms", "scontrol -o show nodes", HEALTHY)
    return world


def test_all_pass_when_solved() -> None:
    found = judge("new_mainboard", solved())
    assert len(outcomes(found, Outcome.PASSED)) == len(found)


def test_the_start_fails_for_one_reason() -> None:
    found = judge("new_mainboard", solved().says("sms", "^wwsh node list", listed(c1=OLD, c2=C2)))
    assert outcomes(found, Outcome.FAILED) == ["mac_is_the_machines"]
    assert outcomes(found, Outcome.PASSED) == []
    assert found["mac_is_the_machines"].actual == OLD


@pytest.mark.parametrize(
    ("rows", "check", "part"),
    [
        ({"c1": OLD, "c2": C1}, "mac_is_the_machines", "c2 has the address of this machine"),
        ({"c2": C2}, "mac_is_the_machines", "no node object called c1"),
        ({"c1": f"{C1},{OLD}", "c2": OLD}, "others_have_theirs", f"c2: {OLD}"),
    ],
)
def test_addresses(rows: dict[str, str], check: str, part: str) -> None:
    found = judge("new_mainboard", solved().says("sms", "^wwsh node list", listed(**rows)))
    assert check in outcomes(found, Outcome.FAILED)
    assert part in found[check].actual


@pytest.mark.parametrize(
    ("values", "part"),
    [
        ({"VNFS": "debian13", "BOOTSTRAP": "6.12", "FILES": "dynamic_hosts,passwd"}, "munge.key"),
        ({"VNFS": "UNDEF", "BOOTSTRAP": "6.12", "FILES": SIX}, "VNFS"),
        ({"VNFS": "debian13", "BOOTSTRAP": "UNDEF", "FILES": SIX}, "bootstrap"),
    ],
)
def test_what_was_lost_is_named(values: dict[str, str], part: str) -> None:
    found = judge("new_mainboard", solved().says("sms", "^wwsh provision print c1", printed(**values)))
    assert outcomes(found, Outcome.FAILED) == ["provisioning_is_as_before"]
    assert part in found["provisioning_is_as_before"].actual


def test_another_address_is_named() -> None:
    text = printed(NAME="c1", eth0__HWADDR=C1, eth0__IPADDR="172.16.1.7")
    found = judge("new_mainboard", solved().says("sms", "^wwsh node print c1", text))
    assert outcomes(found, Outcome.FAILED) == ["address_is_as_before"]


def test_a_node_that_is_not_up_yet_and_one_that_is_off() -> None:
    world = solved().says("sms", "ssh .* c1 true", "ssh: connect to host c1 port 22: No route to host", 255)
    world.down["c1"] = NodeStatus("c1", Power.ON, "pxe", "no DHCP answer")
    found = judge("new_mainboard", world)
    assert outcomes(found, Outcome.FAILED) == ["c1_answers"]
    assert "stage pxe" in found["c1_answers"].actual
    world.down["c1"] = NodeStatus("c1", Power.OFF)
    assert judge("new_mainboard", world)["c1_answers"].look == "lab power on c1"


def test_a_drained_node_is_not_in_service() -> None:
    found = judge("new_mainboard", solved().says("sms", "scontrol -o show nodes", DRAINED))
    assert outcomes(found, Outcome.FAILED) == ["c1_takes_jobs"]
    assert found["c1_takes_jobs"].actual == "IDLE+DRAIN, new mainboard"
