"""What all backends share: editions, names of snapshots, several things at once, archives of one file."""

from __future__ import annotations

import pytest

from lab.backends.archives import read_single_file, tar_single_file
from lab.backends.editions import check_snapshot_name, edition
from lab.backends.parallel import for_each_parallel
from lab.errors import LabError, UsageError


def test_a_packed_file_unpacks_to_itself() -> None:
    assert read_single_file([tar_single_file("cluster.json", "Grüße")]) == "Grüße".encode()


def test_the_first_error_of_several_is_raised_when_all_were_tried() -> None:
    done: list[int] = []

    def act(number: int) -> None:
        done.append(number)
        if number == 1:
            raise LabError("one")

    with pytest.raises(LabError, match="one"):
        for_each_parallel(range(9), act)
    assert sorted(done) == list(range(9))


@pytest.mark.parametrize("name", ["../elsewhere", "Now", "0123456789ab", "a/b", "a" * 40])
def test_an_edition_is_neither_a_path_nor_like_a_digest(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("LAB_IMAGES", name)
    with pytest.raises(UsageError, match="LAB_IMAGES"):
        edition()


def test_without_a_name_the_edition_is_the_current_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LAB_IMAGES", raising=False)
    assert edition() == "current"
    monkeypatch.setenv("LAB_IMAGES", "edition-e")
    assert edition() == "edition-e"


@pytest.mark.parametrize("name", ["handout", "", ".first", "../up", "Two words"])
def test_a_snapshot_has_a_plain_name_of_its_own(name: str) -> None:
    with pytest.raises(UsageError, match="cannot be called"):
        check_snapshot_name(name)
