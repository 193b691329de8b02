"""wwsh node: what it accepts, says, lists and prints (warewulf3.md, sections 3 and 4)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.guest.conftest import Sms

MAC = "52:54:00:aa:bb:01"


def test_a_registered_node_is_listed_in_four_columns(sms: Sms) -> None:
    sms.must("-y", "node", "new", "c1", "--netdev", "eth0", "--ipaddr=172.16.1.1", f"--hwaddr={MAC.upper()}")
    lines = sms.must("node", "list").splitlines()
    assert lines[0].rstrip() == "NAME                GROUPS              IPADDR              HWADDR"
    assert lines[1] == "=" * 80
    assert lines[2].rstrip() == f"c1                  UNDEF               172.16.1.1          {MAC}"


def test_printed_columns_survive_the_tutorials_filter(sms: Sms) -> None:
    sms.must("node", "new", "c1", "--netdev", "eth0", "--ipaddr=172.16.1.1")
    lines = sms.must("node", "print", "c1").splitlines()
    assert lines[0] == "#### c1 " + "#" * 71
    keys = [line.split(":", 1)[1].split("=")[0].strip() for line in lines[1:]]
    assert keys == [
        "ID", "NAME", "NODENAME", "ARCH", "CLUSTER", "DOMAIN", "GROUPS", "ENABLED",
        "eth0.HWADDR", "eth0.HWPREFIX", "eth0.IPADDR", "eth0.NETMASK", "eth0.NETWORK", "eth0.GATEWAY",
        "eth0.MTU", "eth0.FQDN", "eth0.BONDDEVS", "eth0.BONDMODE",
    ]  # fmt: skip
    assert "             c1: eth0.IPADDR      = 172.16.1.1" in lines
    assert "             c1: ENABLED          = TRUE" in lines


def test_names_are_sorted_as_text(sms: Sms) -> None:
    sms.must("node", "new", "c2", "c10", "c1")
    assert sms.must("node", "list", "-1").split() == ["c1", "c10", "c2"]


@pytest.mark.parametrize(
    ("word", "names"),
    [
        ("c[1-2]", ["c1", "c2"]),
        ("c[9-11]", ["c09", "c10", "c11"]),
        ("c[3-1]", ["c1", "c2", "c3"]),
        ("c[1,5-6]", ["c1", "c5", "c6"]),
    ],
)
def test_brackets_expand_padded_to_the_width_of_the_end(sms: Sms, word: str, names: list[str]) -> None:
    sms.must("node", "new", word)
    assert sms.must("node", "list", "-1").split() == names


def test_addresses_count_up_over_several_nodes(sms: Sms) -> None:
    sms.must("node", "new", "c[1-3]", "-D", "eth0", "-I", "172.16.1.255")
    lines = sms.must("-q", "node", "list").splitlines()
    assert [line.split()[2] for line in lines] == ["172.16.1.255", "172.16.2.0", "172.16.2.1"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["new", "c_1.x"], "ERROR:  Nodename 'c_1.x' contains invalid characters"),
        (["new", "c9", "-D", "ETH"], "ERROR:  Option 'netdev' has invalid characters"),
        (["new", "c9", "-D", "eth0", "--hwaddr=__:__"], "ERROR:  Option 'hwaddrs' has invalid characters"),
        (["new", "c9", "-D", "eth0", "--hwaddr=52:54"], "ERROR:  Option 'hwaddrs' has invalid characters"),
        (["new", "c9", "-D", "eth0", "--ipaddr=172.16.1"], "ERROR:  Option 'ipaddr' has invalid characters"),
        (["set", "c*", "-H", MAC], "ERROR:  Can not set HWADDR on more then 1 node!"),
        (["set", "c2", "--ipaddr=1.2.3.4"], "ERROR:  Option --ipaddr requires the --netdev option for: c2"),
        (["set"], "ERROR:  To make changes, you must provide a list of nodes to operate on."),
        (["delete"], "ERROR:  To make deletions, you must provide a list of nodes to operate on."),
        (["new", "c9", "-D", "eth0", "-H", MAC],
         f"ERROR:  Could not add node c9: Existing HW address exists for c1 ({MAC})"),
        (["new", "c1"], "ERROR:  Node c1 already exists"),
        (["clone", "zz", "c9"], "ERROR:  Nodename 'zz' not found"),
        (["set", "c1", "--frob=1"], "ERROR:  Unknown option: frob"),
        (["set", "c1", "--ipaddr"], "ERROR:  Option ipaddr requires an argument"),
        (["list", "-l", "colour", "x"], "ERROR:  Cannot look up by 'colour'"),
        (["list", "/c[/"], "ERROR:  Not a regular expression"),
    ],
)  # fmt: skip
def test_mistakes_are_told_and_change_nothing(sms: Sms, words: list[str], message: str) -> None:
    sms.must("node", "new", "c1", "-D", "eth0", "-H", MAC)
    sms.must("node", "new", "c2")
    before = sms.must("node", "print")
    done = sms.wwsh("node", *words)
    assert done.status == 1
    assert message in done.err
    assert sms.must("node", "print") == before


def test_an_address_given_twice_is_worth_a_warning(sms: Sms) -> None:
    sms.must("node", "new", "c1", "-D", "eth0", "-I", "172.16.1.1")
    done = sms.wwsh("node", "new", "c2", "-D", "eth0", "-I", "172.16.1.1")
    assert done.status == 0
    assert "WARNING:  c1 has the same address 172.16.1.1" in done.err


def test_lookups_by_address_group_and_regular_expression(sms: Sms) -> None:
    sms.must("node", "new", "c1", "-D", "eth0", "-H", MAC, "-I", "172.16.1.1", "--groups=a,b")
    sms.must("node", "new", "c2", "--groupadd=b")
    assert sms.must("node", "list", "-1", "-l", "hwaddr", MAC).split() == ["c1"]
    assert sms.must("node", "list", "-1", "-l", "ipaddr", "172.16.1.*").split() == ["c1"]
    assert sms.must("node", "list", "-1", "-l", "groups", "b").split() == ["c1", "c2"]
    assert sms.must("node", "list", "-1", "-l", "hwaddr", "UNDEF").split() == ["c2"]
    assert sms.must("node", "list", "-1", "/c[12]/").split() == ["c1", "c2"]
    assert sms.must("node", "list", "-1", "c?").split() == ["c1", "c2"]


def test_nothing_found_is_said(sms: Sms) -> None:
    assert sms.wwsh("node", "list", "x*").out == "No nodes found\n"
    assert sms.wwsh("node", "list").out == "No nodes found\n"


def test_delete_lists_what_goes_even_unasked(sms: Sms) -> None:
    sms.must("node", "new", "c[1-2]")
    assert sms.must("node", "delete", "c1") == (
        "About to apply 1 action(s) to 1 node(s):\n\n     DEL: NODE c1\n\nDeleted 1 nodes.\n"
    )
    assert sms.must("node", "list", "-1").split() == ["c2"]


def test_clone_copies_all_but_addresses(sms: Sms) -> None:
    sms.must("node", "new", "c1", "-D", "eth0", "-H", MAC, "-I", "172.16.1.1", "-M", "255.255.0.0", "-g", "a")
    sms.must("node", "clone", "c1", "c2")
    text = sms.must("node", "print", "c2")
    assert "c2: eth0.NETMASK     = 255.255.0.0" in text
    assert "c2: GROUPS           = a" in text
    assert "c2: eth0.HWADDR      = UNDEF" in text
    assert "c2: eth0.IPADDR      = UNDEF" in text


def test_undef_clears_and_devices_come_and_go(sms: Sms) -> None:
    sms.must("node", "new", "c1", "-D", "eth0", "-H", MAC, "-I", "172.16.1.1", "--domain", "example")
    sms.must("node", "set", "c1", "--domain=UNDEF", "--ipaddr=UNDEF", "--netrename=eth1")
    text = sms.must("node", "print", "c1")
    assert "c1: DOMAIN           = UNDEF" in text
    assert "c1: eth1.IPADDR      = UNDEF" in text
    assert f"c1: eth1.HWADDR      = {MAC}" in text
    assert "eth0" not in text
    sms.must("node", "set", "c1", "--netdel")
    assert "HWADDR" not in sms.must("node", "print", "c1")


def test_a_wwsh_d_never_reaches_the_module(sms: Sms) -> None:
    sms.must("node", "new", "c1", "-d")
    assert sms.must("node", "list", "-1").split() == ["c1"]


def test_switches_are_numbers(sms: Sms) -> None:
    sms.must("node", "new", "c1")
    sms.must("node", "set", "c1", "--enabled=0")
    assert "c1: ENABLED          = FALSE" in sms.must("node", "print", "c1")
    sms.must("node", "set", "c1", "--enabled=1")
    assert "c1: ENABLED          = TRUE" in sms.must("node", "print", "c1")


def test_strict_statuses_are_warewulfs(sms: Sms, monkeypatch: pytest.MonkeyPatch) -> None:
    sms.must("node", "new", "c1")
    assert sms.wwsh("provision", "print").status == 0
    monkeypatch.setenv("WW_STRICT_RC", "1")
    assert sms.wwsh("provision", "print").status == 1
    assert sms.wwsh("provision", "list").status == 1
    assert sms.wwsh("node", "list", "-1").status == 1
    assert sms.wwsh("node", "list").status == 0
