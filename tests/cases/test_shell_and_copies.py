"""Shells, logs and copies of real nodes: what ssh, `cp -a` and `docker cp` do is the measure."""

from __future__ import annotations

import hashlib
import os
import shlex
import subprocess
import time
from pathlib import Path

import pexpect
import pytest

from tests.cases.conftest import COMMAND, Lab

pytestmark = pytest.mark.engine

BYTES = b"lat\xe9in\x00\xff\r\n"


@pytest.mark.parametrize(
    ("command", "status"),
    [("true", 0), ("exit 5", 5), ("kill -TERM $$", 143), ("kill -KILL $$", 137), ("nosuchcommand", 127)],
)
def test_a_command_gives_its_status(lab: Lab, command: str, status: int) -> None:
    done = lab.run("shell", "c1", "--", "sh", "-c", command)
    assert (done.returncode, done.stdout) == (status, b"")
    assert b"Success" not in done.stderr


def test_bytes_pass_unchanged_both_ways(lab: Lab) -> None:
    assert lab.run("shell", "c1", "--", "cat", stdin=BYTES).stdout == BYTES
    word = os.fsdecode(b"lat\xe9in")
    assert lab.run("shell", "c1", "--", "printf", "%s", word).stdout == b"lat\xe9in"


def test_a_script_on_standard_input_runs_and_gives_its_status(lab: Lab) -> None:
    done = lab.run("shell", "c1", stdin=b"hostname\nexit 7\n")
    assert (done.returncode, done.stdout) == (7, b"c1\n")


def test_an_interactive_shell_gives_its_status(lab: Lab) -> None:
    words = [*COMMAND, "shell", "-l", lab.name, "c1"]
    child = pexpect.spawn(words[0], words[1:], env={**lab.environ, "TERM": "xterm"}, timeout=60)
    child.expect(r"[$#] ")
    child.sendline("exit 5")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 5


@pytest.mark.parametrize(
    ("words", "program"),
    [
        pytest.param(("shell", "c1", "--", "sleep", "54321"), "sleep 54321", id="shell"),
        pytest.param(("logs", "c1", "-f"), "journalctl --no-pager", id="logs"),
    ],
)
@pytest.mark.parametrize("signal", ["INT", "TERM", "KILL"])
def test_what_is_cancelled_ends_in_the_node(
    lab: Lab, words: tuple[str, ...], program: str, signal: str
) -> None:
    runs = f"pgrep -fc {shlex.quote(f'^[^ ]*{program}')}"
    argv = [
        "env",
        "--default-signal",
        *COMMAND,
        words[0],
        "-l",
        lab.name,
        *words[1:],
    ]  # a background job ignores some
    with subprocess.Popen(
        argv,
        env=dict(lab.environ),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    ) as client:
        assert soon(lab, runs, "1"), "it does not run in the node"
        os.kill(client.pid, {"INT": 2, "TERM": 15, "KILL": 9}[signal])
    assert soon(lab, runs, "0"), "it goes on in the node"


def soon(lab: Lab, command: str, wanted: str) -> bool:
    """Whether a command in c1 prints this within half a minute."""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        if lab.on("c1", command)[1].strip() == wanted:
            return True
        time.sleep(0.5)
    return False


def test_a_link_is_copied_as_a_link_and_a_hard_link_as_a_file(lab: Lab, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("hi\n")
    (tmp_path / "link").symlink_to("a.txt")
    lab.on("c1", "rm -rf /tmp/case; mkdir /tmp/case")
    for name in ("a.txt", "link"):
        assert lab.run("cp", str(tmp_path / name), "c1:/tmp/case/").returncode == 0
    assert lab.on("c1", "cat /tmp/case/link") == (0, "hi\n")
    lab.on("c1", "ln /tmp/case/a.txt /tmp/case/b.txt")
    assert lab.run("cp", "c1:/tmp/case", str(tmp_path / "out")).returncode == 0
    assert [(tmp_path / "out" / name).read_text() for name in ("a.txt", "b.txt")] == ["hi\n"] * 2


def test_a_large_file_passes_both_ways(lab: Lab, tmp_path: Path) -> None:
    content = os.urandom(1 << 20) * 64
    (tmp_path / "large").write_bytes(content)
    assert lab.run("cp", str(tmp_path / "large"), "c1:/tmp/large").returncode == 0
    assert lab.run("cp", "c1:/tmp/large", str(tmp_path / "back")).returncode == 0
    lab.on("c1", "rm /tmp/large")
    assert hashlib.sha256((tmp_path / "back").read_bytes()).digest() == hashlib.sha256(content).digest()


@pytest.mark.parametrize(
    ("source", "target", "said"),
    [
        pytest.param("c1:/etc/hostname", "/proc/x", "/proc", id="a target that cannot be written"),
        pytest.param("c1:/etc/cron.d", "{tmp}/file", "file", id="a folder onto a file"),
        pytest.param("c1:/etc/nosuch", "{tmp}", "/etc/nosuch", id="a source that is not there"),
        pytest.param("{tmp}/nosuch", "c1:/tmp", "nosuch", id="a file of ours that is not there"),
    ],
)
def test_a_copy_that_cannot_be_is_one_sentence(
    lab: Lab, tmp_path: Path, source: str, target: str, said: str
) -> None:
    (tmp_path / "file").write_text("mine")
    done = lab.run("cp", source.format(tmp=tmp_path), target.format(tmp=tmp_path))
    told = done.stderr.decode()
    assert done.returncode != 0
    assert said in told
    assert "bug" not in told
    assert (tmp_path / "file").read_text() == "mine"
