"""Programs that guides call: wwmkchroot, wwlivesync, wwconfig, nhc-genconf, and those that are not here."""

from __future__ import annotations

import os
import subprocess
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from lab.guest.archive import tree
from lab.guest.warewulf import absent, wwlivesync, wwmkchroot
from lab.guest.warewulf.model import Kind, NetDev, Record
from tests.guest.conftest import NODE, ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from tests.guest.conftest import Sms

SOURCE = wwmkchroot.SOURCE


def test_wwmkchroot_copies_the_labs_chroot(sms: Sms) -> None:
    sms.write(f"{SOURCE}/etc/secret", "x", 0o600)
    sms.path(f"{SOURCE}/etc/link").symlink_to("secret")
    done = sms.run("wwmkchroot", "-v", "debian-13", "/opt/new")
    assert done.status == 0, done.err
    assert "Installing into /opt/new" in done.out
    assert sms.path("/opt/new/etc/secret").stat().st_mode & 0o777 == 0o600
    assert str(sms.path("/opt/new/etc/link").readlink()) == "secret"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["rocky-9", "/opt/x"], "There is no template rocky-9: the nodes of this lab run Debian 13"),
        (["rocky-9", "/opt/x"], "hint: wwmkchroot debian-13 /opt/x"),
        (["debian-13"], "You must define the directory to build the chroot"),
        (["debian-13", "/opt/full"], "/opt/full is not empty"),
        (["debian-13", f"{SOURCE}/x"], "choose a folder beside it"),
        (["-z", "debian-13", "/opt/x"], "Unknown option: z"),
    ],
)
def test_wwmkchroot_refuses(sms: Sms, words: list[str], message: str) -> None:
    sms.write(f"{SOURCE}/etc/x", "x")
    sms.write("/opt/full/x", "x")
    done = sms.run("wwmkchroot", *words)
    assert message in done.err
    assert done.status == 1
    assert not sms.path("/opt/x").exists()


def test_wwmkchroot_lists_its_templates(sms: Sms) -> None:
    assert "   * debian-13 " in sms.run("wwmkchroot", "-h").out


@pytest.fixture
def node(sms: Sms, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The root of a running node c1, which `ssh` reaches, with the VNFS of a chroot."""
    root = tmp_path / "node"
    (root / "etc").mkdir(parents=True)
    ssh = sms.write("/bin/ssh", '#!/bin/sh\nfor last; do :; done\nexec sh -c "$last"\n', 0o755)
    monkeypatch.setattr(wwlivesync, "SSH", (str(ssh),))
    monkeypatch.setattr(wwlivesync, "REMOTE_ROOT", str(root))
    sms.write("/srv/chroot/etc/new", "new")
    sms.write("/srv/chroot/etc/same", "same")
    sms.write("/srv/chroot/etc/passwd", "delivered by Warewulf")
    sms.write(
        "/srv/chroot/etc/fstab", "sms:/home /srv nfs defaults 0 0\n#x /etc/new ext4\nnone none swap 0 0\n"
    )
    sms.write("/srv/chroot/srv/shared", "on the server")
    sms.write("/srv/chroot/opt/left/x", "excluded")
    sms.write("/srv/chroot/tmp/x", "never")
    os.link(sms.path("/srv/chroot/etc/new"), sms.path("/srv/chroot/etc/hard"))
    subprocess.run(["cp", "-a", sms.path("/srv/chroot/etc/same"), root / "etc/same"], check=True)
    sms.write("/etc/warewulf/livesync.conf", "skip list += /opt/left\n")
    vnfs = Record(Kind.VNFS, {"NAME": "image", "CHROOT": "/srv/chroot"})
    passwd = Record(Kind.FILE, {"NAME": "passwd", "PATH": "/etc/passwd"})
    device = NetDev("eth0", ipaddr="172.16.1.1")
    sms.add(vnfs, passwd, replace(NODE.put("VNFSID", "1").put("FILEIDS", ("2",)), netdevs=(device,)))
    return root


def test_wwlivesync_shows_what_it_would_copy(sms: Sms, node: Path) -> None:
    done = sms.run("wwlivesync", "--show", "c1")
    assert done.status == 0, done.err
    shown = {line.split(" ", 1)[1] for line in done.out.splitlines()}
    assert {"/etc/new", "/etc/hard", "/etc/fstab"} <= shown
    assert not shown & {
        "/etc/same",
        "/etc/passwd",
        "/srv/shared",
        "/opt/left",
        "/opt/left/x",
        "/tmp/x",
        "/tmp",
    }
    assert not (node / "etc/new").exists()


def test_wwlivesync_copies_what_differs_and_leaves_the_rest(sms: Sms, node: Path) -> None:
    (node / "etc/own").write_text("the node's own")
    (node / "etc/passwd").write_text("the node's users")
    done = sms.run("wwlivesync", "-l", "Groups", "a")
    assert (done.status, done.out) == (0, "c1: done\n"), done.err
    assert (node / "etc/new").read_text() == "new"
    assert (node / "etc/new").stat().st_ino == (node / "etc/hard").stat().st_ino
    assert (node / "etc/own").exists()
    assert (node / "etc/passwd").read_text() == "the node's users"
    assert not (node / "srv/shared").exists()
    assert "etc/new\n" in sms.read("/var/log/wwlivesync/c1.log")
    assert sms.run("wwlivesync", "--show", "c1").out == ""


def test_wwlivesync_of_some_files(sms: Sms, node: Path) -> None:
    assert sms.run("wwlivesync", "--files=/etc/hard,etc/same", "c1").status == 0
    assert (node / "etc/hard").read_text() == "new"
    assert not (node / "etc/fstab").exists()


def test_wwlivesync_tells_why_a_node_got_nothing(sms: Sms, node: Path) -> None:
    sms.add(NODE.put("NAME", "c2").put("NODENAME", "c2"))
    done = sms.run("wwlivesync", "c2")
    assert (done.status, done.err) == (
        1,
        "WARNING:  VNFS not defined for node: c2\nhint: wwsh provision set c2 --vnfs=NAME\n",
    )
    sms.write("/bin/ssh", "#!/bin/sh\necho no route >&2\nexit 255\n", 0o755)
    done = sms.run("wwlivesync", "c1")
    assert (done.status, done.out, done.err) == (1, "c1: fail\n", "ERROR:  c1: no route\nhint: ssh c1 true\n")
    assert sms.run("wwlivesync", "nosuch").out == "No nodes found\n"


def test_wwlivesync_takes_a_file_that_no_image_can_hold(sms: Sms, node: Path) -> None:
    with sms.path("/srv/chroot/etc/huge").open("wb") as file:
        file.truncate(5 << 30)  # sparse
    done = sms.run("wwlivesync", "--show", "--files=etc/huge", "c1")
    assert (done.status, done.out) == (0, "c1: /etc/huge\n"), done.err


def test_wwlivesync_reads_a_chroot_once_for_nodes_that_get_the_same(
    sms: Sms, node: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scanned: list[bytes] = []

    def scan(root: bytes, rules: tree.Rules) -> list[tree.Item]:
        scanned.append(root)
        return tree.scan(root, rules)

    monkeypatch.setattr(wwlivesync, "scan", scan)
    like = NODE.put("VNFSID", "1")
    twin = like.put("NAME", "c2").put("NODENAME", "c2").put("FILEIDS", ("2",))
    other = like.put("NAME", "c3").put("NODENAME", "c3")  # without the file passwd
    sms.add(twin, other)
    done = sms.run("wwlivesync", "--show", "--files=etc/passwd,etc/new", "c[1-3]")
    assert done.out.splitlines() == ["c1: /etc/new", "c2: /etc/new", "c3: /etc/new", "c3: /etc/passwd"]
    assert len(scanned) == 2


@pytest.mark.parametrize(
    ("words", "out"),
    [
        (["SYSCONFDIR"], "/etc\n"),
        (["sysconfdir", "prefix"], "SYSCONFDIR: /etc\nPREFIX: /usr\n"),
        (["-s", "prefix"], 'WAREWULF_PREFIX="/usr"\n'),
        (["-e", "prefix"], 'WAREWULF_PREFIX="/usr"\nexport WAREWULF_PREFIX\n'),
        (["-c", "prefix"], 'setenv WAREWULF_PREFIX "/usr"\n'),
    ],
)
def test_wwconfig(sms: Sms, words: list[str], out: str) -> None:
    assert sms.run("wwconfig", *words).out == out
    assert 'WAREWULF_SYSCONFDIR="/etc"\nexport' in sms.run("wwconfig", "-sea").out


@pytest.mark.parametrize("name", sorted(absent.PROGRAMS))
def test_a_program_that_is_not_here_says_what_to_use(sms: Sms, name: str) -> None:
    done = sms.run("absent", name)
    assert done.status == 1
    first, hint = done.err.splitlines()
    assert first.startswith(f"ERROR:  {name} is not part of this lab: ")
    assert hint.startswith("hint: ")


def test_a_users_machine_has_none_of_these_programs(tmp_path: Path) -> None:
    """It is a copy of the SMS's disk, and they speak of the head node."""
    for folder in ("etc/update-motd.d", "etc/ssh/ssh_config.d", "usr/bin"):
        (tmp_path / folder).mkdir(parents=True)
    for name in ("siphon", "rollout", "wwsh", "nodeimage", *absent.PROGRAMS):
        (tmp_path / "usr/bin" / name).touch()
    library = ROOT / "lab/guest/files/sms/usr/lib/rackling/unmanaged_node.sh"
    subprocess.run(["sh", "-c", f"mount() {{ :; }}; . {library}; hide_cluster {tmp_path}"], check=True)
    assert [path.name for path in (tmp_path / "usr/bin").iterdir()] == ["siphon"]


COMMON = ROOT / "lab/guest/files/common"


@pytest.mark.parametrize("words", [[], ["sources"], ["-n", "tracking"]])
def test_chronyc_says_why_there_is_no_time_server(words: list[str]) -> None:
    done = subprocess.run(
        [COMMON / "usr/bin/chronyc", *words], check=False, capture_output=True, text=True, timeout=20
    )
    assert (done.returncode, done.stdout) == (1, "")
    first, hint = done.stderr.splitlines()
    assert first.startswith("ERROR:  chronyc: no time server runs here: ")
    assert hint.startswith("hint: ")


def test_the_unit_of_the_time_server_says_so_too() -> None:
    """In its description and its journal, which `systemctl status chronyd` shows."""
    unit = (COMMON / "usr/lib/systemd/system/chronyd.service").read_text()
    assert "\nDescription=No time server: " in unit
    said = [line for line in unit.splitlines() if line.startswith("ExecStart=")]
    assert [line.split()[0] for line in said] == ["ExecStart=/bin/echo", "ExecStart=/bin/echo"]
    assert "WantedBy=multi-user.target" in unit  # `systemctl enable chronyd` of OpenHPC's guide


def test_the_image_has_every_program() -> None:
    """The image's list is shell, the guest's is Python; both must hold the same names."""
    from lab.guest.main import PROGRAMS

    text = (ROOT / "containers/sms/install").read_text().replace("\\\n", " ")
    loops = [line for line in text.splitlines() if line.startswith("for program in ")]
    own, missing = ({*line.removesuffix("; do").split()[3:]} for line in loops)
    assert own == {name for name in PROGRAMS if name.startswith("ww")} | {"nodeimage"}
    assert missing == set(absent.PROGRAMS)
