"""What a node's client leaves behind: nothing, though a command is slow or a copy has no place."""

from __future__ import annotations

import os
import subprocess
import tempfile
import threading
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from lab.backends.fake import FakeBackend
from lab.config.loader import load
from lab.errors import LabError, UsageError
from lab.nodes import copying
from lab.nodes.client import NodeClient
from lab.nodes.unpacking import LeftOut
from lab.process import ProcessTimeout
from tests.backends.contract import Bed


@pytest.fixture
def node(tmp_path: Path) -> NodeClient:
    bed = Bed(FakeBackend(tmp_path), load(None, ("c.count=1",), {}, "fake"), seconds=5)
    bed.up()
    return bed.cluster.node("c1")


def within(what: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not what():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_command_that_takes_too_long_is_ended_in_the_node(node: NodeClient, tmp_path: Path) -> None:
    file = tmp_path / "number"
    with pytest.raises(ProcessTimeout):
        node.execute(f"echo $$ >{file}; exec sleep 1000", timeout=3)
    within(lambda: not Path(f"/proc/{file.read_text().strip()}").exists())


def test_a_copy_that_has_no_place_ends_what_packs_it(node: NodeClient, tmp_path: Path) -> None:
    source = tmp_path / "large"
    source.mkdir()
    (source / "file").write_bytes(os.urandom(30 << 20))
    (tmp_path / "there").write_text("mine")
    with pytest.raises(UsageError, match="a folder cannot replace it"):
        node.receive(str(source), str(tmp_path / "there"))
    left = ["pgrep", "-f", f"tar .*{tmp_path}"]
    within(lambda: subprocess.run(left, capture_output=True, check=False).returncode == 1)
    assert (tmp_path / "there").read_text() == "mine"
    assert not list(tmp_path.glob(".lab-cp-*"))


def test_half_a_copy_is_never_put_into_its_place(node: NodeClient, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "file").write_text("hi")
    (source / "closed").mkdir()
    place = tmp_path / "place"
    (place / "source").mkdir(parents=True)
    (place / "source" / "file").mkdir()  # what the copy's file cannot replace
    with pytest.raises(LabError, match="cannot copy"):
        node.send(str(source), str(place))
    assert not list(place.glob(".lab-cp-*"))
    with pytest.raises(UsageError, match="is in the way"):
        node.receive(str(source), str(place))
    assert not list(place.glob(".lab-cp-*"))
    assert (place / "source" / "file").is_dir()


@pytest.mark.parametrize(
    ("source", "target", "why"),
    [
        ("none", "there", "does not exist on this host"),
        ("file/", "there", "is not a folder"),
        ("file", "folder/", ""),
        ("file", "nowhere/", "there is no folder"),
        ("file", "nowhere/name", "there is no folder"),
        ("folder", "file", "a folder cannot replace it"),
        ("folder", "new/", ""),
        ("file", "folder-with-file", "a file cannot replace it"),
        ("/dev/zero", "there", "neither a file nor a folder"),
    ],
)
def test_copies_go_where_cp_would_put_them(
    node: NodeClient, tmp_path: Path, source: str, target: str, why: str
) -> None:
    """Both ways: host and node of this backend share their files."""
    (tmp_path / "file").write_text("hi")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder-with-file" / "file").mkdir(parents=True)
    here, there = os.path.join(tmp_path, source), f"{tmp_path}/{target}"  # noqa: PTH118 - the slash counts
    for copy in (lambda: node.send(here, there), lambda: node.receive(here, there)):
        if not why:
            copy()
            continue
        with pytest.raises(UsageError) as caught:
            copy()
        said = f"{caught.value.message} {caught.value.evidence}"
        assert any(word in said for word in (why, "there is no", "is not a folder")), said


def received(script: str, folder: Path, target: Path) -> list[LeftOut]:
    """A copy out of a node whose tar was replaced by root there."""
    way = copying.Way(["/bin/sh", "-c", f"cd {folder}; {script}"], ["/bin/true"])
    return copying.receive(str(folder), str(target), way, f"c1:{folder}")


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("yes | head -c 100000", "what the node sent is no archive"),
        ("exec yes", "what the node sent is no archive"),
        ("exit 0", "the node sent nothing"),
        ("head -c 1024 /dev/zero", "the node sent an empty archive"),
        ("tar -c -f - --format=gnu . | head -c 9000", "what the node sent ends too early"),
        ("tar -c -f - --format=posix .", "of another format"),
        ("tar -c -f - --format=gnu .; exec cat /dev/zero", "went on after the end"),
        ("tar -c -f - --format=gnu .; exit 9", "ends too early"),
        ("tar -c -f - --format=gnu .; exec 1>&-; exec sleep 1000", "does not end"),
    ],
)
def test_a_hostile_tar_is_one_sentence_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, said: str
) -> None:
    monkeypatch.setattr("lab.nodes.copying.LAST_SECONDS", 1.0)
    source = tmp_path / "source"
    source.mkdir()
    (source / "file").write_bytes(os.urandom(100_000))
    (tmp_path / "there").mkdir()
    with pytest.raises(LabError) as caught:
        received(script, source, tmp_path / "there")
    assert (caught.value.code, caught.value.message.split(" to ")[0]) == (3, f"cannot copy c1:{source}")
    assert said in caught.value.evidence
    assert len(caught.value.evidence.splitlines()) == 1
    assert list((tmp_path / "there").iterdir()) == []


def test_endless_errors_of_a_node_stay_out_of_the_hosts_disk_and_memory(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    script = "head -c 100000000 /dev/zero | tr '\\0' x >&2; tar -c -f - --format=gnu .; exit 2"
    tracemalloc.start()
    with pytest.raises(LabError) as caught:
        received(script, tmp_path / "folder", tmp_path / "there")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (len(caught.value.evidence) <= 1 << 16, peak < 8 << 20) == (True, True)


def test_a_file_of_holes_goes_to_standard_output_as_zeros(node: NodeClient, tmp_path: Path) -> None:
    with (tmp_path / "holes").open("wb") as file:
        file.seek(3 << 20)
        file.write(b"end")
        file.truncate(5 << 20)
    reader, writer = os.pipe()
    heard: list[bytes] = []
    listener = threading.Thread(target=lambda: heard.append(Path(f"/dev/fd/{reader}").read_bytes()))
    listener.start()
    node.receive(str(tmp_path / "holes"), f"/dev/fd/{writer}")
    os.close(writer)
    listener.join()
    os.close(reader)
    assert heard == [(tmp_path / "holes").read_bytes()]


def test_the_next_copy_removes_what_a_killed_one_left_and_nobody_holds(
    node: NodeClient, tmp_path: Path
) -> None:
    """Both ways: host and node of this backend share their files."""
    source, place = tmp_path / "file", tmp_path / "place"
    source.write_text("hi")
    place.mkdir()
    killed = subprocess.Popen(
        ["/bin/sh", "-c", "exec 9<$0; flock 9; echo locked; exec sleep 1000", mkdtemp(place)],
        stdout=subprocess.PIPE,
    )
    assert killed.stdout
    killed.stdout.readline()
    (place / ".lab-cp-mine").mkdir()  # no name of ours
    node.receive(str(source), str(place))
    left = sorted(path.name for path in place.glob(".lab-cp-*"))
    assert len(left) == 2  # the one that is held, too
    killed.kill()
    killed.wait()
    killed.stdout.close()
    node.receive(str(source), str(place))
    assert [path.name for path in place.glob(".lab-cp-*")] == [".lab-cp-mine"]
    (place / ".lab-cp-aB3dEf").mkdir()  # of a node's mktemp(1)
    node.send(str(source), f"{place}/")
    assert [path.name for path in place.glob(".lab-cp-*")] == [".lab-cp-mine"]


def mkdtemp(place: Path) -> str:
    stage = tempfile.mkdtemp(prefix=".lab-cp-", dir=place)
    (Path(stage) / "new").write_text("half")
    return stage
