"""Every option of `wwsh provision set` with its words: Cli/Provision.pm and Provision.pm, row by row."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from lab.guest.warewulf.model import Kind, Record
from tests.guest.conftest import ALL_UNDEF, CLEARED, NODE, Want, accepts, refuses

if TYPE_CHECKING:
    from tests.guest.conftest import Sms

SWITCHES = ("preshell", "postshell", "postnetdown", "postreboot")
ON, OFF = ("1", "2", "01", "0.5", "-1", "1x"), ("0", "00", "0.0", "x", "N", "no", "False", *ALL_UNDEF)
FULL = NODE
for _key in (
    "MASTER",
    "CONSOLE",
    "TRANSPORT",
    "PXELOADER",
    "IPXEURL",
    "UCODE",
    "SELINUX",
    "BOOTLOADER",
    "BOOTLOCAL",
):
    FULL = FULL.put(_key, "0")
FULL = FULL.put("KARGS", ("quiet",)).put("FS", ("select /dev/sda",)).put("FILEIDS", ("2",))
FULL = FULL.put("VNFSID", "9").put("BOOTSTRAPID", "9").put("VALIDATE_VNFS", "1")
for _key in SWITCHES:
    FULL = FULL.put(_key.upper(), "1")


@pytest.fixture
def cluster(sms: Sms) -> Sms:
    """c1 with a value under every key, two files, a VNFS and a bootstrap."""
    sms.write("/etc/warewulf/filesystem/one.cmds", "select /dev/vda\nmkfs 1 ext4\n")
    files = [Record(Kind.FILE, {"NAME": name, "PATH": f"/etc/{name}"}) for name in ("passwd", "group")]
    images = [Record(kind, {"NAME": "image", "ARCH": "x86_64"}) for kind in (Kind.VNFS, Kind.BOOTSTRAP)]
    sms.add(FULL, *files, *images)
    return sms


ROWS: list[tuple[str, Want]] = [
    *((f"--{name}={word}", {name.upper(): "1"}) for name in SWITCHES for word in ("1", "2")),
    *((f"--{name}={word}", {name.upper(): CLEARED}) for name in SWITCHES for word in ("0", "undef", "no")),
    *((f"--validate={word}", {"VALIDATE_VNFS": "1"}) for word in ON),
    *((f"--validate={word}", {"VALIDATE_VNFS": CLEARED}) for word in OFF),
    *(
        (f"--bootlocal={word}", {"BOOTLOCAL": CLEARED})
        for word in ("0", "N", "n", "NO", "no", "False", *ALL_UNDEF)
    ),
    *((f"--bootlocal={word}", {"BOOTLOCAL": "0"}) for word in ("NORMAL", "normal")),
    *((f"--bootlocal={word}", {"BOOTLOCAL": "-1"}) for word in ("EXIT", "Exit")),
    *((f"--ucode={word}", {"UCODE": "1"}) for word in ("1", "TRUE", "yes", "Y")),
    *((f"--ucode={word}", {"UCODE": "0"}) for word in ("0", "false", "NO", "n")),
    ("--ucode=undef", {"UCODE": CLEARED}),
    *((f"--selinux={word}", {"SELINUX": CLEARED}) for word in ("DISABLED", "disabled", "undef")),
    ("--selinux=Enabled", {"SELINUX": "0"}),
    ("--selinux=enforced", {"SELINUX": "1"}),
    ("--master=10.0.0.1", {"MASTER": ("10.0.0.1",)}),
    ("--master=10.0.0.1,10.0.0.2", {"MASTER": ("10.0.0.1", "10.0.0.2")}),
    ("--master=10.0.0.1 --master 10.0.0.2", {"MASTER": ("10.0.0.1", "10.0.0.2")}),
    *((f"--master={word}", {"MASTER": CLEARED}) for word in ALL_UNDEF),
    ("--console=ttyS1,115200", {"CONSOLE": "ttyS1,115200"}),
    ("--console=tty0", {"CONSOLE": "tty0"}),
    ("--console=ttyS0,9600n8r", {"CONSOLE": "ttyS0,9600n8r"}),
    *((f"--console={word}", {"CONSOLE": CLEARED}) for word in ALL_UNDEF),
    ("--transport=https", {"TRANSPORT": "https"}),
    ("--transport=HTTP", {"TRANSPORT": "http"}),
    ("--transport=undef", {"TRANSPORT": CLEARED}),
    ("--pxeloader=x/undionly.kpxe", {"PXELOADER": "x/undionly.kpxe"}),
    ("--pxeloader=undef", {"PXELOADER": CLEARED}),
    ("--ipxeurl=http://x:80/%{mac}", {"IPXEURL": "http://x:80/%{mac}"}),
    ("--ipxeurl=undef", {"IPXEURL": CLEARED}),
    ("--bootloader=sda", {"BOOTLOADER": "sda"}),
    ("--bootloader=/dev/sda", {"BOOTLOADER": "sda"}),
    ("--bootloader=undef", {"BOOTLOADER": CLEARED}),
    ("-f one", {"FS": ("select /dev/vda", "mkfs 1 ext4")}),
    ("--filesystem=one", {"FS": ("select /dev/vda", "mkfs 1 ext4")}),
    *((f"--filesystem={word}", {"FS": CLEARED}) for word in ALL_UNDEF),
    ("--kargs=a=1", {"KARGS": ("a=1",)}),
    *((f"--kargs={word}", {"KARGS": CLEARED}) for word in ALL_UNDEF),
    ("-V image", {"VNFSID": "4"}),
    ("--vnfs=im*", {"VNFSID": "4"}),
    ("--vnfs=/i.+e/", {"VNFSID": "4"}),
    ("--bootstrap=imag?", {"BOOTSTRAPID": "5"}),
    *((f"--vnfs={word}", {"VNFSID": CLEARED}) for word in ALL_UNDEF),
    ("-b image", {"BOOTSTRAPID": "5"}),
    *((f"--bootstrap={word}", {"BOOTSTRAPID": CLEARED}) for word in ALL_UNDEF),
    ("--files=group", {"FILEIDS": ("3",)}),
    ("--files=*", {"FILEIDS": ("3", "2")}),
    ("--files=passwd,group", {"FILEIDS": ("2", "3")}),
    *((f"--files={word}", {"FILEIDS": CLEARED}) for word in ALL_UNDEF),
    ("--fileadd=group", {"FILEIDS": ("2", "3")}),
    ("--fileadd=passwd", {}),
    ("--filedel=passwd", {"FILEIDS": CLEARED}),
    ("--filedel=group", {}),
    ("--pres=0", {"PRESHELL": CLEARED}),
    # Options that are left empty change nothing.
    ("--preshell=0 --vnfs= --bootstrap= --files= --kargs= --console= --bootlocal=", {"PRESHELL": CLEARED}),
    # Options that are accepted and have no effect.
    ("--preshell=0 --bootserver=1.2.3.4 --dformat=sda1 --dpartition=sda", {"PRESHELL": CLEARED}),
]


@pytest.mark.parametrize(("options", "want"), ROWS)
def test_set(cluster: Sms, options: str, want: Want) -> None:
    accepts(cluster, ["provision", "set", "c1", *options.split()], want)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--bootlocal=yes", "Invalid value for bootlocal: yes"),
        ("--bootlocal=1", "Invalid value for bootlocal: 1"),
        ("--ucode=maybe", "Invalid value for ucode: maybe"),
        ("--selinux=on", "Invalid value for selinux: on"),
        ("--master=sms", "Option 'master' has invalid characters"),
        ("--console=hvc0", "Option 'console' has invalid characters"),
        ("--console=ttyS0,1", "Option 'console' has invalid characters"),
        ("--transport=ftp", "Option 'transport' has invalid characters"),
        ("--pxeloader=a;b", "Option 'pxeloader' has invalid characters"),
        ("--ipxeurl=a;b", "Option 'ipxeurl' has invalid characters"),
        ("--bootloader=s-da", "Option 'bootloader' has invalid characters"),
        ("--filesystem=none", "Could not find filesystem command file: none"),
        ("--vnfs=none", "No VNFS named: none"),
        ("--bootstrap=none", "No bootstrap named: none"),
        ("--files=none", "No file found for name: none"),
        ("--fileadd=none", "No file found for name: none"),
        ("--filedel=none", "No file found for name: none"),
        ("--file=passwd", "Option file is ambiguous"),
        ("-m 10.0.0.1", "Unknown option: m"),
    ],
)
def test_set_refuses(cluster: Sms, options: str, message: str) -> None:
    refuses(cluster, ["provision", "set", "c1", *options.split()], message)


@pytest.mark.parametrize("word", ["TRUE", "yes", "on"])
def test_a_word_that_seems_on_is_off_and_warned_of(cluster: Sms, word: str) -> None:
    done = cluster.wwsh("provision", "set", "c1", f"--preshell={word}")
    assert done.status == 0
    assert f"WARNING:  --preshell={word} means off" in done.err
    assert "PRESHELL" not in cluster.values()


def test_print_shows_ucode_as_a_truth_value(cluster: Sms) -> None:
    for word, shown in (("1", "TRUE"), ("0", "FALSE"), ("UNDEF", "UNDEF")):
        cluster.must("provision", "set", "c1", f"--ucode={word}")
        assert f"c1.alpha.d.e: UCODE            = {shown}\n" in cluster.must("provision", "print", "c1")
