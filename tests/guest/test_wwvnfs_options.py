"""What wwvnfs leaves out: options against configuration, as in Warewulf 3 (vnfs/bin/wwvnfs)."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.guest.conftest import Sms

CHROOT = "/opt/tree"
FILES = ("a", "b", "c", "d", "e", "f", ".a")
OWN = "/etc/warewulf/vnfs/tree.conf"
GENERAL = "exclude += /opt/a\nhybridize += /opt/b\n"


@pytest.fixture
def tree(sms: Sms) -> Sms:
    """A chroot with a few files, and paths to leave out in each place where they can be listed."""
    sms.write(f"{CHROOT}/sbin/init", "", 0o755)
    for name in FILES:
        sms.write(f"{CHROOT}/opt/{name}", "")
    sms.write("/etc/warewulf/vnfs.conf", GENERAL)
    sms.write(OWN, "chroot = /opt/tree\n")
    sms.write("/c-and-d", "/opt/c\n\n  /opt/d\n")
    sms.write("/e", "/opt/e\n")
    return sms


def packed(sms: Sms, *words: str) -> dict[str, str]:
    """What wwvnfs packs of /opt: each name, and where it links to."""
    assert sms.run("wwvnfs", "tree", "-o", "/image", *words).status == 0
    folder = sms.root.parent / "unpacked"
    folder.mkdir(exist_ok=True)
    subprocess.run(["rm", "-rf", str(folder / "opt")], check=True)
    data = subprocess.run(["zstd", "-dcq", str(sms.path("/image"))], capture_output=True, check=True).stdout
    subprocess.run(["cpio", "-idmu", "--quiet"], input=data, cwd=folder, check=True)
    found = (folder / "opt").iterdir() if (folder / "opt").exists() else ()
    return {path.name: str(path.readlink()) if path.is_symlink() else "" for path in found}


@pytest.mark.parametrize(
    ("own", "words", "left_out"),
    [
        pytest.param("", "", "a b", id="the general configuration"),
        pytest.param("exclude += /opt/f\n", "", "a b f", id="+= adds to the general configuration"),
        pytest.param("exclude = /opt/f\n", "", "b f", id="= replaces the general configuration"),
        pytest.param("", "--exclude=/opt/c", "b c", id="--exclude replaces the configuration"),
        pytest.param("", "-e /opt/c -e /opt/d,/opt/e", "b c d e", id="-e may be repeated, and takes lists"),
        pytest.param("exclude += /opt/f\n", "-e /opt/c", "b c", id="--exclude replaces the VNFS's own, too"),
        pytest.param("", "--excludefile=/c-and-d", "a b c d", id="--excludefile adds"),
        pytest.param("excludefile = /c-and-d\n", "", "a b c d", id="a file of the configuration adds"),
        pytest.param(
            "excludefile = /c-and-d\n", "--excludefile=/e", "a b e", id="one file replaces the other"
        ),
        pytest.param("", "-e /opt/f --excludefile=/e", "b f", id="with --exclude no file is read"),
        pytest.param("excludefile = /e\n", "-e /opt/f", "b f", id="not that of the configuration either"),
        pytest.param("", "--hybridize=/opt/c", "a c", id="--hybridize replaces the configuration"),
        pytest.param("", "--hybridizefile=/c-and-d", "a b c d", id="--hybridizefile adds"),
        pytest.param("hybridizefile = /e\n", "", "a b e", id="a hybridizefile of the configuration adds"),
        pytest.param(
            "hybridizefile = /e\n", "--hybridize=/opt/c", "a c", id="with --hybridize no file is read"
        ),
        pytest.param("excludes = /opt/f\n", "", "a b f", id="excludes is the former name of hybridize"),
        pytest.param("excludes = /opt/f\n", "--hybridize=/opt/c", "a c f", id="which no option replaces"),
        pytest.param("", "-e /opt/*", "a b c d e f", id="no wildcard stands for a leading dot"),
        pytest.param("", "-e /opt/.*", ".a b", id="a dot does"),
        pytest.param("", "-e opt/c", "b", id="a path that is not absolute leaves nothing out"),
        pytest.param("", "-e /opt", "a b c d e f .a", id="a folder goes with all below it"),
    ],
)
def test_what_is_left_out(tree: Sms, own: str, words: str, left_out: str) -> None:
    tree.write(OWN, f"chroot = /opt/tree\n{own}")
    assert set(FILES) - set(packed(tree, *words.split())) == set(left_out.split())


@pytest.mark.parametrize(
    ("own", "words", "links"),
    [
        ("hybridpath = /h/%{name}\n", "", {"b": "/h/tree/opt/b"}),
        ("hybridpath = /h/%{name}\n", "--hybridpath=/other/", {"b": "/other/opt/b"}),
        ("", "--hybridpath=/h --hybridize=/opt/c", {"c": "/h/opt/c"}),
        ("", "--hybridpath=/h -e /opt/f", {"b": "/h/opt/b"}),
        ("", "--hybridize=/opt/c", {}),
    ],
)
def test_what_becomes_a_link(tree: Sms, own: str, words: str, links: dict[str, str]) -> None:
    tree.write(OWN, f"chroot = /opt/tree\n{own}")
    assert {name: target for name, target in packed(tree, *words.split()).items() if target} == links


@pytest.mark.parametrize(
    ("fstab", "warned"),
    [("sms:/h /h nfs ro 0 0\n", False), ("sms:/h / nfs ro 0 0\n", True), ("# /h/tree\n", True)],
)
def test_a_hybrid_path_that_the_nodes_do_not_mount_is_told(tree: Sms, fstab: str, *, warned: bool) -> None:
    tree.write(f"{CHROOT}/etc/fstab", fstab)
    done = tree.run("wwvnfs", "tree", "-o", "/image", "--hybridpath=/h/tree")
    assert ("WARNING:  The hybrid path /h/tree is not mounted" in done.err) is warned


def test_a_path_that_is_not_absolute_is_told(tree: Sms) -> None:
    done = tree.run("wwvnfs", "tree", "-o", "/image", "-e", "opt/c")
    assert done.err == "WARNING:  Not an absolute path, so nothing is left out: opt/c\n"


def test_the_first_run_writes_down_its_options(tree: Sms) -> None:
    """At the end of vnfs/bin/wwvnfs: what the command line says becomes the VNFS's own configuration."""
    words = (
        "--chroot",
        CHROOT,
        "-e",
        "/opt/c,/opt/d",
        "--hybridize=/opt/e",
        "--hybridpath=/h/%{name}",
        "-o",
        "/i",
    )
    assert tree.run("wwvnfs", "new", *words).status == 0
    rows = [row for row in tree.read("/etc/warewulf/vnfs/new.conf").splitlines() if not row.startswith("#")]
    assert rows == [
        f"chroot = {CHROOT}",
        "output = /i",
        "hybridpath = /h/%{name}",
        "exclude += /opt/c",
        "exclude += /opt/d",
        "hybridize += /opt/e",
    ]
    tree.path("/i").unlink()
    assert tree.run("wwvnfs", "new").status == 0
    assert tree.path("/i").exists()


def test_the_output_may_be_a_folder_or_in_a_new_one(tree: Sms) -> None:
    tree.path("/images").mkdir()
    assert "Wrote VNFS image to /images/tree.vnfs\n" in tree.run("wwvnfs", "tree", "-o", "/images").out
    assert tree.path("/images/tree.vnfs").is_file()
    assert tree.run("wwvnfs", "tree", "-o", "/more/images/x").status == 0
    assert tree.path("/more/images/x").is_file()
