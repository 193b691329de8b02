"""What an exercise gives its learner: whose it is, and that it is given once."""

from __future__ import annotations

import io
import tarfile
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from lab.cluster.cluster import Cluster
from lab.course.starter_files import give, packed


@dataclass
class Sms:
    """A head node that knows whether a path exists, and takes archives."""

    exists: bool
    name: str = "sms"
    asked: list[str] = field(default_factory=list)
    taken: list[str] = field(default_factory=list)

    def execute(self, command: str, *, timeout: float) -> SimpleNamespace:
        assert timeout > 0
        self.asked.append(command)
        return SimpleNamespace(status=0 if self.exists else 1)

    def copy_in(self, tar: bytes, folder: str) -> None:
        with tarfile.open(fileobj=io.BytesIO(tar)) as archive:
            self.taken += [f"{folder}/{name}" for name in archive.getnames()]

    def cluster(self) -> Cluster:
        return cast("Cluster", SimpleNamespace(sms=self))


@pytest.fixture
def files(tmp_path: Path) -> Path:
    folder = tmp_path / "files"
    (folder / "more").mkdir(parents=True)
    (folder / "job.sh").write_text("#!/bin/sh\n")
    (folder / "more" / "tool").write_text("#!/bin/sh\n")
    (folder / "more" / "tool").chmod(0o700)
    return folder


def test_given_files_are_the_learners_under_the_exercises_name(files: Path) -> None:
    with tarfile.open(fileobj=io.BytesIO(packed(files, "ex"))) as archive:
        found = {entry.name: (entry.mode, entry.uid, entry.uname) for entry in archive}
    assert found == {
        "ex": (0o755, 1001, "user1"),
        "ex/job.sh": (0o644, 1001, "user1"),
        "ex/more": (0o755, 1001, "user1"),
        "ex/more/tool": (0o755, 1001, "user1"),
    }


def test_files_come_into_the_home_of_the_learner(files: Path) -> None:
    sms = Sms(exists=False)
    give(sms.cluster(), "ex", files)
    assert sms.asked == ["test -e /home/user1/ex"]
    assert sorted(sms.taken)[:2] == ["/home/user1/ex", "/home/user1/ex/job.sh"]


def test_what_the_learner_has_already_is_left_alone(files: Path) -> None:
    sms = Sms(exists=True)
    give(sms.cluster(), "ex", files)
    assert sms.taken == []


def test_an_exercise_without_files_asks_nothing(tmp_path: Path) -> None:
    sms = Sms(exists=False)
    give(sms.cluster(), "ex", tmp_path / "files")
    assert (sms.asked, sms.taken) == ([], [])
