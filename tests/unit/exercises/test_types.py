"""The checks of the chapter on many kinds of nodes, on a scripted SMS: other right ways, and what is told."""

from __future__ import annotations

import pytest

from lab.checks.api import Outcome
from tests.unit.checks_world import World
from tests.unit.exercises.test_login import judge, outcomes

SIX = "dynamic_hosts,group,munge.key,network,passwd,shadow"
KERNEL = "net.ifnames=0 biosdevname=0 quiet"
MACS = {"c1": "52:54:00:00:01:01", "c2": "52:54:00:00:01:02"}
ADDRESSES = {"c1": "172.16.1.1", "c2": "172.16.1.2"}


def block(node: str, rows: dict[str, str]) -> str:
    lines = [f"{node:>15}: {key:<16} = {value}" for key, value in rows.items()]
    return "\n".join([f"#### {node} {'#' * 60}", *lines]) + "\n"


def node_text(node: str, mask: str = "255.255.0.0") -> str:
    return block(
        node,
        {"NAME": node, "eth0.HWADDR": MACS[node], "eth0.IPADDR": ADDRESSES[node], "eth0.NETMASK": mask},
    )


def provision_text(node: str, files: str = SIX, kargs: str = KERNEL) -> str:
    return block(node, {"VNFS": "debian13", "BOOTSTRAP": "6.12.0", "FILES": files, "KARGS": f'"{kargs}"'})


def database(*, mask: str = "255.255.0.0", files: str = SIX, kargs: str = KERNEL) -> tuple[World, str]:
    """A database of two nodes, of which c2 has the given settings; and what the print commands say of it."""
    world = World()
    rows = "".join(f"{node:<20}UNDEF               {ADDRESSES[node]:<20}{MACS[node]}\n" for node in MACS)
    world.says("sms", "^wwsh node list", f"NAME GROUPS IPADDR HWADDR\n{'=' * 80}\n{rows}")
    texts = [node_text("c1"), node_text("c2", mask), provision_text("c1"), provision_text("c2", files, kargs)]
    for node, own, given in (("c1", texts[0], texts[2]), ("c2", texts[1], texts[3])):
        world.says("sms", f"^wwsh node print {node}", own)
        world.says("sms", f"^wwsh provision print {node}", given)
    return world, "".join(texts)


ODD = {"mask": "255.255.255.252", "files": SIX.replace("group,", ""), "kargs": f"{KERNEL} maxcpus=1"}


def test_the_odd_node_is_found_in_three_ways() -> None:
    world, _ = database(**ODD)
    world.says("sms", "^cat .*inventory", "cat: No such file", 1)
    found = judge("node_inventory", world)
    assert outcomes(found, Outcome.FAILED) == [
        "inventory_names_every_node",
        "netmasks_fit_the_network",
        "files_are_complete",
        "kernels_are_told_the_same",
    ]
    assert found["netmasks_fit_the_network"].actual == "c2: 255.255.255.252"
    assert "without group" in found["files_are_complete"].actual


@pytest.mark.parametrize("form", ["as printed", "a table"])
def test_any_form_of_text_will_do(form: str) -> None:
    world, text = database()
    if form == "a table":
        text = "".join(f'{n},{ADDRESSES[n]},{MACS[n]},255.255.0.0,"{SIX}",{KERNEL}\n' for n in MACS)
    world.says("sms", "^cat .*inventory", text)
    found = judge("node_inventory", world)
    assert outcomes(found, Outcome.PASSED) == list(found), found


def test_a_text_of_yesterday_is_told_from_one_of_today() -> None:
    world, _ = database()
    world.says("sms", "^cat .*inventory", database(**ODD)[1])
    found = judge("node_inventory", world)
    assert outcomes(found, Outcome.FAILED) == ["inventory_is_of_now"]
    assert "255.255.255.252" in found["inventory_is_of_now"].actual


def test_an_address_is_not_found_within_a_longer_one() -> None:
    world, text = database()
    world.says(
        "sms",
        "^cat .*inventory",
        text.replace("172.16.1.1 ", "172.16.1.11 ").replace("172.16.1.1\n", "172.16.1.11\n"),
    )
    found = judge("node_inventory", world)
    assert found["inventory_names_every_node"].actual == "missing: 172.16.1.1"


# the script


def trial(**parts: str) -> str:
    """What the trial prints: the database in each part, and what the script said."""
    base = {"now": "A = 1", "first": "A = 1", "second": "A = 1", "empty": "A = 1", "damaged": "A = 1"}
    found = {**base, **{name.replace("_", "-"): text for name, text in parts.items()}}
    for name in ("first", "second", "empty", "damaged"):
        found.setdefault(f"{name}-output", "")
    return "".join(f"@@trial {name}\n{text}\n" for name, text in found.items())


def scripted(output: str, *, printed: str | None = None) -> World:
    world, text = database()
    world.says("sms", "^unshare", output)
    world.says("sms", "^wwsh node print; ", text if printed is None else printed)
    world.says("sms", "^wwsh vnfs list", "VNFS NAME SIZE ARCH CHROOT\ndebian13 60.0 x86_64 /opt/x\n")
    world.says("sms", "^wwsh bootstrap list", "BOOTSTRAP NAME SIZE ARCH\n6.12.0 9.0 x86_64\n")
    world.says(
        "sms", "^cat .*rebuild_script", "".join(f"{ADDRESSES[n]}/16 {MACS[n].upper()}\n" for n in MACS)
    )
    return world


def test_a_script_that_does_it_all_passes() -> None:
    found = judge("rebuild_script", scripted(trial(first_output="wwsh node set c1")))
    assert outcomes(found, Outcome.PASSED) == list(found)


@pytest.mark.parametrize(
    ("parts", "fails", "told"),
    [
        ({"first_output": "Traceback\nNameError: FILES"}, "it_runs_to_its_end", "NameError: FILES"),
        ({"empty_output": "ERROR:  Node c1--netdev=eth0"}, "wwsh_understands_it", "c1--netdev"),
        ({"second_output": "ERROR:  Node c1 already exists"}, "running_it_changes_nothing", "already exists"),
        ({"second": "A = 1\nA = 1b"}, "running_it_changes_nothing", "instead: A = 1b"),
        ({"empty": ""}, "it_rebuilds_from_nothing", "missing: A = 1"),
        ({"damaged": "A = 2"}, "it_mends_what_was_changed", "missing: A = 1; instead: A = 2"),
    ],
)
def test_each_fault_has_a_check_of_its_own(parts: dict[str, str], fails: str, told: str) -> None:
    found = judge("rebuild_script", scripted(trial(**parts)))
    assert outcomes(found, Outcome.FAILED) == [fails]
    assert told in found[fails].actual


def test_a_script_that_root_may_not_run_is_told() -> None:
    found = judge("rebuild_script", scripted("@@trial not-executable\n"))
    assert outcomes(found, Outcome.FAILED) == ["it_runs_to_its_end"]
    assert "not executable" in found["it_runs_to_its_end"].actual


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("", "", "c1: not in it, c2: not in it"),
        ("52:54:00:00:01:02", "52:54:00:00:01:20", "c2: its MAC address is 52:54:00:00:01:02"),
        ("= 172.16.1.1\n", "= 172.16.1.9\n", "c1: its IP address is 172.16.1.1"),
        ("255.255.0.0", "255.255.255.0", "c1: the netmask is 255.255.0.0, c2: the netmask is 255.255.0.0"),
        ("= debian13\n", "= debian12\n", "c1: no such VNFS, c2: no such VNFS"),
        ("munge.key,", "", "c1: without the files munge.key, c2: without the files munge.key"),
    ],
)
def test_a_database_that_no_node_could_boot_with_is_no_model(before: str, after: str, told: str) -> None:
    """The script leaves it as it was, and still it does not build what the nodes need."""
    text = database()[1].replace(before, after) if before else "WARNING:  No nodes found.\n"
    found = judge("rebuild_script", scripted(trial(), printed=text))
    assert found["data_is_complete"].actual == told
    assert "lab reset" in found["data_is_complete"].hint


def test_a_script_that_needs_something_in_tmp_is_told() -> None:
    error = "FileNotFoundError: [Errno 2] No such file or directory: '/tmp/nodes.csv'"
    found = judge("rebuild_script", scripted(trial(first_output=f"Traceback\n{error}")))
    assert "empty /tmp" in found["it_runs_to_its_end"].hint
