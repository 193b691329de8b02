"""Every option of `wwsh node` with the words that it takes: Warewulf 3's Cli/Node.pm and Node.pm, row by row.

Where Warewulf tells of an invalid value and goes on without it, nothing is changed here, and the status is 1.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from lab.guest.warewulf.model import Kind, NetDev, Record, with_node_names
from tests.guest.conftest import ALL_UNDEF, CLEARED, MAC, NODE, OTHER, PREFIX, Want, accepts, refuses

if TYPE_CHECKING:
    from tests.guest.conftest import Sms

SET_ROWS: list[tuple[str, Want]] = [
    ("--enabled=0", {"ENABLED": "0"}),
    ("-e false", {"ENABLED": "0"}),
    ("--enabled=FALSE", {"ENABLED": "0"}),
    ("-e 1", {"ENABLED": "1"}),
    ("--enabled=true", {"ENABLED": "1"}),
    ("--enabled=True", {"ENABLED": "1"}),
    ("--enabled=UNDEF", {"ENABLED": "1"}),
    ("--enab=0", {"ENABLED": "0"}),
    ("--cluster=beta", {"CLUSTER": "beta"}),
    ("-c beta", {"CLUSTER": "beta"}),
    *((f"--cluster={word}", {"CLUSTER": CLEARED}) for word in ALL_UNDEF),
    ("--domain=x.y", {"DOMAIN": "x.y"}),
    *((f"--domain={word}", {"DOMAIN": CLEARED}) for word in ALL_UNDEF),
    ("-a aarch64", {"ARCH": "aarch64"}),
    ("--arch=undef", {"ARCH": CLEARED}),
    ("-g x,y", {"GROUPS": ("x", "y")}),
    ("-g x -g y", {"GROUPS": ("x", "y")}),
    ("--groups=x.1_y-z", {"GROUPS": ("x.1_y-z",)}),
    *((f"--groups={word}", {"GROUPS": CLEARED}) for word in ALL_UNDEF),
    ("--groupadd=c,d", {"GROUPS": ("a", "b", "c", "d")}),
    ("--groupadd=a", {"GROUPS": ("b", "a")}),
    ("--groupdel=a,zz", {"GROUPS": ("b",)}),
    ("--groupdel=a,b", {"GROUPS": CLEARED}),
    (f"-H {OTHER}", {"eth0.hwaddr": (OTHER,)}),
    (f"--hwaddr={OTHER.upper()}", {"eth0.hwaddr": (OTHER,)}),
    (f"-H {MAC},{OTHER}", {"eth0.hwaddr": (MAC, OTHER)}),
    (f"-H {MAC}:03:04", {"eth0.hwaddr": (f"{MAC}:03:04",)}),
    *((f"--hwaddr={word}", {"eth0.hwaddr": CLEARED}) for word in ALL_UNDEF),
    (f"-p {PREFIX.replace('48', 'FF')}", {"eth0.hwprefix": PREFIX.replace("48", "ff")}),
    ("-p undef", {"eth0.hwprefix": CLEARED}),
    ("-I 172.16.9.9", {"eth0.ipaddr": "172.16.9.9"}),
    ("-I undef", {"eth0.ipaddr": CLEARED}),
    ("-M 255.0.0.0", {"eth0.netmask": "255.0.0.0"}),
    ("-M Undef", {"eth0.netmask": CLEARED}),
    ("-N 10.0.0.0", {"eth0.network": "10.0.0.0"}),
    ("-N undef", {"eth0.network": CLEARED}),
    ("-G 10.0.0.1", {"eth0.gateway": "10.0.0.1"}),
    *((f"--gateway={word}", {"eth0.gateway": CLEARED}) for word in ALL_UNDEF),
    ("-m 9000", {"eth0.mtu": "9000"}),
    ("-m undef", {"eth0.mtu": CLEARED}),
    ("-f c1.example_x.org", {"eth0.fqdn": "c1.example_x.org"}),
    ("-f undef", {"eth0.fqdn": CLEARED}),
    ("-b eth5,eth6", {"eth0.bonddevs": ("eth5", "eth6")}),
    ("-b undef", {"eth0.bonddevs": CLEARED}),
    ("-B active-backup,miimon=100", {"eth0.bondmode": "active-backup,miimon=100"}),
    ("-B UNDEF", {"eth0.bondmode": CLEARED}),
    ("-D ib0 -I 10.1.1.1", {"ib0.ipaddr": "10.1.1.1"}),
    ("-Dib0 -I10.1.1.1 -M=255.0.0.0", {"ib0.ipaddr": "10.1.1.1", "ib0.netmask": "255.0.0.0"}),
    ("--NETDEV=ib0 --IP=10.1.1.1", {"ib0.ipaddr": "10.1.1.1"}),
    # Options that guides leave empty.
    (
        "-D eno1 -I 10.2.2.2 --netmask= --gateway= --hwaddr= --network= --mtu= --fqdn=",
        {"eno1.ipaddr": "10.2.2.2"},
    ),
    ("--domain=x --cluster= --arch= --enabled= --groups= --name=", {"DOMAIN": "x"}),
]


@pytest.mark.parametrize(("options", "want"), SET_ROWS)
def test_set(sms: Sms, options: str, want: Want) -> None:
    sms.add(NODE)
    accepts(sms, ["node", "set", "c1", *options.split()], want)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--enabled=yes", "Option 'enabled' has invalid characters"),
        ("--enabled=2", "Option 'enabled' has invalid characters"),
        ("--cluster=a.b", "Option 'cluster' has invalid characters"),
        ("--domain=a/b", "Option 'domain' has invalid characters"),
        ("--arch=x86-64", "Option 'arch' has invalid characters"),
        ("--groups=a/b", "Option 'groups' has invalid characters"),
        ("--groupadd=a;b", "Option 'groupadd' has invalid characters"),
        ("--hwaddr=52:54:00", "Option 'hwaddrs' has invalid characters"),
        ("--hwprefix=80:00", "Option 'hwprefix' has invalid characters"),
        ("--ipaddr=172.16.1", "Option 'ipaddr' has invalid characters"),
        ("--ipaddr=172.16.1.256", "Option 'ipaddr' has invalid characters"),
        ("--netmask=16", "Option 'netmask' has invalid characters"),
        ("--network=x", "Option 'network' has invalid characters"),
        ("--gateway=none", "Option 'gateway' has invalid characters"),
        ("--mtu=0", "Option 'mtu' has invalid characters"),
        ("--mtu=9k", "Option 'mtu' has invalid characters"),
        ("--fqdn=a/b", "Option 'fqdn' has invalid characters"),
        ("--bonddevs=ETH1", "Option 'bonddevs' has invalid characters"),
        ("-D eth", "Option 'netdev' has invalid characters"),
        ("-D ETH0", "Option 'netdev' has invalid characters"),
        ("-D undef -I 10.1.1.1", "Option 'netdev' has invalid characters"),
        # A new name passes the checks of `node new`.
        *(
            (f"--name={word}", "You must define the name you wish to reference the node as!")
            for word in ALL_UNDEF
        ),
        ("-n a.b.c", "Nodename 'a.b.c' contains invalid characters"),
        ("--name=c2", "Could not modify node c2: it already exists"),
        # Devices that are not there, and names that are taken.
        ("-D eth7 --netdel", 'Object c1 has no netdev "eth7" configured!'),
        ("-D eth7 --netrename eth8", "Could not find netdev 'eth7' to rename!"),
        ("-D eth0 --netrename UNDEF", "Option 'netrename' has invalid characters"),
        ("-D eth0 --netrename a/1", "Option 'netrename' has invalid characters"),
        ("--frob=1", "Unknown option: frob"),
        ("--net=eth0", "Option net is ambiguous"),
        ("--netdel=1", "Option netdel does not take an argument"),
        ("--domain", "Option domain requires an argument"),
    ],
)
def test_set_refuses(sms: Sms, options: str, message: str) -> None:
    sms.add(NODE, with_node_names(Record(Kind.NODE, {"NODENAME": "c2", "ARCH": "x86_64"})))
    refuses(sms, ["node", "set", "c1", *options.split()], message)


def test_renames(sms: Sms) -> None:
    sms.add(NODE)
    sms.must("node", "set", "c1", "--netrename=ETH3")
    assert sms.values()["eth3.ipaddr"] == "172.16.1.1"
    sms.must("node", "set", "c1", "-D", "eth4")
    done = sms.wwsh("node", "set", "c1", "-D", "eth3", "--netrename", "eth4")
    assert 'ERROR:  Object c1 has a netdev "eth4" already' in done.err
    sms.must("node", "set", "c1", "-n", "c9")
    assert sms.values("c9")["NODENAME"] == "c9"
    assert sms.values() == {}


def test_two_nodes_cannot_get_one_name_or_hardware_address(sms: Sms) -> None:
    sms.add(NODE, with_node_names(Record(Kind.NODE, {"NODENAME": "c2"})))
    assert "Can not rename more then 1 node at a time!" in sms.wwsh("node", "set", "c*", "--name=x").err
    assert "Can not set HWADDR on more then 1 node!" in sms.wwsh("node", "set", "c*", "-H", OTHER).err


@pytest.mark.parametrize("name", ["UNDEF", "undef", "a.b", "a b", "c1"])
@pytest.mark.parametrize("command", [["new"], ["clone", "c1"], ["new", "zz", "--name"]])
def test_names_that_no_node_can_get(sms: Sms, command: list[str], name: str) -> None:
    sms.add(NODE)
    assert sms.wwsh("-y", "node", *command, name).status == 1
    assert sms.must("node", "list", "-1").split() == ["c1"]


@pytest.mark.parametrize(
    ("default", "devices", "device"),
    [
        ("", ("eth0",), "eth0"),
        ("", ("ib0",), "ib0"),
        ("", ("eth0", "ib0"), None),
        ("", (), None),
        ("eth0", (), "eth0"),
        ("eth0", ("eth0", "ib0"), "eth0"),
        ("eth0", ("ib0",), "ib0"),
        ("eth0", ("ib0", "ib1"), None),
    ],
)
def test_the_device_that_a_line_means_without_netdev(
    sms: Sms, default: str, devices: tuple[str, ...], device: str | None
) -> None:
    sms.write("/etc/warewulf/defaults/node.conf", f"netdev = {default}\n")
    sms.add(replace(NODE, netdevs=tuple(NetDev(name) for name in devices)))
    done = sms.wwsh("node", "set", "c1", "-G", "10.0.0.1")
    if device is None:
        assert done.err == "ERROR:  Option --gateway requires the --netdev option for: c1\n"
    else:
        assert sms.values()[f"{device}.gateway"] == "10.0.0.1"


LIST = ["node", "list", "-1", "-l"]
PRINT = ["object", "print", "-p", "nodename", "-t", "NODE", "--look"]


@pytest.mark.parametrize("verb", [LIST, PRINT])
@pytest.mark.parametrize(
    ("field", "word"),
    [
        ("name", "c1"),
        ("NAME", "c1.alpha"),
        ("_name", "c1"),
        ("id", "1"),
        ("_ID", "1"),
        ("hwaddr", MAC),
        ("_HwAddr", MAC),
        ("ipaddr", "172.16.1.*"),
        ("cluster", "alpha"),
        ("Groups", "b"),
        ("domain", "d.e"),
        ("arch", "x86_64"),
        ("NODENAME", "c?"),
        ("enabled", "1"),
        ("netmask", "255.255.0.0"),
        ("bonddevs", "eth2"),
        ("fqdn", "/c1.*/"),
        ("master", "UNDEF"),
        ("Master", "undef"),
    ],
)
def test_lookups_by_any_key_in_any_case(sms: Sms, verb: list[str], field: str, word: str) -> None:
    sms.add(
        NODE,
        with_node_names(Record(Kind.NODE, {"NODENAME": "x9", "MASTER": "10.0.0.1", "ENABLED": "0"})),
    )
    assert sms.must(*verb, field, word).split() == ["c1"]


def test_clone_and_its_devices(sms: Sms) -> None:
    sms.add(NODE)
    sms.must("node", "clone", "c1", "c2", "--netdel")
    assert [key for key in sms.values("c2") if "." in key] == []
    sms.must("node", "clone", "c1", "c3")
    assert "eth0.netmask" in sms.values("c3")
    assert "eth0.hwaddr" not in sms.values("c3")


def test_flags_in_one_word(sms: Sms) -> None:
    sms.add(NODE)
    assert sms.must("-qy", "node", "list", "c1").splitlines()[0].startswith("c1")
    assert sms.must("node", "list", "-yqv", "c1").splitlines()[0].startswith("c1")
    assert sms.must("node", "list", "-1", "--quie").split() == ["c1"]


def test_listings_show_the_most_complete_name(sms: Sms) -> None:
    """Node.pm (name) gives it where one word is wanted; `list -1` shows the node name alone."""
    sms.add(NODE.put("NAME", ("c1", "c1.alpha", "c1.alpha.d.e")))
    for words in ("node list", "provision list"):
        assert sms.must(*words.split()).splitlines()[-1].split()[0] == "c1.alpha.d.e"
    for words in ("node print c1", "provision print c1"):
        title, *rows = sms.must(*words.split()).splitlines()
        assert title.startswith("#### c1.alpha.d.e ###")
        assert {row.split(":")[0].strip() for row in rows} == {"c1.alpha.d.e"}
    assert sms.must("node", "list", "-1").split() == ["c1"]


@pytest.mark.parametrize(
    ("field", "value"), [("hwaddr_list", MAC), ("ipaddr_list", "172.16.1.1"), ("netdevs_list", "eth0")]
)
def test_object_print_of_lists_over_all_devices(sms: Sms, field: str, value: str) -> None:
    sms.add(NODE)
    assert sms.must("object", "print", "c1", "-p", field).strip() == value
