"""Every option of wwsh's other modules: object, vnfs, bootstrap, ipmi, pxe, ssh, events, output; row by row.

The rows follow Cli/Object.pm, Vnfs.pm, Bootstrap.pm, Ipmi.pm, Pxe.pm, Ssh.pm, Events.pm and Output.pm.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from lab.guest.system import System
from lab.guest.warewulf.model import Kind, Record
from tests.guest.conftest import ALL_UNDEF, CLEARED, NODE, Want, accepts, refuses

if TYPE_CHECKING:
    from tests.guest.conftest import Sms

BASE = NODE.put("COLOUR", ("red", "blue")).put("SPEED", "9")


@pytest.mark.parametrize(
    ("options", "want"),
    [
        (["-s", "groups=a,c"], {"GROUPS": ("a", "c")}),
        (["--set", "Groups=a"], {"GROUPS": "a"}),
        (["-s", "x='a,b',c"], {"X": ("a,b", "c")}),
        (["-s", 'x="a b"'], {"X": "a b"}),
        (["-s", "x=a=b"], {"X": "a=b"}),
        (["-s", "x=a, b"], {"X": ("a", "b")}),
        (["-sx=1", "-s", "y=2"], {"X": "1", "Y": "2"}),
        (["-s", "SPEED="], {"SPEED": CLEARED}),
        *((["-s", f"speed={word}"], {"SPEED": CLEARED}) for word in ALL_UNDEF),
        (["-a", "colour=green,black"], {"COLOUR": ("red", "blue", "green", "black")}),
        (["--add=new=1"], {"NEW": ("1",)}),
        (["-a", "speed=10"], {"SPEED": ("9", "10")}),
        (["-D", "colour"], {"COLOUR": CLEARED}),
        (["-D", "colour=red"], {"COLOUR": ("blue",)}),
        (["--del", "colour=red,blue"], {"COLOUR": CLEARED}),
        (["--delete", "colour=zz"], {}),
        (
            ["-s", "a=1", "-a", "colour=x", "-D", "speed"],
            {"A": "1", "COLOUR": ("red", "blue", "x"), "SPEED": CLEARED},
        ),
    ],
)
def test_object_modify(sms: Sms, options: list[str], want: Want) -> None:
    sms.add(BASE)
    accepts(sms, ["object", "modify", "-t", "node", *options, "c1"], want)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["-s", "_id=3"], 'Will not modify private object member "_id".'),
        (["-a", "_hwaddr=3"], 'Will not modify private object member "_hwaddr".'),
        (["-s", "novalue"], "Not KEY=[VALUE]: novalue"),
        (["-a", "x="], "Not KEY=VALUE: x="),
        (["-s", "=x"], "Not KEY=[VALUE]: =x"),
        (["-s", "x='a"], "A quote is not closed: x='a"),
        (["-s", "netdevs=x"], "Key NETDEVS cannot be set here"),
        (["-s", "name=x"], "Key NAME cannot be set here"),
        (["-t", "cluster"], "Unknown type: cluster"),
        ([], "To change objects, you must say what to change"),
    ],
)
def test_object_modify_refuses(sms: Sms, options: list[str], message: str) -> None:
    sms.add(BASE)
    refuses(sms, ["object", "modify", *options, "c1"], message)


@pytest.mark.parametrize(
    ("fields", "shown"),
    [
        ("name", "c1,c1.alpha,c1.alpha.d.e"),
        ("NODENAME", "c1"),
        ("_id", "1"),
        ("_type", "node"),
        ("colour", "red,blue"),
        ("netdevs", "eth0"),
        ("eth0.ipaddr", "172.16.1.1"),
        ("NETDEVS.eth0.netmask", "255.255.0.0"),
        ("hwaddr", "52:54:00:aa:bb:01"),
        ("bonddevs", "eth1,eth2"),
        ("vnfs", "image"),
        ("bootstrap", "UNDEF"),
        ("nothing", "UNDEF"),
        ("eth9.ipaddr", "UNDEF"),
    ],
)
def test_object_print_of_one_field(sms: Sms, fields: str, shown: str) -> None:
    sms.add(BASE.put("VNFSID", "2"), Record(Kind.VNFS, {"NAME": "image"}))
    assert sms.must("object", "print", "-t", "node", "-p", fields, "c1").rstrip() == shown


def test_object_print_all_shows_the_devices_and_private_keys_only_on_request(sms: Sms) -> None:
    sms.add(NODE)
    plain, long = (sms.must(*words, "object", "print", "-p", ":all").splitlines() for words in ((), ("-v",)))
    assert plain[0] == "#### node c1.alpha.d.e " + "#" * 56
    assert plain[1] == "       1: NAME       = c1,c1.alpha,c1.alpha.d.e"
    assert "       1: NETDEVS    = ObjectSet" in plain
    assert "            NETDEVS.eth0.IPADDR       = 172.16.1.1" in plain
    assert not [line for line in plain if ": _" in line]
    assert long[1] == "       1: _ID        = 1"
    assert "       1: _TYPE      = node" in long


def test_object_finds_a_key_that_only_some_types_have(sms: Sms) -> None:
    sms.add(NODE, Record(Kind.FILE, {"NAME": "f", "PATH": "/etc/f"}), Record(Kind.VNFS, {"NAME": "v"}))
    assert sms.must("object", "print", "-p", "nodename", "-l", "groups", "a").rstrip() == "c1"
    assert sms.must("object", "print", "-p", "name", "-l", "PATH", "/etc/*").rstrip() == "f"
    done = sms.wwsh("object", "print", "-l", "colour", "red")
    assert "ERROR:  Cannot look up by 'colour'" in done.err
    assert sms.must("object", "-h").startswith("USAGE: wwsh object")


IMAGE = {"NAME": "image", "ARCH": "x86_64", "CHECKSUM": "abc", "SIZE": "1048576", "CHROOT": "/opt"}


@pytest.fixture
def images(sms: Sms) -> Sms:
    """A VNFS and a bootstrap named `image`, and a second of each."""
    kinds = (Kind.VNFS, Kind.BOOTSTRAP)
    sms.add(*(Record(kind, {**IMAGE, "NAME": name}) for kind in kinds for name in ("image", "second")))
    for name in ("image", "second"):
        sms.path(f"/srv/warewulf/vnfs/{name}").mkdir(parents=True)
    sms.path("/srv/chroot").mkdir()
    return sms


@pytest.mark.parametrize(
    ("module", "options", "want"),
    [
        ("vnfs", "-a aarch64", {"ARCH": "aarch64"}),
        ("vnfs", "--arch=undef", {"ARCH": CLEARED}),
        ("vnfs", "-c /srv/chroot", {"CHROOT": "/srv/chroot"}),
        *(("vnfs", f"--chroot={word}", {"CHROOT": CLEARED}) for word in ALL_UNDEF),
        ("vnfs", "--chroot=/srv/chroot --arch= --name=", {"CHROOT": "/srv/chroot"}),
        *(("bootstrap", f"--ucode={word}", {"UCODE": "1"}) for word in ("1", "true", "YES", "y")),
        *(("bootstrap", f"-u {word}", {"UCODE": CLEARED}) for word in ("0", "FALSE", "no", "N", *ALL_UNDEF)),
    ],
)
def test_image_set(images: Sms, module: str, options: str, want: Want) -> None:
    accepts(images, [module, "set", "image", *options.split()], want, "image", Kind(module))


@pytest.mark.parametrize(
    ("module", "options", "message"),
    [
        *(
            ("vnfs", f"--name={word}", "You must define the name you wish to reference the VNFS as!")
            for word in ALL_UNDEF
        ),
        ("vnfs", "--name=a/b", "Option 'name' has invalid characters"),
        ("vnfs", "--name=second", "VNFS 'second' already exists"),
        ("vnfs", "--arch=x86-64", "Option 'arch' has invalid characters"),
        ("vnfs", "--chroot=/nowhere", "Chroot directory '/nowhere' does not exist"),
        ("vnfs", "--chroot=/a;b", "Option 'chroot' has invalid characters"),
        ("vnfs", "", "To change a VNFS, you must say what to change"),
        *(
            ("bootstrap", f"-n {word}", "You must define the name you wish to reference the bootstrap as!")
            for word in ALL_UNDEF
        ),
        ("bootstrap", "--name=second", "Bootstrap 'second' already exists"),
        ("bootstrap", "--ucode=maybe", "Argument to ucode is not valid"),
        ("bootstrap", "-c /opt", "Unknown option: c"),
    ],
)
def test_image_set_refuses(images: Sms, module: str, options: str, message: str) -> None:
    refuses(images, [module, "set", "image", *options.split()], message, "image", Kind(module))


@pytest.mark.parametrize("module", ["vnfs", "bootstrap"])
def test_image_lists_and_lookups(images: Sms, module: str) -> None:
    assert images.must(module, "list", "-1", "-l", "ID", "*").split() == ["image", "second"]
    assert images.must(module, "list", "-1l", "Chroot", "/opt").split() == ["image", "second"]
    assert "Can not rename more then 1" in images.wwsh(module, "set", "*", "-n", "x").err
    images.must(module, "set", "image", "-n", "third")
    assert images.must("-q", module, "list").splitlines()[1].split()[:2] == ["third", "1.0"]


@pytest.mark.parametrize(
    ("options", "want"),
    [
        ("--ipaddr=10.0.0.9 --netmask=255.0.0.0", {"IPMI_IPADDR": "10.0.0.9", "IPMI_NETMASK": "255.0.0.0"}),
        ("--vlan=12", {"IPMI_VLANID": "12"}),
        ("--vlan=off", {"IPMI_VLANID": "off"}),
        ("--uid=3 --lanchannel=1", {"IPMI_UID": "3", "IPMI_LANCHANNEL": "1"}),
        ("--username=admin --password=secret1", {"IPMI_USERNAME": "admin", "IPMI_PASSWORD": "secret1"}),
        ("--proto=LanPlus", {"IPMI_PROTO": "lanplus"}),
        ("--target=0x2a", {"IPMI_TARGET": "0x2a"}),
        ("--ipaddr=10.0.0.9 --netmask=255.0.0.0 --autoconfig=1",
         {"IPMI_IPADDR": "10.0.0.9", "IPMI_NETMASK": "255.0.0.0", "IPMI_AUTOCONFIG": "1"}),
        ("--autoconfig=0", {}),
        ("--noautoconfig", {}),
        ("--uid=3 --vlan= --proto=", {"IPMI_UID": "3"}),
        *((f"--uid={word} --ipaddr={word}", {}) for word in ALL_UNDEF),
    ],
)  # fmt: skip
def test_ipmi_set(sms: Sms, options: str, want: Want) -> None:
    sms.add(NODE)
    accepts(sms, ["ipmi", "set", "c1", *options.split()], want)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("set c1 --ipaddr=10.0.0", "Option 'ipaddr' has invalid characters"),
        ("set c1 --vlan=x", "Option 'vlan' has invalid characters"),
        ("set c1 --proto=http", "IPMI protocol http is not supported."),
        ("set c1 --target=9", "Option 'target' has invalid characters"),
        ("set c1 --autoconfig=1", "The IPMI network is not properly configured for this node!"),
        ("set c1", "To change settings, you must say what to change"),
        ("set", "To make changes, you must provide a list of nodes to operate on."),
        ("poweroff c1", "Cannot run poweroff: the nodes of this lab have no management controller"),
        ("poweron c[1-2]", "Cannot run poweron: the nodes of this lab have no management controller"),
        ("powerstatus", "Cannot run powerstatus"),
        ("frob c1", "Unknown command: frob"),
    ],
)  # fmt: skip
def test_ipmi_refuses(sms: Sms, words: str, message: str) -> None:
    sms.add(NODE)
    refuses(sms, ["ipmi", *words.split()], message)


def test_ipmi_names_the_power_button_to_use_instead(sms: Sms) -> None:
    assert sms.wwsh("ipmi", "powercycle", "c1", "c2").err.endswith(
        "\nhint: lab power cycle c1 c2 (on your own machine)\n"
    )


def test_ipmi_shows_what_is_set(sms: Sms) -> None:
    sms.add(NODE, NODE.put("NODENAME", "c2").put("NAME", "c2"))
    sms.must("ipmi", "set", "c*", "--ipaddr=10.0.0.9", "--netmask=255.0.0.0")
    rows = [line.split() for line in sms.must("-q", "ipmi", "list").splitlines()]
    assert rows == [["c1", "no", "10.0.0.9", "255.0.0.0"], ["c2", "no", "10.0.0.10", "255.0.0.0"]]
    assert "             c1: IPMI_PROTO       = lanplus\n" in sms.must("ipmi", "print", "c1")
    assert sms.must("ipmi", "help").startswith("USAGE: wwsh ipmi COMMAND")


@pytest.mark.parametrize(
    ("words", "first"),
    [
        ("events ENABLE", "Enabling the Warewulf Event Handler"),
        ("output VERBOSE", "Current output level: VERBOSE"),
        ("output", "Current output level: NORMAL"),
        ("-v output", "Current output level: VERBOSE"),
        ("pxe help", "USAGE: wwsh pxe update [-l FIELD] [node ...]"),
        ("ssh help", "USAGE: wwsh ssh [-l FIELD] [USER@]NODES COMMAND ..."),
        ("-v pxe update -l Groups a", "Building iPXE configuration for: c1"),
    ],
)
def test_small_modules(sms: Sms, words: str, first: str) -> None:
    sms.add(NODE)
    assert sms.must(*words.split()).splitlines()[0] == first


@pytest.mark.parametrize(
    ("words", "called"),
    [
        ("c1 ls -l /", ["c1", "ls -l /"]),
        ("root@c1 hostname", ["root@c1", "hostname"]),
        ("-l groups a,b hostname", ["c1", "hostname"]),
        ("--lookup Cluster alpha hostname -a", ["c1", "hostname -a"]),
        ("-a hostname", ["c1", "hostname"]),
        ("--allnodes hostname", ["c1", "hostname"]),
        ("root@c[1-3] hostname", ["root@c1", "hostname"]),
    ],
)
def test_ssh(sms: Sms, monkeypatch: pytest.MonkeyPatch, words: str, called: list[str]) -> None:
    from lab.guest.system import Outcome

    seen: list[list[str]] = []

    def run(_: System, command: list[str], *more: object, **options: object) -> Outcome:
        seen.append(list(command))
        return Outcome(0, b"answer\n", b"")

    monkeypatch.setattr(System, "run", run)
    sms.add(NODE)
    assert sms.must("ssh", *words.split()) == "c1: answer\n"
    assert [command[-2:] for command in seen] == [called]
