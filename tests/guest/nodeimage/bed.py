"""A role in a git repository, a small tree, keys made by ssh-keygen, and the program on them."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lab.guest import main as entry
from lab.guest.nodeimage import content, proof, role
from lab.guest.nodeimage.commit import Commit
from lab.guest.nodeimage.places import Places
from lab.guest.system import System

ROOT = Path(__file__).resolve().parents[3]
COMMITTED = 1_700_000_000
OLD = 1_600_000_000
TOML = 'name = "compute"\n\n[test]\nuntested = true\n'
PACKAGES = """\
Package: systemd
Status: install ok installed
Architecture: amd64
Version: 257.13-1

Package: gone
Status: deinstall ok config-files
Architecture: amd64
Version: 1

Package: base-files
Status: install ok installed
Architecture: amd64
Version: 13.8
"""


@dataclass(frozen=True)
class Done:
    """How the program ended."""

    status: int
    out: str
    err: str

    @property
    def data(self) -> dict[str, Any]:
        """What it printed with --json."""
        found: dict[str, Any] = json.loads(self.out)
        return found


def settle(folder: Path, seconds: int = OLD) -> None:
    """Gives a tree times long past, as files of packages have."""
    for path in [folder, *folder.rglob("*")]:
        os.utime(path, (seconds, seconds), follow_symlinks=False)


def unchanged(path: Path) -> tuple[int, ...]:
    """What tells that nobody has written to a file or folder; reading it changes the time of access only."""
    found = path.stat()
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def git(folder: Path, *words: str) -> str:
    """Runs git with a fixed author and time, without anybody's settings."""
    date = f"{COMMITTED} +0000"
    env = {
        "PATH": os.environ["PATH"], "HOME": "/nonexistent", "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b", "GIT_AUTHOR_DATE": date,
        "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@b", "GIT_COMMITTER_DATE": date,
    }  # fmt: skip
    done = subprocess.run(
        ["git", "-C", str(folder), *words], env=env, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def make_tree(root: Path) -> Path:
    """A small tree with what every system has."""
    for number in range(300):
        path = root / "usr/share/data" / str(number % 10) / f"file{number}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"content {number}\n" * number)
    files = {
        "usr/sbin/init": "#!/bin/sh\n",
        "boot/vmlinuz-6.9.1": "old kernel",
        "boot/vmlinuz-6.12.3": "new kernel",
        "etc/passwd": "root:x:0:0::/root:/bin/sh\n",
        "etc/shadow": "root:*:19000:0:99999:7:::\ndaemon:!:19000::::::\n",
        "etc/machine-id": "0123456789abcdef0123456789abcdef\n",
        "etc/image-release": "IMAGE_COMMIT=older\n",
        "etc/ssh/ssh_host_ed25519_key.pub": "ssh-ed25519 AAAA\n",
        "var/lib/dbus/machine-id": "0123456789abcdef0123456789abcdef\n",
        "var/lib/dpkg/status": PACKAGES,
        "var/log/dpkg.log": "2026-11-30 installed\n",
        "tmp/junk": "junk",
        "run/junk": "junk",
        "root/.ansible/tmp/junk": "junk",
    }
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (root / "sbin").symlink_to("usr/sbin")
    os.link(root / "usr/share/data/1/file1", root / "usr/share/data/2/another-name")
    settle(root)
    return root


def make_key(path: Path) -> Path:
    """A key of somebody who signs, named as its file."""
    words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", path.name, "-f", str(path)]
    subprocess.run(words, check=True)
    return path


def make_template(root: Path) -> Path:
    """What every test gets a copy of."""
    make_tree(root / "tree")
    folder = root / "role"
    folder.mkdir()
    (folder / "image.toml").write_text(TOML)
    git(folder, "init", "-q", "-b", "main")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "begin")
    public = make_key(root / "builder").with_suffix(".pub").read_text()
    (root / "signers").write_text(f"builder {public}")
    return root


class Bed:
    """Everything that one test works with, below one folder."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch, template: Path) -> None:
        subprocess.run(["cp", "-a", f"{template}/.", str(root)], check=True)
        self.root = root
        self.folder = root / "role"
        self.tree = root / "tree"
        self.places = Places(str(root / "state"), str(root / "served"))
        self.key = root / "builder"
        self.signers = root / "signers"
        self.head = ""
        """The root folder of a head node with Warewulf; none: the program's root is that of the host."""
        self._monkeypatch = monkeypatch

    def commit(self, toml: str | None = None) -> Commit:
        """Commits the role's folder, with another image.toml if one is given."""
        if toml is not None:
            (self.folder / "image.toml").write_text(toml)
        git(self.folder, "add", "-A")
        git(self.folder, "commit", "-q", "--allow-empty", "-m", "change")
        return Commit(git(self.folder, "rev-parse", "HEAD"), "main", COMMITTED)

    def environment(self) -> dict[str, str]:
        """For the program in a process of its own."""
        return {
            "PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT),
            "NODEIMAGE_STATE": self.places.state, "NODEIMAGE_RELEASES": self.places.releases,
        }  # fmt: skip

    def among_mounts(self, script: str, *words: str) -> subprocess.CompletedProcess[str]:
        """Runs a shell script in a mount namespace of its own; the words of a command are its "$@"."""
        apart = ["unshare", "-m" if os.geteuid() == 0 else "-rm"]
        return subprocess.run(
            [*apart, "sh", "-c", script, "sh", *words],
            env=self.environment(), capture_output=True, text=True, check=False,
        )  # fmt: skip

    def words(self, verb: str, *words: str) -> list[str]:
        """A command line, with the tree and the keys that a verb needs."""
        more: list[str] = []
        if verb in ("configure", "test", "pack") and "--tree" not in words:
            more = ["--tree", str(self.tree)]
        elif verb == "publish" and "--key" not in words:
            more = ["--key", str(self.key)]
        elif verb in ("verify", "try", "activate", "rollback", "import") and "--signers" not in words:
            more = ["--signers", str(self.signers)]
        return ["nodeimage", verb, *words, *more]

    def run(self, verb: str, *words: str, uid: int = 0) -> Done:
        """Runs the program in this process, as root as far as it sees."""
        out, err = io.StringIO(), io.StringIO()
        with self._monkeypatch.context() as patch:
            patch.setattr(sys, "stdout", out)
            patch.setattr(sys, "stderr", err)
            patch.setattr("lab.guest.system.os.geteuid", lambda: uid)
            patch.delenv("RACKLING_ROOT", raising=False)
            if self.head:
                patch.setenv("RACKLING_ROOT", self.head)
            for name, value in self.environment().items():
                patch.setenv(name, value)
            status = entry.main(self.words(verb, *words))
        return Done(status, out.getvalue(), err.getvalue())

    def must(self, verb: str, *words: str) -> dict[str, Any]:
        """Runs the program, which is to succeed, and returns what --json tells."""
        done = self.run(verb, *words, "--json")
        assert done.status == 0, done.err
        return done.data

    def refuses(self, status: int, verb: str, *words: str) -> str:
        """Runs the program, which is to fail with one error and a hint."""
        done = self.run(verb, *words)
        assert done.status == status, done.err or done.out
        assert done.err.count("error: ") == 1, done.err
        assert done.err.splitlines()[-1].startswith("hint: ")
        assert "Traceback" not in done.err
        return done.err

    def pack(self, *words: str) -> dict[str, Any]:
        """Packs the tree."""
        return self.must("pack", str(self.folder), *words)

    def image(self) -> Path:
        """The packed image."""
        return Path(self.places.role("compute", "image", "image"))

    def release(self, name: str) -> Path:
        """The folder of a release."""
        return Path(self.places.served("compute", name))

    def published(self, name: str, text: str = "") -> Path:
        """A release whose image differs by a text."""
        (self.tree / "etc" / "about").write_text(text or name)
        self.pack()
        self.must("publish", "compute", "--release", name)
        return self.release(name)

    def prove(self, *steps: str, commit: Commit | None = None) -> None:
        """Notes that steps passed for the tree as it is."""
        chosen = role.load(str(self.folder))
        digest = content.tree_digest(content.read_tree(str(self.tree), chosen.exclude))
        sha = commit or Commit(git(self.folder, "rev-parse", "HEAD"), "main", COMMITTED)
        for step in steps:
            now = proof.state(chosen, sha, str(self.tree), digest)
            proof.record(System(), self.places, chosen, step, now, {"passed": 3})


def command(words: Sequence[str]) -> list[str]:
    """The argument list of the program in a process of its own."""
    code = "import sys; from lab.guest.main import main; sys.exit(main(sys.argv))"
    return [sys.executable, "-c", code, *words]


def unpacked(archive: Path, folder: Path, *compressor: str) -> Path:
    """What cpio makes of an image."""
    folder.mkdir()
    data = subprocess.run(
        [*(compressor or ("zstd",)), "-dc", str(archive)], capture_output=True, check=True
    ).stdout
    subprocess.run(["cpio", "-idm", "--quiet", "--no-preserve-owner"], input=data, cwd=folder, check=True)
    return folder


def copy_of(tree: Path, target: Path) -> Path:
    """A copy with other inodes and times of change."""
    subprocess.run(["cp", "-a", "--reflink=never", str(tree), str(target)], check=True)
    shutil.rmtree(tree)
    target.rename(tree)
    return tree
