"""wwvnfs and `wwsh vnfs`: images that unpack to the tree they were made of (warewulf3.md §7, §10)."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lab.guest.archive import segments
from lab.guest.archive.tree import Rules, scan
from lab.guest.system import System
from lab.guest.warewulf import presets
from lab.guest.warewulf.model import Kind
from tests.guest import conftest

if TYPE_CHECKING:
    from tests.guest.conftest import Sms

CHROOT = "/opt/images/debian13"
OLD = 1_600_000_000
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
needs_cpio = pytest.mark.skipif(not shutil.which("cpio"), reason="no cpio here")


def settle(folder: Path) -> None:
    """Gives a tree times long past, as a chroot's files have."""
    for path in [folder, *folder.rglob("*")]:
        os.utime(path, (OLD, OLD), follow_symlinks=False)


@pytest.fixture
def chroot(sms: Sms) -> Path:
    """A small tree with one of everything an archive must know."""
    root = sms.path(CHROOT)
    for number in range(400):
        sms.write(f"{CHROOT}/usr/share/data/{number % 20}/file{number}", f"content {number}\n" * number)
    sms.write(f"{CHROOT}/usr/sbin/init", "#!/bin/sh\n", 0o755)
    (root / "sbin").symlink_to("usr/sbin")
    sms.write(f"{CHROOT}/etc/shadow", "secret", 0o640)
    sms.write(f"{CHROOT}/etc/empty", "")
    sms.write(f"{CHROOT}/etc/odd name\n\xff".encode("utf-8", "surrogateescape").decode(), "odd")
    sms.write(f"{CHROOT}/usr/bin/perl", "perl" * 1000, 0o4755)
    os.link(root / "usr/bin/perl", root / "usr/bin/perl5")
    os.link(root / "usr/bin/perl", root / "etc/a-third-name")
    os.mkfifo(root / "etc/pipe")
    (root / "tmp").mkdir(mode=0o1777)
    (root / "tmp").chmod(0o1777)
    sms.write(f"{CHROOT}/tmp/junk", "junk")
    sms.write(f"{CHROOT}/var/cache/apt/junk", "junk")
    sms.write(f"{CHROOT}/usr/share/doc/junk", "junk")
    settle(root)
    assert sms.run("wwinit", "vnfs").status == 0
    return root


def image(sms: Sms) -> Path:
    found = sorted(
        sms.path("/srv/warewulf/vnfs/debian13").glob("image.*"), key=lambda p: p.stat().st_mtime_ns
    )
    return found[-1]


def build(sms: Sms, *words: str) -> str:
    done = sms.run("wwvnfs", "--chroot", CHROOT, *words)
    assert done.status == 0, done.err
    return done.out


def unpacked(archive: Path, folder: Path, *tool: str) -> Path:
    folder.mkdir()
    data = subprocess.run(["zstd", "-dcq", str(archive)], capture_output=True, check=True).stdout
    command = tool or ("cpio", "-idm", "--quiet")
    subprocess.run(list(command), input=data, cwd=folder, check=True)
    return folder


def listing(folder: Path) -> dict[str, tuple[object, ...]]:
    found: dict[str, tuple[object, ...]] = {}
    for path in sorted(folder.rglob("*")):
        info = path.lstat()
        content = path.read_bytes() if path.is_file() and not path.is_symlink() else b""
        target = str(path.readlink()) if path.is_symlink() else ""
        links = info.st_nlink if path.is_file() else 0
        # Unpackers set a folder's time and then put files into it.
        mtime = int(info.st_mtime) if path.is_file() and not path.is_symlink() else 0
        found[str(path.relative_to(folder))] = (info.st_mode, info.st_uid, mtime, content, target, links)
    return found


def test_the_output_is_warewulfs(sms: Sms, chroot: Path) -> None:
    lines = build(sms).splitlines()
    assert lines[0] == "Using 'debian13' as the VNFS name"
    assert lines[1] == "Creating VNFS image from debian13"
    labels = [
        "Compiling hybridization link tree",
        "Building file list",
        "Compiling and compressing VNFS",
        "Adding image to datastore",
    ]
    for line, label in zip(lines[2:6], labels):
        assert re.fullmatch(re.escape(f"{label:<60}") + r": \d+\.\d\d s", line)
    assert lines[6] == "Wrote a new configuration file at: /etc/warewulf/vnfs/debian13.conf"
    assert lines[7].startswith(f"{'Total elapsed time':<60}: ")
    assert len(build(sms).splitlines()) == 7, "the configuration is written once"
    listed = sms.must("vnfs", "list").splitlines()
    assert listed[0] == "VNFS NAME            SIZE (M)   ARCH       CHROOT LOCATION"
    assert re.fullmatch(rf"debian13             \d+\.\d +x86_64     {CHROOT}", listed[1])


@needs_cpio
@pytest.mark.parametrize("tool", [(), ("busybox", "cpio", "-idm")])
def test_what_a_node_unpacks_is_the_tree(
    sms: Sms, chroot: Path, tmp_path: Path, tool: tuple[str, ...]
) -> None:
    if tool and not shutil.which(tool[0]):
        pytest.skip(f"no {tool[0]} here")
    build(sms)
    got = listing(unpacked(image(sms), tmp_path / "node", *tool))
    for gone in ("tmp/junk", "var/cache", "usr/share/doc"):
        assert gone not in got
    shutil.rmtree(chroot / "var/cache")
    shutil.rmtree(chroot / "usr/share/doc")
    (chroot / "tmp/junk").unlink()
    settle(chroot)
    wanted = listing(chroot)
    assert got["usr/bin/perl"][-1] == 3
    assert set(got) == set(wanted)
    assert {name: one for name, one in got.items() if one != wanted[name]} == {}


def test_the_name_and_the_store_tell_the_checksum(sms: Sms, chroot: Path) -> None:
    build(sms)
    checksum = hashlib.md5(image(sms).read_bytes(), usedforsecurity=False).hexdigest()
    assert image(sms).name == f"image.{checksum}"
    store = sms.store()
    record = store.named(Kind.VNFS, "debian13")
    store.close()
    assert record is not None
    assert record.one("CHECKSUM") == checksum
    assert record.one("SIZE") == str(image(sms).stat().st_size)
    assert image(sms).stat().st_mode & 0o777 == 0o640


def test_the_same_tree_gives_the_same_bytes(sms: Sms, chroot: Path) -> None:
    build(sms)
    first = image(sms).read_bytes()
    copy = chroot.with_name("copy")
    subprocess.run(["cp", "-a", "--reflink=never", str(chroot), str(copy)], check=True)
    shutil.rmtree(chroot)
    copy.rename(chroot)  # other inodes, other order on disk
    build(sms, "--full")
    assert image(sms).read_bytes() == first


def test_only_what_changed_is_packed_anew(sms: Sms, chroot: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packed: list[str] = []
    real = segments._compress

    def counted(system: System, stream: Iterator[bytes], target: str, command: Sequence[str]) -> None:
        packed.append(target)
        real(system, stream, target, command)

    monkeypatch.setattr(segments, "_compress", counted)
    monkeypatch.setattr(segments, "CUT", 16)
    build(sms)
    everything = len(packed)
    assert everything > 10
    build(sms)
    assert len(packed) == everything, "nothing changed"
    first = image(sms)
    (chroot / "usr/share/data/3/file203").write_text("changed\n")
    os.utime(chroot / "usr/share/data/3/file203", (OLD + 1, OLD + 1))
    build(sms)
    assert len(packed) == everything + 1
    assert image(sms) != first
    incremental = image(sms).read_bytes()
    build(sms, "--full")
    assert image(sms).read_bytes() == incremental


def test_a_file_changed_while_packing_is_looked_at_again(sms: Sms, chroot: Path) -> None:
    (chroot / "etc/empty").write_text("one")
    future = time.time_ns() + 10**9
    os.utime(chroot / "etc/empty", ns=(future, future))
    build(sms)
    (chroot / "etc/empty").write_text("two")
    os.utime(chroot / "etc/empty", ns=(future, future))
    build(sms)
    data = subprocess.run(["zstd", "-dcq", str(image(sms))], capture_output=True, check=True).stdout
    assert b"two" in data
    assert b"one" not in data.split(b"etc/empty\0", 1)[1][:16]


def test_a_new_image_keeps_one_old_one_for_nodes_that_are_downloading(sms: Sms, chroot: Path) -> None:
    names = []
    for number in range(4):
        (chroot / "etc/empty").write_text("x" * number)
        os.utime(chroot / "etc/empty", (OLD + number, OLD + number))
        build(sms)
        names.append(image(sms).name)
        time.sleep(0.01)
    left = sorted(path.name for path in sms.path("/srv/warewulf/vnfs/debian13").iterdir())
    assert left == sorted(names[-2:])


def test_nodes_keep_their_pointer_to_a_rebuilt_vnfs(sms: Sms, chroot: Path) -> None:
    build(sms)
    sms.must("node", "new", "c1")
    sms.must("provision", "set", "c1", "--vnfs=debian13")
    (chroot / "etc/empty").write_text("x")
    build(sms)
    assert "c1: VNFS             = debian13" in sms.must("provision", "print", "c1")


def test_hybridized_paths_become_links(sms: Sms, chroot: Path, tmp_path: Path) -> None:
    (chroot / "usr/include").mkdir()
    done = sms.run("wwvnfs", "--chroot", CHROOT, "--hybridpath=/vnfs/%{name}", "-o", "/image")
    assert "WARNING:  " in done.err
    assert done.status == 0
    folder = unpacked(sms.path("/image"), tmp_path / "node")
    assert str((folder / "usr/include").readlink()) == "/vnfs/debian13/usr/include"
    assert not (sms.path("/srv/warewulf/vnfs/debian13")).exists(), "-o leaves the store alone"


def test_gzip_by_configuration(sms: Sms, chroot: Path, tmp_path: Path) -> None:
    sms.write("/etc/warewulf/vnfs.conf", "gzip command = gzip -1\n")
    build(sms)
    first = image(sms).read_bytes()
    data = subprocess.run(["gzip", "-dc"], input=first, capture_output=True, check=True).stdout
    names = subprocess.run(["cpio", "-t", "--quiet"], input=data, capture_output=True, check=True).stdout
    assert b"usr/bin/perl5" in names
    build(sms, "--full")
    assert image(sms).read_bytes() == first


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--chroot", "/nowhere"], "ERROR:  Path to chroot is not valid ('/nowhere')"),
        (["unheard-of"], "ERROR:  Path to chroot is not valid ('')"),
        (["--chroot", "/opt/empty"], "ERROR:  Can not find /sbin/init in your VNFS!"),
        (["../x", "--chroot", "/opt/empty"], "ERROR:  VNFS name '../x' contains invalid characters"),
        (["--frob"], "ERROR:  Unknown option: frob"),
    ],
)
def test_mistakes(sms: Sms, words: list[str], message: str) -> None:
    sms.path("/opt/empty").mkdir(parents=True)
    done = sms.run("wwvnfs", *words)
    assert done.status == 1
    assert message in done.err
    assert sms.run("wwvnfs").err.startswith("USAGE: wwvnfs")


def test_a_file_of_4_gib_is_refused_before_anything_is_packed(sms: Sms, chroot: Path) -> None:
    """A sparse file, such as /var/log/lastlog with large numbers of users."""
    with (chroot / "etc" / "huge").open("wb") as file:
        file.truncate(5 << 30)
    begun = time.monotonic()
    done = sms.run("wwvnfs", "--chroot", CHROOT)
    assert done.status == 1
    assert done.err == (
        "ERROR:  /etc/huge is too large for an image: it has 5368709120 bytes, and 4294967295 are the most\n"
        "hint: remove it, or add `exclude += /etc/huge` to /etc/warewulf/vnfs.conf\n"
    )
    assert time.monotonic() - begun < 60
    settings = sms.read("/etc/warewulf/vnfs.conf")
    sms.write("/etc/warewulf/vnfs.conf", f"{settings}exclude += /etc/huge\n")
    assert sms.run("wwvnfs", "--chroot", CHROOT).status == 0


def test_a_file_of_a_far_date_is_packed(sms: Sms, chroot: Path) -> None:
    for name, date in (("early", -(1 << 33)), ("late", 1 << 33)):
        (chroot / "etc" / name).write_text(name)
        os.utime(chroot / "etc" / name, (date, date))
    assert sms.run("wwvnfs", "--chroot", CHROOT).status == 0


def test_a_compressor_that_fails_leaves_the_old_image(sms: Sms, chroot: Path) -> None:
    build(sms)
    before = image(sms)
    broken = sms.write(
        "/broken", "#!/bin/sh\n[ $# = 0 ] && { cat >/dev/null; echo no room >&2; exit 3; }\n", 0o755
    )
    sms.write("/etc/warewulf/vnfs.conf", f"gzip command = {broken}\n")
    done = sms.run("wwvnfs", "--chroot", CHROOT)
    assert done.status == 1
    assert "ended with status 3: no room" in done.err
    assert image(sms) == before


@needs_root
def test_killed_half_way_no_half_image_is_seen(sms: Sms, chroot: Path) -> None:
    build(sms)
    before = image(sms)
    whole = before.read_bytes()
    slow = sms.write("/slow", "#!/bin/sh\n[ $# = 0 ] || exit 0\nsleep 0.3; exec cat\n", 0o755)
    sms.write("/etc/warewulf/vnfs.conf", f"gzip command = {slow}\n")
    for delay in (0.25, 0.5, 0.75):
        process = subprocess.Popen(
            conftest.command("wwvnfs", "--chroot", CHROOT), env=conftest.environment(sms),
            stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        process.wait()
        for path in before.parent.glob("image.*"):
            assert path.suffix[1:] == hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
        assert before.exists()
    sms.write("/etc/warewulf/vnfs.conf", presets.FILES["vnfs.conf"])
    build(sms, "--full")
    assert image(sms).read_bytes() == whole
    assert not [path for path in before.parent.iterdir() if path.name.startswith(".")]


def test_export_import_and_delete_work_on_the_files(sms: Sms, chroot: Path) -> None:
    build(sms)
    original = image(sms).read_bytes()
    sms.must("vnfs", "export", "debian13", "/opt/copy.vnfs")
    sms.path("/x").mkdir()
    assert sms.must("vnfs", "import", "/opt/copy.vnfs", "--name=second", "--chroot=/x") == (
        "VNFS 'second' has been imported\n"
    )
    second = next(sms.path("/srv/warewulf/vnfs/second").glob("image.*"))
    assert second.read_bytes() == original
    sms.must("vnfs", "delete", "debian13")
    assert not sms.path("/srv/warewulf/vnfs/debian13").exists()
    assert sms.must("vnfs", "list", "-1").split() == ["second"]
    assert sms.wwsh("vnfs", "list", "zz").err == "ERROR:  No VNFS images found\n"
    build(sms)
    assert image(sms).read_bytes() == original, "the cache alone is not taken for an image"


def test_every_tree_cuts_where_its_paths_say(tmp_path: Path) -> None:
    for number in range(600):
        (tmp_path / f"f{number:04d}").write_text("x")
    items = scan(os.fsencode(tmp_path), Rules(()))
    cut = [[item.entry.path for item in one.items] for one in segments.cut(items, "s")]
    assert [path for run in cut for path in run] == [item.entry.path for item in items]
    (tmp_path / "f0300b").write_text("x")
    again = [
        [i.entry.path for i in s.items] for s in segments.cut(scan(os.fsencode(tmp_path), Rules(())), "s")
    ]
    assert len([run for run in again if run not in cut]) <= 2


@needs_root
def test_owners_devices_and_sockets(sms: Sms, chroot: Path, tmp_path: Path) -> None:
    import socket

    os.mknod(chroot / "etc/null", 0o20666, os.makedev(1, 3))
    os.chown(chroot / "etc/shadow", 0, 42)
    with socket.socket(socket.AF_UNIX) as one:
        here = Path.cwd()
        os.chdir(chroot)  # a socket's path must be short
        try:
            one.bind("sock")
        finally:
            os.chdir(here)
    build(sms)
    folder = unpacked(image(sms), tmp_path / "node")
    assert (folder / "etc/null").lstat().st_rdev == os.makedev(1, 3)
    assert (folder / "etc/shadow").stat().st_gid == 42
    assert not (folder / "sock").exists()


def test_an_image_record_without_its_file_is_built_again(sms: Sms, chroot: Path) -> None:
    build(sms)
    path = image(sms)
    path.unlink()
    build(sms)
    assert image(sms) == path
