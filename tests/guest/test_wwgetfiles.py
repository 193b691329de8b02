"""wwgetfiles and wwfiles.sh: files on a node, as a running node and the boot agent fetch them."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lab.guest.warewulf.handlers import Request, handle_request
from tests.guest import conftest

if TYPE_CHECKING:
    from tests.guest.conftest import Done, Sms

BIN = conftest.ROOT / "lab/guest/files/node/warewulf/bin"
MAC = "52:54:00:00:00:01"
ME, MINE = str(os.geteuid()), str(os.getegid())
SHELLS = [shell for shell in (["sh"], ["busybox", "sh"], ["bash", "--posix"]) if shutil.which(shell[0])]
GET = 'ww_get() { cat "$FAKE/$(printf %s "$1" | tr "/?&=:" _____)"; }\n'
"""Stands for HTTP: answers are files named for the question; no file is what a 404 is."""


class Node:
    """A node's root, and the answers that a fake SMS gives it."""

    def __init__(self, folder: Path, shell: list[str]) -> None:
        self.root = folder / "node"
        self.fake = folder / "answers"
        self.shell = shell
        (self.root / "warewulf").mkdir(parents=True)
        self.fake.mkdir()
        (self.root / "warewulf/config").write_text(
            f'WWINIT_HWADDR="{MAC}"\nWWMASTER="172.16.0.1"\nWWTRANSPORT="http"\n'
        )

    def answers(self, question: str, body: str | bytes) -> None:
        name = question.translate(str.maketrans("/?&=:", "_____"))
        (self.fake / name).write_bytes(body.encode() if isinstance(body, str) else body)

    def listed(self, *lines: str, since: int = 0) -> None:
        self.answers(f"file?hwaddr={MAC}&timestamp={since}", "".join(f"{line}\n" for line in lines))

    def content(self, number: int, body: str | bytes) -> None:
        self.answers(f"file?hwaddr={MAC}&fileid={number}", body)

    def run(self, *words: str) -> Done:
        """Runs wwgetfiles with our ww_get in place of curl."""
        script = self.root / "run"
        script.write_text(GET + (BIN / "wwgetfiles").read_text().replace('$(dirname "$0")', str(BIN)))
        environment = {"PATH": os.environ["PATH"], "FAKE": str(self.fake), "WWROOT": str(self.root)}
        command = [*self.shell, str(script), *words]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
        return conftest.Done(done.returncode, done.stdout, done.stderr)

    @property
    def stamp(self) -> str:
        path = self.root / "warewulf/.wwgetfiles_timestamp"
        return path.read_text().strip() if path.exists() else ""


@pytest.fixture(params=SHELLS, ids=lambda shell: shell[0])
def node(tmp_path: Path, request: pytest.FixtureRequest) -> Node:
    return Node(tmp_path, request.param)


def line(number: int, mode: str, timestamp: int, path: str) -> str:
    return f"{number} name{number} {ME} {MINE} {mode} {timestamp} {path}"


def test_files_arrive_with_content_mode_and_folders(node: Node) -> None:
    node.listed(line(1, "0640", 100, "/etc/deep/er/plain"), line(2, "0400", 101, "/etc/key"))
    node.content(1, "hello\n\n")
    node.content(2, b"\0\xff bin")
    done = node.run()
    assert (done.status, done.out, done.err) == (0, "", "")
    assert (node.root / "etc/deep/er/plain").read_text() == "hello\n\n"
    assert (node.root / "etc/deep/er/plain").stat().st_mode & 0o7777 == 0o640
    assert (node.root / "etc/key").read_bytes() == b"\0\xff bin"
    assert (node.root / "etc/key").stat().st_mode & 0o7777 == 0o400
    assert node.stamp == "101"
    assert "/etc/key" in (node.root / "var/log/warewulf/wwgetfiles.log").read_text()
    assert sorted(path.name for path in (node.root / "etc").iterdir()) == ["deep", "key"]


def test_only_what_is_newer_is_asked_for_and_f_asks_for_all(node: Node) -> None:
    node.listed(line(1, "0644", 100, "/etc/a"))
    node.content(1, "one")
    assert node.run().status == 0
    (node.root / "etc/a").write_text("edited on the node")
    node.listed(since=100)
    assert node.run().status == 0
    assert (node.root / "etc/a").read_text() == "edited on the node"
    assert node.run("-F").status == 0
    assert (node.root / "etc/a").read_text() == "one"
    assert node.stamp == "100"


@pytest.mark.parametrize(
    "name", ["with blank", "a'b\"c", "$(touch x)", "`id`", "back\\slash", "-rf", "*", "ünï"]
)
def test_odd_names_are_names(node: Node, name: str) -> None:
    node.listed(line(1, "0644", 100, f"/etc/{name}"), line(2, "0644", 101, "/etc/next"))
    node.content(1, "odd")
    node.content(2, "next")
    assert node.run().status == 0
    assert sorted(path.name for path in (node.root / "etc").iterdir()) == sorted([name, "next"])
    assert (node.root / "etc" / name).read_text() == "odd"


@pytest.mark.parametrize(
    "bad",
    [
        line(1, "0644", 100, "/../outside"),
        line(1, "0644", 100, "/etc/../../outside"),
        line(1, "0644", 100, "relative"),
        line(1, "0644", 100, "/"),
        line(1, "0999", 100, "/etc/mode"),
        line(1, "s0644", 100, "/etc/socket"),
        f"1 name {ME};id {MINE} 0644 100 /etc/uid",
        f"$(id) name {ME} {MINE} 0644 100 /etc/id",
    ],
)
def test_what_cannot_be_is_refused_and_asked_for_again(node: Node, bad: str) -> None:
    node.listed(line(3, "0644", 50, "/etc/good"), bad, line(2, "0644", 200, "/etc/after"))
    for number in (1, 2, 3):
        node.content(number, "content")
    done = node.run()
    assert done.status == 1
    assert "could not fetch all files" in done.err
    assert (node.root / "etc/after").exists(), "one bad file does not hold up the others"
    assert node.stamp == "50"
    assert not (node.root.parent / "outside").exists()
    assert sorted(path.name for path in (node.root / "etc").iterdir()) == ["after", "good"]


def test_a_download_that_fails_leaves_the_old_file(node: Node) -> None:
    (node.root / "etc").mkdir()
    (node.root / "etc/a").write_text("old")
    node.listed(line(1, "0644", 100, "/etc/a"))
    assert node.run().status == 1
    assert (node.root / "etc/a").read_text() == "old"
    assert list((node.root / "etc").iterdir()) == [node.root / "etc/a"]
    assert node.stamp == ""


def test_an_sms_that_does_not_answer_is_an_error(node: Node) -> None:
    assert node.run().status == 1
    assert node.stamp == ""


def test_links_folders_and_fifos(node: Node) -> None:
    (node.root / "etc").mkdir()
    (node.root / "etc/folder").mkdir()
    (node.root / "etc/link").symlink_to("folder")
    (node.root / "etc/file-over-link").symlink_to("folder")
    node.listed(
        line(1, "l0777", 100, "/etc/link"),
        line(2, "d0750", 101, "/etc/new/folder"),
        line(3, "p0600", 102, "/etc/fifo"),
        line(4, "0644", 103, "/etc/file-over-link"),
    )
    node.content(1, "/else where")
    node.content(4, "plain")
    assert node.run().status == 0
    assert str((node.root / "etc/link").readlink()) == "/else where"
    assert (node.root / "etc/new/folder").stat().st_mode & 0o7777 == 0o750
    assert (node.root / "etc/fifo").is_fifo()
    assert not (node.root / "etc/file-over-link").is_symlink()
    assert list((node.root / "etc/folder").iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes device nodes")
def test_devices(node: Node) -> None:
    node.listed(line(1, "c0666", 100, "/dev/null"))
    node.content(1, "1 3")
    assert node.run().status == 0
    assert (node.root / "dev/null").stat().st_rdev == os.makedev(1, 3)


def test_a_folder_is_never_replaced_by_a_file(node: Node) -> None:
    (node.root / "etc/a").mkdir(parents=True)
    node.listed(line(1, "0644", 100, "/etc/a"))
    node.content(1, "content")
    assert node.run().status == 1
    assert list((node.root / "etc/a").iterdir()) == []


def test_two_at_once_are_refused_and_a_dead_one_is_not_waited_for(node: Node) -> None:
    node.listed()
    lock = node.root / "warewulf/.wwgetfile.lock"
    lock.mkdir()
    (lock / "pid").write_text(str(os.getpid()))
    done = node.run()
    assert (done.status, done.err) == (1, "ERROR: wwgetfiles already running\n")
    gone = subprocess.run(["sh", "-c", "echo $$"], capture_output=True, text=True, check=True).stdout
    (lock / "pid").write_text(gone)
    assert node.run().status == 0
    assert not lock.exists()


def test_the_whole_way_from_wwsh_to_the_node(sms: Sms, tmp_path: Path) -> None:
    node = Node(tmp_path, SHELLS[0])
    sms.write("/etc/slurm.conf", "ClusterName=cluster\nNode=%{NODENAME}\n", 0o644)
    sms.must(
        "file", "import", "/etc/slurm.conf", "--path=/etc/slurm/slurm.conf", f"--uid={ME}", f"--gid={MINE}"
    )
    sms.must("node", "new", "login", "-D", "eth0", "-H", MAC, "-I", "172.16.0.2")
    sms.must("provision", "set", "login", "--files=slurm.conf")
    sms.write("/proc/net/arp", f"IP address HW type\n172.16.0.2 0x1 0x2 {MAC} * eth1\n")
    store = sms.store()
    for query in ({"timestamp": "0"}, {"fileid": "1"}):
        body = handle_request(
            sms.system, store, Request("/WW/file", {"hwaddr": MAC, **query}, "172.16.0.2", 500)
        ).body
        ((key, value),) = query.items()
        node.answers(f"file?hwaddr={MAC}&{key}={value}", body)
    store.close()
    assert node.run().status == 0
    assert (node.root / "etc/slurm/slurm.conf").read_text() == "ClusterName=cluster\nNode=login\n"
