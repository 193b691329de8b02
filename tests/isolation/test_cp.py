"""What root in a node packs for `lab cp` to the host: root there may replace tar itself."""

from __future__ import annotations

import io
import stat
import subprocess
import tarfile
from pathlib import Path

import pytest

from lab.errors import Exit
from tests.cases.conftest import COMMAND, Lab
from tests.unit.nodes.test_hostile_archives import END, FOLDER, sparse

pytestmark = pytest.mark.quick


def copied(lab: Lab, archive: bytes, place: Path) -> subprocess.CompletedProcess[bytes]:
    """Has c2's tar print an archive, whatever it is asked for, and copies a folder from there."""
    tar = "#!/bin/sh\ncat /root/archive; test ! -e /root/then || . /root/then\n"
    lab.run("shell", "-u", "root", "c2", "--", "sh", "-c", "cat >/root/archive", stdin=archive)
    lab.run("shell", "-u", "root", "c2", "--", "sh", "-c", "cat >/usr/local/bin/tar", stdin=tar.encode())
    lab.on("c2", "chmod 755 /usr/local/bin/tar")
    try:
        return subprocess.run(
            [*COMMAND, "cp", "-l", lab.name, "c2:/etc", f"{place}/"],
            capture_output=True,
            timeout=120,
            check=False,
            env=dict(lab.environ),
        )
    finally:
        lab.on("c2", "rm -f /usr/local/bin/tar /root/archive /root/then")


@pytest.mark.parametrize(
    ("archive", "said"),
    [
        (FOLDER + sparse([((1 << 62), 0)], 1 << 62, 0) + END, "nine tenths of the free space"),
        (FOLDER + sparse([(0, 1 << 40)], 1 << 40, 0) + END, "a file whose holes are wrong"),
        (FOLDER + b"damage" * 200, "a damaged archive"),
        (FOLDER, "ends too early"),
    ],
)
def test_bombs_and_damage_are_one_sentence(one: Lab, tmp_path: Path, archive: bytes, said: str) -> None:
    done = copied(one, archive, tmp_path)
    told = done.stderr.decode()
    assert (done.returncode, said in told) == (Exit.BROKEN, True), told
    assert len(told.splitlines()) <= 3
    assert list(tmp_path.iterdir()) == []


def test_an_endless_archive_ends(one: Lab, tmp_path: Path) -> None:
    one.on("c2", "echo 'exec cat /dev/zero' >/root/then")
    done = copied(one, FOLDER + END, tmp_path)
    assert (done.returncode, b"went on after the end" in done.stderr) == (Exit.BROKEN, True), done.stderr
    assert list(tmp_path.iterdir()) == []


def test_nothing_gets_out_of_the_folder(one: Lab, tmp_path: Path) -> None:
    place = tmp_path / "place"
    place.mkdir()
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for name, kind, link in (
            (".", tarfile.DIRTYPE, ""),
            ("./ok", tarfile.REGTYPE, ""),
            ("../e1", tarfile.REGTYPE, ""),
            (f"{tmp_path}/e2", tarfile.REGTYPE, ""),
            ("./link", tarfile.SYMTYPE, str(tmp_path)),
            ("./link/e3", tarfile.REGTYPE, ""),
            ("./hard", tarfile.LNKTYPE, "/etc/passwd"),
            ("./disk", tarfile.BLKTYPE, ""),
            ("./pipe", tarfile.FIFOTYPE, ""),
        ):
            member = tarfile.TarInfo(name)
            member.type, member.linkname, member.mode = kind, link, 0o6777
            tar.addfile(member)
    done = copied(one, buffer.getvalue(), place)
    assert done.returncode == 0, done.stderr
    found = {str(path.relative_to(tmp_path)): path.lstat().st_mode for path in tmp_path.rglob("*")}
    assert sorted(found) == ["place", "place/etc", "place/etc/link", "place/etc/link/e3", "place/etc/ok"]
    assert all(stat.S_ISREG(mode) or stat.S_ISDIR(mode) for mode in found.values())
    assert not any(mode & 0o7022 for name, mode in found.items() if name != "place")


def test_a_large_file_of_holes_is_quick(one: Lab, tmp_path: Path) -> None:
    one.on("c2", "truncate -s 2G /root/holes")
    done = one.run("cp", "c2:/root/holes", str(tmp_path), timeout=60)
    copy = (tmp_path / "holes").stat()
    assert (done.returncode, copy.st_size, copy.st_blocks) == (0, 2 << 30, 0), done.stderr
