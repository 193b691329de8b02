"""wwsh provision: what it sets, says, lists and prints (warewulf3.md, sections 3, 5 and 17)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from lab.guest.warewulf.model import Kind, Record

if TYPE_CHECKING:
    from tests.guest.conftest import Sms

LAYOUT = """\
# one disk
select /dev/vda
#mkpart boot ext4 3MiB 515MiB
name 2 boot
mkfs 2 ext4 -L boot
fstab 2 /boot ext4 defaults,noatime 0 0
frobnicate all
"""


@pytest.fixture
def cluster(sms: Sms) -> Sms:
    """c1 and login, a VNFS, a bootstrap and four files."""
    store = sms.store()
    with store.transaction():
        store.add(Record(Kind.VNFS, {"NAME": "debian13", "ARCH": "x86_64", "CHECKSUM": "abc"}))
        store.add(Record(Kind.VNFS, {"NAME": "arm", "ARCH": "aarch64", "CHECKSUM": "abc"}))
        store.add(Record(Kind.BOOTSTRAP, {"NAME": "6.12.43+deb13-amd64-extra", "ARCH": "x86_64"}))
    store.close()
    for name in ("passwd", "group", "munge.key", "slurm.conf.login"):
        sms.write(f"/etc/{name}", name)
        sms.must("file", "import", f"/etc/{name}")
    sms.must("node", "new", "c1", "login", "-D", "eth0")
    return sms


def test_all_rows_with_their_defaults_in_order(cluster: Sms) -> None:
    assert cluster.must("provision", "print", "c1").splitlines() == [
        "#### c1 " + "#" * 71,
        "             c1: MASTER           = UNDEF",
        "             c1: BOOTSTRAP        = UNDEF",
        "             c1: VNFS             = UNDEF",
        "             c1: VALIDATE         = FALSE",
        "             c1: FILES            = UNDEF",
        "             c1: PRESHELL         = FALSE",
        "             c1: POSTSHELL        = FALSE",
        "             c1: POSTNETDOWN      = FALSE",
        "             c1: POSTREBOOT       = FALSE",
        "             c1: CONSOLE          = UNDEF",
        "             c1: TRANSPORT        = UNDEF",
        "             c1: PXELOADER        = UNDEF",
        "             c1: IPXEURL          = UNDEF",
        "             c1: SELINUX          = DISABLED",
        "             c1: UCODE            = UNDEF",
        '             c1: KARGS            = "net.ifnames=0 biosdevname=0 quiet"',
        "             c1: BOOTLOCAL        = FALSE",
    ]


def test_login_1_and_login_4_as_the_tutorial_types_them(cluster: Sms) -> None:
    for node in ("c1", "login"):
        cluster.must("-y", "provision", "set", node, "--vnfs=debian13",
                     "--bootstrap=6.12.43+deb13-amd64-extra", "--files=passwd,munge.key,group")  # fmt: skip

    def proprint(node: str) -> list[str]:
        lines = cluster.must("provision", "print", node).splitlines()
        return [line.split(":", 1)[1] for line in lines if "=" in line]

    assert proprint("c1") == proprint("login")
    cluster.must("-y", "provision", "set", "login", "--fileadd=slurm.conf.login")
    differing = [pair for pair in zip(proprint("c1"), proprint("login")) if pair[0] != pair[1]]
    assert differing == [
        (
            " FILES            = group,munge.key,passwd",
            " FILES            = group,munge.key,passwd,slurm.conf.login",
        )
    ]


def test_list_cuts_long_values_inside_their_column(cluster: Sms) -> None:
    cluster.must("provision", "set", "c1", "-V", "debian13", "-b", "6.12.43+deb13-amd64-extra")
    lines = cluster.must("provision", "list").splitlines()
    assert lines[0].rstrip() == "NODE                VNFS            BOOTSTRAP             FILES"
    assert lines[1] == "=" * 80
    assert lines[2].rstrip() == "c1                  debian13        6.12.43+deb13-amd6... UNDEF"


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--vnfs=nope", "ERROR:  No VNFS named: nope"),
        ("--bootstrap=nope", "ERROR:  No bootstrap named: nope"),
        ("--files=nope", "ERROR:  No file found for name: nope"),
        ("--fileadd=nope", "ERROR:  No file found for name: nope"),
        ("--vnfs=arm", "ERROR:  VNFS arm: ARCH (aarch64) does not match node ARCH (x86_64), skipping!"),
        ("--bootlocal=maybe", "ERROR:  Invalid value for bootlocal: maybe"),
        ("--selinux=maybe", "ERROR:  Invalid value for selinux: maybe"),
        ("--console=$(x)", "ERROR:  Option 'console' has invalid characters"),
        ("--filesystem=nope", "ERROR:  Could not find filesystem command file: nope"),
    ],
)
def test_wrong_values_are_told(cluster: Sms, option: str, message: str) -> None:
    done = cluster.wwsh("provision", "set", "c1", option)
    assert done.status == 1
    assert message in done.err


def test_an_unknown_name_leaves_the_other_changes_in_force(cluster: Sms) -> None:
    done = cluster.wwsh("provision", "set", "c1", "--vnfs=nope", "--files=passwd,nope,group")
    assert "No VNFS named: nope" in done.err
    assert "c1: FILES            = group,passwd" in cluster.must("provision", "print", "c1")


@pytest.mark.parametrize(
    ("value", "shown"), [("1", "TRUE"), ("7", "TRUE"), ("0", "FALSE"), ("TRUE", "FALSE")]
)
def test_only_numbers_switch_on(cluster: Sms, value: str, shown: str) -> None:
    cluster.must("provision", "set", "c1", f"--preshell={value}")
    assert f"c1: PRESHELL         = {shown}" in cluster.must("provision", "print", "c1")


def test_file_wildcards_removal_and_no_duplicates(cluster: Sms) -> None:
    cluster.must("provision", "set", "c1", "--files", "p*,g*")
    cluster.must("provision", "set", "c1", "--fileadd", "passwd,munge.key", "--filedel=group")
    assert "c1: FILES            = munge.key,passwd" in cluster.must("provision", "print", "c1")


def test_kargs_lose_their_quotes_and_undef_restores(cluster: Sms) -> None:
    cluster.must("provision", "set", "c1", "--kargs", '"quiet splash"', "--console=ttyS0,115200")
    text = cluster.must("provision", "print", "c1")
    assert 'c1: KARGS            = "quiet splash"' in text
    assert "c1: CONSOLE          = ttyS0,115200" in text
    cluster.must("provision", "set", "c1", "--kargs", "UNDEF", "--console=UNDEF")
    text = cluster.must("provision", "print", "c1")
    assert 'c1: KARGS            = "net.ifnames=0 biosdevname=0 quiet"' in text
    assert "c1: CONSOLE          = UNDEF" in text


def test_a_layout_is_read_when_it_is_set(cluster: Sms) -> None:
    path = cluster.write("/etc/warewulf/filesystem/one.cmds", LAYOUT)
    done = cluster.wwsh("provision", "set", "c1", "--filesystem=one")
    assert "WARNING:  Unknown command: frobnicate all" in done.err
    path.write_text("select /dev/vdb\n")
    row = next(line for line in cluster.must("provision", "print", "c1").splitlines() if ": FS " in line)
    stored = "select /dev/vda,name 2 boot,mkfs 2 ext4 -L boot,fstab 2 /boot ext4 defaults:noatime 0 0"
    assert row == f'             c1: FS               = "{stored}"'


@pytest.mark.parametrize("line", ["mkfs 2", "fstab 1 / ext4", "select a,b"])
def test_a_layout_that_cannot_be_stored_is_refused(cluster: Sms, line: str) -> None:
    cluster.write("/etc/warewulf/filesystem/bad.cmds", line)
    done = cluster.wwsh("provision", "set", "c1", "--filesystem=bad")
    assert done.status == 1
    assert "Line 1:" in done.err


@pytest.mark.parametrize(("word", "shown"), [("NORMAL", "NORMAL"), ("exit", "EXIT"), ("UNDEF", "FALSE")])
def test_bootlocal(cluster: Sms, word: str, shown: str) -> None:
    cluster.must("provision", "set", "c1", f"--bootlocal={word}")
    assert f"c1: BOOTLOCAL        = {shown}" in cluster.must("provision", "print", "c1")


def test_a_set_without_changes_fails(cluster: Sms) -> None:
    assert cluster.wwsh("provision", "set", "c1").status == 1


def test_a_rename_keeps_references_and_a_deletion_clears_them(cluster: Sms) -> None:
    cluster.must("provision", "set", "c1", "--vnfs=debian13", "--files=passwd,group")
    cluster.must("file", "set", "passwd", "--name=users")
    assert "c1: FILES            = group,users" in cluster.must("provision", "print", "c1")
    cluster.must("file", "delete", "users")
    cluster.must("vnfs", "delete", "debian13")
    text = cluster.must("provision", "print", "c1")
    assert "c1: FILES            = group\n" in text
    assert "c1: VNFS             = UNDEF" in text
