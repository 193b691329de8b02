"""What a node's client leaves behind: nothing, though a command is slow or a copy has no place."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from lab.backends.fake import FakeBackend
from lab.config.loader import load
from lab.errors import LabError, UsageError
from lab.nodes.client import NodeClient
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
