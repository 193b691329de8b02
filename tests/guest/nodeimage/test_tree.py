"""`nodeimage tree`: base trees by their inputs, working copies that never touch them, and the installers."""

from __future__ import annotations

import gzip
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lab.guest.nodeimage import installers, role
from tests.guest.nodeimage.bed import ROOT, Bed, command

needs_root = pytest.mark.skipif(
    os.geteuid() != 0,
    reason="test_all_of_this_as_root_of_a_namespace runs it: it takes root",
)
needs_mmdebstrap = pytest.mark.skipif(not shutil.which("mmdebstrap"), reason="no mmdebstrap here")
PLAN = """\
name = "compute"
[tree]
release = "trixie"
variant = "extract"
packages = ["tiny"]
sources = ["{store}"]
[test]
untested = true
"""


CONTROL = "Package: tiny\nVersion: {version}\nArchitecture: all\nMaintainer: a\nDescription: a\n"


def package(store: Path, version: str) -> None:
    """A flat repository with one package that dpkg-deb makes."""
    build = store.parent / "build"
    files = {
        "DEBIAN/control": CONTROL.format(version=version),
        "usr/sbin/init": "#!/bin/sh\n",
        "etc/version": f"{version}\n",
    }
    for name, text in files.items():
        (build / name).parent.mkdir(parents=True, exist_ok=True)
        (build / name).write_text(text)
    store.mkdir(exist_ok=True)
    deb = store / f"tiny_{version}_all.deb"
    subprocess.run(
        ["dpkg-deb", "--root-owner-group", "-b", str(build), str(deb)], check=True, capture_output=True
    )
    data = deb.read_bytes()
    fields = files["DEBIAN/control"] + (
        f"Filename: ./{deb.name}\nSize: {len(data)}\nSHA256: {hashlib.sha256(data).hexdigest()}\n"
    )
    (store / "Packages").write_text(fields)
    with gzip.open(store / "Packages.gz", "wt") as file:
        file.write(fields)


@pytest.fixture
def store(bed: Bed) -> Path:
    """A package source on this machine, which the role installs from."""
    place = bed.root / "store"
    package(place, "1")
    bed.commit(PLAN.format(store=place))
    return place


@needs_root
@needs_mmdebstrap
def test_a_tree_is_installed_once_and_worked_on_in_copies(bed: Bed, store: Path) -> None:
    made = bed.must("tree", str(bed.folder))
    base, root = Path(made["base"]), Path(made["tree"])
    try:
        assert made["changed"]
        assert (root / "etc/version").read_text() == "1\n"
        (root / "etc/version").write_text("configured\n")
        (root / "etc/more").write_text("x")
        shutil.rmtree(root / "usr")
        assert (base / "etc/version").read_text() == "1\n"
        assert not (base / "etc/more").exists()
        assert (base / "usr/sbin/init").exists()
        again = bed.must("tree", str(bed.folder))
        assert (again["changed"], again["base"]) == (False, str(base))
        assert (root / "etc/version").read_text() == "1\n", "what failed before is gone"
        assert not (root / "etc/more").exists()
        package(store, "2")
        newer = bed.must("tree", str(bed.folder))
        assert newer["base"] != str(base), "other packages in the source are another tree"
        assert (root / "etc/version").read_text() == "2\n"
    finally:
        subprocess.run(["umount", str(root)], check=False, capture_output=True)


@needs_root
@needs_mmdebstrap
def test_where_no_overlay_can_be_mounted_the_tree_is_copied(
    bed: Bed, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/mount").write_text("#!/bin/sh\nexit 32\n")
    (tmp_path / "bin/mount").chmod(0o755)
    made = bed.must("tree", str(bed.folder), "--copy")
    assert made["how"] == "copy"
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
    made = bed.must("tree", str(bed.folder))
    assert made["how"] == "copy"
    (Path(made["tree"]) / "etc/version").write_text("x")
    assert (Path(made["base"]) / "etc/version").read_text() == "1\n"
    assert not os.path.ismount(made["tree"])


@needs_root
@needs_mmdebstrap
def test_a_failed_installation_tells_why_and_leaves_nothing(bed: Bed, store: Path) -> None:
    bed.commit(PLAN.format(store=store).replace("tiny", "nosuch"))
    said = bed.refuses(1, "tree", str(bed.folder))
    assert "error: mmdebstrap could not install the tree" in said
    assert "nosuch" in said
    assert [path.name for path in Path(bed.places.trees).iterdir()] == [".lock"]


@needs_root
@needs_mmdebstrap
def test_what_is_mounted_in_a_killed_installation_is_not_removed(bed: Bed, store: Path) -> None:
    left = Path(bed.places.trees) / ".new-x" / "root" / "mnt"
    left.mkdir(parents=True)
    (bed.root / "precious").mkdir()
    (bed.root / "precious/file").write_text("x")
    words = command(bed.words("tree", str(bed.folder), "--copy"))
    script = f'mount --bind {bed.root}/precious {left} && exec "$@"'
    done = bed.among_mounts(script, *words)
    assert done.returncode == 13, done.stderr
    assert (bed.root / "precious/file").exists()
    bed.must("tree", str(bed.folder), "--copy")
    assert not left.exists()


@needs_root
@needs_mmdebstrap
def test_a_pipeline_from_packages_to_a_release(bed: Bed, store: Path) -> None:
    kernel = bed.root / "vmlinuz"
    kernel.write_text("kernel")
    root = bed.must("tree", str(bed.folder), "--copy")["tree"]
    made = bed.must("pack", str(bed.folder), "--tree", root, "--kernel", str(kernel))
    assert made["changed"]
    assert bed.must("publish", "compute")["changed"]


def test_without_the_installer_one_error_says_how_to_get_it(
    bed: Bed, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bed.commit(PLAN.format(store=store).replace("[tree]", '[tree]\ninstaller = "dnf"'))
    with monkeypatch.context() as patch:
        patch.setattr("lab.guest.nodeimage.base_tree.shutil.which", lambda _: None)
        assert bed.refuses(16, "tree", str(bed.folder)) == (
            "error: dnf is not installed\nhint: apt install dnf, or run this on Enterprise Linux\n"
        )
    assert "there is no package source /nonexistent" in bed.refuses(
        1, "tree", str(bed.folder), "--source", "/nonexistent"
    )


@pytest.mark.skipif(os.geteuid() == 0, reason="root runs all of this anyway")
def test_all_of_this_as_root_of_a_namespace(tmp_path: Path) -> None:
    words = [
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "--confcutdir=tests/guest",
        f"--basetemp={tmp_path}/inner",
        __file__,
    ]
    done = subprocess.run(
        ["unshare", "-rm", sys.executable, *words], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


def test_only_root_installs(bed: Bed, store: Path) -> None:
    done = bed.run("tree", str(bed.folder), uid=1000)
    assert (done.status, done.err) == (1, "error: only root can install a tree\nhint: use sudo\n")


def test_a_role_without_packages_or_release_is_refused(bed: Bed) -> None:
    assert "the role names no packages" in bed.refuses(2, "tree", str(bed.folder))
    bed.commit('name = "compute"\n[tree]\npackages = ["a"]\n')
    assert "the role names no release" in bed.refuses(2, "tree", str(bed.folder))


def words(installer: str, *sources: str, automount: bool = True) -> list[str]:
    plan = role.TreePlan(installer, "trixie", ("a", "b"), (), "important", ("/usr/share/doc/*",))
    return installers.command(plan, sources, "/target", automount=automount)


def test_the_command_of_mmdebstrap() -> None:
    assert words("mmdebstrap", "/store", "deb file:/x trixie main") == [
        "mmdebstrap", "--mode=root", "--format=directory", "--variant=important", "--include=a,b",
        "--dpkgopt=path-exclude=/usr/share/doc/*", f"--hook-dir={installers.AUTOMOUNT}", "trixie", "/target",
        "deb [trusted=yes] copy:/store ./", "deb file:/x trixie main",
    ]  # fmt: skip
    assert words("mmdebstrap", "/store")[-3:] == ["trixie", "/target", "deb [trusted=yes] copy:/store ./"]
    assert not [word for word in words("mmdebstrap", "deb file:/x ./", automount=False) if "hook" in word]


def test_the_command_of_dnf() -> None:
    """As dnf(8) documents it; no Enterprise Linux was at hand to install from."""
    assert words("dnf", "/store", "https://mirror.example/9") == [
        "dnf", "-y", "--installroot=/target", "--releasever=trixie",
        "--repofrompath=nodeimage0,file:///store", "--repo=nodeimage0",
        "--repofrompath=nodeimage1,https://mirror.example/9", "--repo=nodeimage1",
        "--setopt=install_weak_deps=False", "--setopt=keepcache=False", "install", "a", "b",
    ]  # fmt: skip


def test_the_local_folders_of_sources() -> None:
    lines = ["/a", "deb [trusted=yes] file:/b ./", "deb copy:///c x y", "deb http://host/d x y", "file:///e"]
    assert installers.local_folders(lines) == ["/a", "/b", "/c", "/e"]
