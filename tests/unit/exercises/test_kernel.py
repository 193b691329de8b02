"""The checks about a kernel of the nodes' own against scripted nodes."""

from __future__ import annotations

import re

import pytest

from lab.checks.api import Outcome
from tests.unit.checks_world import World
from tests.unit.exercises.test_login import judge, outcomes
from tests.unit.exercises.test_security import a_cluster, passes, unit
from tests.unit.next_boot_world import with_bootstrap

OLD, NEW = "6.12.7+deb13-amd64", "6.12.7+deb13-cloud-amd64"
NODES = ("login", "c1", "c2")


def printed(node: str, bootstrap: str) -> str:
    rows = {"BOOTSTRAP": bootstrap, "VNFS": "debian13", "FILES": "UNDEF", "KARGS": '"quiet"'}
    lines = [f"{node:>15}: {key:<16} = {value}" for key, value in rows.items()]
    return "\n".join([f"#### {node} {'#' * 60}", *lines]) + "\n"


def listed(*names: str) -> str:
    rows = [f"{name:<20}UNDEF               172.16.0.9          52:54:00:00:00:09" for name in names]
    return (
        "\n".join(["NAME                GROUPS              IPADDR              HWADDR", "=" * 80, *rows])
        + "\n"
    )


def bootstraps(*names: str) -> str:
    return (
        "\n".join(["BOOTSTRAP NAME            SIZE (M)      ARCH", *(f"{n} 9.0 x86_64" for n in names)])
        + "\n"
    )


def solved() -> World:
    """KERN-1 solved."""
    world = a_cluster()
    world.says("sms", "^uname -r", f"{OLD}\n")
    world.says("sms", "vmlinuz-", f"vmlinuz-{NEW}\n")
    world.says("sms", "^find .*/lib/modules", f"{NEW}\n")
    world.says("sms", "^wwsh bootstrap list", bootstraps(OLD, NEW))
    world.says("sms", "^wwsh node list", listed(*NODES))
    world.says("sms", "^sinfo", "c1|idle|none\nc2|idle|none\n")
    with_bootstrap(world, "nf_tables", "virtio_net", kernel=OLD, name=re.escape(OLD))
    with_bootstrap(world, "nf_tables", "virtio_net", kernel=NEW, name=re.escape(NEW))
    world.says("login", "^systemctl show firewalld", unit("active"))
    for node in NODES:
        world.says("sms", f"^wwsh provision print {node}$", printed(node, NEW))
        world.says(node, "^uname -r", f"{NEW}\n")
        world.says(node, "^lsmod", "Module Size Used by\nvirtio_net 110592 0\n")
        world.says(node, "uptime -s", "1000\n")
    return world


def test_own_kernel_passes_when_solved() -> None:
    assert passes("own_kernel", solved())


def test_at_first_only_the_kernel_is_missing() -> None:
    world = solved().says("sms", "vmlinuz-", "", 1).says("sms", "^find .*/lib/modules", "", 2)
    found = judge("own_kernel", world)
    assert outcomes(found, Outcome.FAILED) == ["folder_has_a_kernel"]
    assert outcomes(found, Outcome.PASSED) == []


@pytest.mark.parametrize(
    ("node", "pattern", "output", "check", "part"),
    [
        ("sms", "^find .*/lib/modules", "6.1.0\n", "folder_has_a_kernel", "no kernel"),
        ("sms", "^wwsh bootstrap list", bootstraps(OLD), "bootstrap_of_that_kernel", OLD),
        ("sms", "^wwsh provision print login$", printed("login", OLD), "every_node_is_given_it", "login"),
        ("c2", "^uname -r", f"{OLD}\n", "nodes_run_it", OLD),
        ("c1", "^lsmod", "Module Size\nxfs 9 0\n", "modules_come_with_the_bootstrap", "c1: not there: xfs"),
        ("login", "^systemctl show firewalld", unit("failed"), "firewall_still_runs", "failed"),
        ("sms", "^sinfo", "c1|idle|none\nc2|down|gone\n", "compute_nodes_take_jobs", "c2: down"),
    ],
)
def test_what_keeps_the_old_kernel_is_named(
    node: str, pattern: str, output: str, check: str, part: str
) -> None:
    found = judge("own_kernel", solved().says(node, pattern, output))
    assert outcomes(found, Outcome.FAILED) == [check]
    assert part in found[check].actual


def test_a_bootstrap_of_another_name_will_do() -> None:
    world = with_bootstrap(solved(), "nf_tables", "virtio_net", kernel=NEW, name="ours")
    world.says("sms", "^wwsh bootstrap list", bootstraps(OLD, "ours"))
    for node in NODES:
        world.says("sms", f"^wwsh provision print {node}$", printed(node, "ours"))
    assert passes("own_kernel", world)


def test_a_name_is_not_a_kernel() -> None:
    """The nodes run the new kernel, and the next boot would bring the old one."""
    world = with_bootstrap(solved(), "nf_tables", "virtio_net", kernel=OLD, name=re.escape(NEW))
    found = judge("own_kernel", world)
    assert outcomes(found, Outcome.FAILED) == ["bootstrap_of_that_kernel"]
    assert found["bootstrap_of_that_kernel"].actual == f"{NEW}: has the kernel {OLD}"


def test_a_kernel_that_was_not_booted_is_told() -> None:
    world = solved().says("login", "^uname -r", f"{OLD}\n")
    assert "since you assigned" in judge("own_kernel", world)["nodes_run_it"].hint
    world = with_bootstrap(world, "nf_tables", kernel=NEW, name=re.escape(NEW), built=1001)
    assert "booted before" in judge("own_kernel", world)["nodes_run_it"].hint
