"""`nodeimage pack`: what is in an image, what is not, and which trees are refused."""

from __future__ import annotations

import ctypes
import fcntl
import hashlib
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from lab.guest.archive import segments
from lab.guest.nodeimage import in_use
from lab.guest.nodeimage.commit import Commit
from tests.guest.nodeimage.bed import COMMITTED, TOML, Bed, command, copy_of, git, unpacked

LATER = COMMITTED + 5000
CLONE_NEWUSER = 0x10000000


def test_the_stamp_is_in_the_image_and_nowhere_else(bed: Bed, tmp_path: Path) -> None:
    host = Path("/etc/image-release")
    before = host.read_bytes() if host.exists() else None
    made = bed.pack()
    node = unpacked(bed.image(), tmp_path / "node")
    sha = git(bed.folder, "rev-parse", "HEAD")
    assert (node / "etc/image-release").read_text() == (
        f"IMAGE_ROLE=compute\nIMAGE_REF=main\nIMAGE_COMMIT={sha}\n"
        f"IMAGE_DATE=2023-11-14T22:13:20Z\nIMAGE_PACKAGES={made['packages']}\n"
    )
    assert (bed.tree / "etc/image-release").read_text() == "IMAGE_COMMIT=older\n", "packing writes no tree"
    assert (host.read_bytes() if host.exists() else None) == before


def test_a_link_in_the_tree_leads_the_stamp_nowhere(bed: Bed, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("host")
    (bed.tree / "etc/image-release").unlink()
    (bed.tree / "etc/image-release").symlink_to(victim)
    bed.pack()
    assert victim.read_text() == "host"
    assert (
        "IMAGE_ROLE=compute" in (unpacked(bed.image(), tmp_path / "node") / "etc/image-release").read_text()
    )


def test_a_tag_is_the_ref(bed: Bed) -> None:
    git(bed.folder, "tag", "v1.2")
    assert bed.pack()["ref"] == "v1.2"


def test_the_list_of_packages_is_an_artefact_and_its_digest_in_the_stamp(bed: Bed) -> None:
    made = bed.pack()
    listing = bed.image().with_name("packages.txt").read_bytes()
    assert listing == b"base-files 13.8 amd64\nsystemd 257.13-1 amd64\n"
    assert made["packages"] == f"sha256:{hashlib.sha256(listing).hexdigest()}"


def test_what_belongs_to_one_machine_or_one_run_stays_out(bed: Bed, tmp_path: Path) -> None:
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ecdsa", "-N", "", "-f", str(bed.tree / "etc/ssh/ssh_host_ecdsa_key")],
        check=True,
    )
    bed.pack()
    node = unpacked(bed.image(), tmp_path / "node")
    assert (node / "etc/machine-id").read_bytes() == b""
    for empty in ("tmp", "run", "etc/ssh"):
        assert list((node / empty).iterdir()) == []
    for gone in ("var/lib/dbus/machine-id", "var/log/dpkg.log", "root/.ansible"):
        assert not (node / gone).exists()
    assert (bed.tree / "etc/machine-id").read_text().startswith("0123"), "the tree keeps its own"


def test_all_else_is_in_the_image_as_it_is_in_the_tree(bed: Bed, tmp_path: Path) -> None:
    bed.pack()
    node = unpacked(bed.image(), tmp_path / "node")
    for path in sorted((bed.tree / "usr").rglob("*")):
        twin = node / path.relative_to(bed.tree)
        assert twin.lstat().st_mode == path.lstat().st_mode
        if path.is_file():
            assert twin.read_bytes() == path.read_bytes()
    assert (node / "usr/share/data/2/another-name").stat().st_nlink == 2
    assert (node / "init").readlink() == Path("sbin/init")
    assert (node / "sbin").readlink() == Path("usr/sbin")


def test_an_init_of_the_tree_is_kept(bed: Bed, tmp_path: Path) -> None:
    (bed.tree / "init").write_text("#!/bin/sh\n")
    bed.pack()
    assert (unpacked(bed.image(), tmp_path / "node") / "init").read_text() == "#!/bin/sh\n"


@pytest.mark.parametrize("compress", ["zstd", "gzip"])
def test_two_builds_of_one_commit_are_the_same_bytes(bed: Bed, tmp_path: Path, compress: str) -> None:
    bed.commit(f'{TOML}\n[image]\ncompress = "{compress}"\n')
    checksums = set()
    for run in (1, 2):
        configured = bed.tree / "etc/configured"
        configured.write_text("PermitRootLogin no\n")
        os.utime(configured, (LATER + run, LATER + run))  # each pipeline configures at a time of its own
        os.utime(bed.tree / "etc", (LATER + run, LATER + run))
        copy_of(bed.tree, tmp_path / "copy")  # other inodes, other order on disk
        checksums.add(bed.pack("--full")["files"]["image"]["sha256"])
    assert checksums == {hashlib.sha256(bed.image().read_bytes()).hexdigest()}
    node = unpacked(bed.image(), tmp_path / "node", compress)
    assert (node / "etc/configured").stat().st_mtime == COMMITTED
    assert (node / "etc/passwd").stat().st_mtime < COMMITTED


def test_another_commit_is_another_image(bed: Bed) -> None:
    first = bed.pack()
    bed.commit()
    second = bed.pack()
    assert second["changed"]
    assert second["files"]["image"]["sha256"] != first["files"]["image"]["sha256"]


def test_an_unchanged_tree_is_not_packed_again(bed: Bed) -> None:
    first = bed.pack()
    before = {path: path.stat() for path in bed.image().parent.iterdir()}
    second = bed.pack()
    assert (first["changed"], second["changed"]) == (True, False)
    assert second["files"] == first["files"]
    assert {path: path.stat().st_mtime_ns for path in bed.image().parent.iterdir()} == {
        path: info.st_mtime_ns for path, info in before.items()
    }


def test_a_file_of_the_same_size_and_date_is_seen(bed: Bed, tmp_path: Path) -> None:
    """Trees that are made reproducibly carry the same dates, whatever they hold."""
    path = bed.tree / "usr/share/data/3/file3"
    bed.pack()
    path.write_text(path.read_text().replace("content", "CONTENT"))
    os.utime(path, (1_600_000_000, 1_600_000_000))
    assert bed.pack()["changed"]
    assert "CONTENT" in (unpacked(bed.image(), tmp_path / "node") / "usr/share/data/3/file3").read_text()


def test_only_what_changed_is_packed_anew(bed: Bed, monkeypatch: pytest.MonkeyPatch) -> None:
    packed: list[str] = []
    real = segments._compress
    monkeypatch.setattr(segments, "CUT", 16)

    def counted(*words: object) -> None:
        packed.append(str(words[2]))
        real(*words)  # type: ignore[arg-type]

    monkeypatch.setattr(segments, "_compress", counted)
    time.sleep(0.1)  # what is younger is packed again in any case
    bed.pack()
    whole = len(packed)
    bed.commit()
    bed.pack()
    assert whole > 5
    assert len(packed) - whole == 1, "the stamp is in one segment"


def test_the_newest_kernel_of_the_tree_or_one_from_outside(bed: Bed, tmp_path: Path) -> None:
    bed.pack()
    assert bed.image().with_name("kernel").read_text() == "new kernel"
    (tmp_path / "vmlinuz").write_text("mine")
    assert bed.pack("--kernel", str(tmp_path / "vmlinuz"))["changed"]
    assert bed.image().with_name("kernel").read_text() == "mine"


def test_a_kernel_that_is_a_link_out_of_the_tree_is_none(bed: Bed, tmp_path: Path) -> None:
    shutil.rmtree(bed.tree / "boot")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/vmlinuz-9").write_text("the host's")
    (bed.tree / "boot").symlink_to(tmp_path / "outside")
    assert "there is no kernel /boot/vmlinuz-*" in bed.refuses(19, "pack", str(bed.folder))


def test_the_image_fits_the_budget_or_the_largest_folders_are_named(bed: Bed) -> None:
    bed.commit(f'{TOML}\n[image]\nmemory = "2 MiB"\n')
    big = bed.tree / "opt/software/compiler/lib"
    big.mkdir(parents=True)
    (big / "lib.a").write_bytes(b"x" * 3_000_000)
    said = bed.refuses(14, "pack", str(bed.folder))
    assert "and its budget is 2.0 MiB" in said
    rows = said.splitlines()
    assert rows[2] == "       2.9 MiB  /opt/software/compiler/lib"
    assert len([row for row in rows if " MiB  /" in row]) <= 10
    bed.commit(f'{TOML}\n[image]\nmemory = "2 MiB"\nexclude = ["/opt/software/*"]\n')
    assert bed.pack()["unpacked"] < 2 << 20


def test_a_tree_with_a_running_container_is_refused(bed: Bed) -> None:
    """As chroot and nspawn do: a process whose root is the tree, wherever its mount namespace is."""
    ready, tell = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            if os.geteuid():
                ctypes.CDLL(None).unshare(CLONE_NEWUSER)
            os.chroot(bed.tree)
            os.write(tell, b"1")
            signal.pause()
        finally:
            os._exit(1)
    try:
        os.close(tell)
        assert os.read(ready, 1) == b"1"
        said = bed.refuses(13, "pack", str(bed.folder))
        assert f"process {child}: " in said
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(ready)
    bed.pack()


def test_a_tree_with_mounts_below_it_is_refused(bed: Bed) -> None:
    (bed.tree / "proc and more").mkdir()
    words = command(bed.words("pack", str(bed.folder)))
    script = f'mount -t tmpfs none "{bed.tree}/proc and more" && exec "$@"'
    done = bed.among_mounts(script, *words)
    assert done.returncode == 13, done.stderr
    assert f"  {bed.tree}/proc and more\n" in done.stderr
    assert in_use.mounts(str(bed.tree)) == []


def test_only_root_packs(bed: Bed) -> None:
    done = bed.run("pack", str(bed.folder), uid=65534)
    assert (done.status, done.err) == (1, "error: only root can read all of a tree\nhint: use sudo\n")


def test_a_killed_run_leaves_no_image_that_is_taken_for_one(bed: Bed) -> None:
    whole = bed.pack()["files"]["image"]["sha256"]
    for delay in (0.05, 0.15, 0.25, 0.35):
        running = subprocess.Popen(
            command(bed.words("pack", str(bed.folder), "--full")), env=bed.environment(),
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        time.sleep(delay)
        running.kill()
        running.wait()
        if bed.image().with_name("pack.json").exists():
            assert hashlib.sha256(bed.image().read_bytes()).hexdigest() == whole
    assert bed.pack()["files"]["image"]["sha256"] == whole


def test_a_full_disk_is_one_error(bed: Bed) -> None:
    """On a file system of 256 KiB, in a mount namespace of its own."""
    (bed.tree / "etc/noise").write_bytes(os.urandom(600_000))
    Path(bed.places.state).mkdir()
    words = command(bed.words("pack", str(bed.folder), "-q"))
    script = f'mount -t tmpfs -o size=256k none {bed.places.state} && exec "$@"'
    done = bed.among_mounts(script, *words)
    assert done.returncode == 20, done.stderr
    assert done.stderr.count("error: ") == 1
    assert "No space left on device" in done.stderr
    assert done.stderr.splitlines()[-1].startswith("hint: df -h")


def test_two_at_once_are_refused(bed: Bed) -> None:
    bed.pack()
    with Path(bed.places.role("compute", ".lock")).open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert "another nodeimage works on compute" in bed.refuses(4, "pack", str(bed.folder))


def test_what_is_no_system_is_refused(bed: Bed) -> None:
    assert "there is no tree" in bed.refuses(19, "pack", str(bed.folder), "--tree", "/nonexistent")
    (bed.tree / "usr/sbin/init").unlink()
    assert "has no /sbin/init" in bed.refuses(19, "pack", str(bed.folder))


def test_changes_that_are_not_committed_are_refused(bed: Bed, tmp_path: Path) -> None:
    (bed.folder / "extra").write_text("x")
    assert "?? extra" in bed.refuses(2, "pack", str(bed.folder))
    made = bed.pack("--allow-dirty")
    assert made["commit"].endswith("-dirty")
    assert "-dirty\n" in (unpacked(bed.image(), tmp_path / "node") / "etc/image-release").read_text()


def test_the_command_line_may_name_the_commit(bed: Bed) -> None:
    shutil.rmtree(bed.folder / ".git")
    said = bed.refuses(1, "pack", str(bed.folder))
    assert "--commit" in said
    sha = "0123456789abcdef0123456789abcdef01234567"
    made = bed.pack("--commit", sha, "--ref", "v2", "--date", str(COMMITTED))
    assert (made["commit"], made["ref"], made["date"]) == (sha, "v2", "2023-11-14T22:13:20Z")
    for wrong in (["--commit", "main"], ["--commit", sha], ["--commit", sha, "--date", "1", "--ref", "a b"]):
        bed.refuses(2, "pack", str(bed.folder), *wrong)


def test_a_missing_compressor_is_named(bed: Bed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lab.guest.nodeimage.pack.shutil.which", lambda _: None)
    assert (
        bed.refuses(16, "pack", str(bed.folder)) == "error: zstd is not installed\nhint: apt install zstd\n"
    )


def test_a_file_of_4_gib_is_refused_with_what_to_do(bed: Bed) -> None:
    with (bed.tree / "etc/huge").open("wb") as file:
        file.truncate(5 << 30)
    said = bed.refuses(1, "pack", str(bed.folder))
    assert 'exclude = ["/etc/huge"]' in said
    assert "wwvnfs" not in said


TESTED = 'name = "compute"\n'


def test_a_tree_that_was_not_tested_is_not_packed(bed: Bed) -> None:
    bed.commit(TESTED)
    said = bed.refuses(12, "pack", str(bed.folder))
    assert "there is no image of compute: test has not passed for this tree and this commit" in said
    assert said.endswith(f"hint: nodeimage test {bed.folder}\n")
    assert not bed.image().exists()
    bed.prove("test")
    assert bed.pack()["tests"] == {"passed": 3}


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ("commit", "it passed for commit"),
        ("tree", "files of the tree have changed since"),
        ("mode", "files of the tree have changed since"),
        ("role", "it passed for commit"),
        ("other tree", "it passed for "),
    ],
)
def test_a_proof_holds_for_what_was_tested_only(bed: Bed, tmp_path: Path, change: str, why: str) -> None:
    bed.commit(TESTED)
    bed.prove("test")
    words = [str(bed.folder)]
    if change == "commit":
        bed.commit()
    elif change == "role":
        (bed.folder / "test_more.py").write_text("x")
        bed.commit()
    elif change == "tree":
        (bed.tree / "etc/passwd").write_text("changed")
    elif change == "mode":
        (bed.tree / "etc/shadow").chmod(0o604)
    else:
        subprocess.run(["cp", "-a", str(bed.tree), str(tmp_path / "other")], check=True)
        words += ["--tree", str(tmp_path / "other")]
    assert why in bed.refuses(12, "pack", *words)


def test_changed_tests_that_are_not_committed_void_the_proof(bed: Bed) -> None:
    bed.commit(TESTED)
    (bed.folder / "extra").write_text("x")
    dirty = git(bed.folder, "rev-parse", "HEAD") + "-dirty"
    bed.prove("test", commit=Commit(dirty, "main", COMMITTED))
    bed.pack("--allow-dirty")
    (bed.folder / "extra").write_text("y")
    assert "files of the role have changed" in bed.refuses(12, "pack", str(bed.folder), "--allow-dirty")


def test_a_configured_tree_must_be_tested_after_it(bed: Bed) -> None:
    bed.commit(TESTED)
    (bed.folder / "playbook.yml").write_text("- hosts: all\n")
    bed.commit()
    assert f"hint: nodeimage configure {bed.folder} and nodeimage test {bed.folder}\n" in bed.refuses(
        12, "pack", str(bed.folder)
    )
    bed.prove("configure", "test")
    bed.pack()
    bed.prove("configure")
    assert "test has not passed" in bed.refuses(12, "pack", str(bed.folder))


def test_errors_are_json_too(bed: Bed) -> None:
    bed.commit(TESTED)
    done = bed.run("pack", str(bed.folder), "--json")
    assert (done.status, done.data["status"]) == (12, 12)
    assert done.data["error"]["hint"] == f"nodeimage test {bed.folder}"
