"""What is built, in which order, and what is left alone: a store in memory, trees that are made by nobody."""

from __future__ import annotations

import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lab.errors import LabError
from lab.images import pipeline, recipe, stages
from tests.unit.images.test_recipe import BOARD, TREE, folder, loaded

__all__ = ["folder"]  # the fixture


class Store:
    """Images by tag."""

    def __init__(self) -> None:
        self.built: list[str] = []
        self.tags: dict[str, str] = {}
        self.arguments: dict[str, dict[str, str]] = {}
        self.wanted: set[str] = set()

    def look(self, tag: str) -> tuple[int, str]:
        return (1, "2026-11-21T12:00:00Z") if tag in self.tags else (0, "")

    def build(self, context: Path, tag: str, arguments: dict[str, str]) -> None:
        assert context.stat().st_size
        self.built.append(tag)
        self.tags[tag] = tag
        self.arguments[tag] = arguments

    def use(self, tag: str) -> None:
        self.tags[tag.partition(":")[0] + ":current"] = self.tags[tag]

    def prune(self, wanted: set[str]) -> None:
        self.wanted = wanted

    def names(self) -> list[str]:
        """What was built since the last look, without keys."""
        found = [tag.partition(":")[0].removeprefix("rackling/") for tag in self.built]
        self.built.clear()
        return found


@pytest.fixture
def store(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    def make(_tree: recipe.Tree, target: Path, _stop: threading.Event) -> None:
        target.parent.mkdir(exist_ok=True)
        target.write_text("tree")

    monkeypatch.setattr(stages, "make_tree", make)
    return Store()


def build(store: Any, folder: Path, *names: str, force: bool = False) -> list[str]:
    said: list[str] = []
    pipeline.build(names, store, folder / "cache", said.append, force=force)
    return said


def test_parents_first_bases_once_and_then_nothing(store: Any, folder: Path) -> None:
    said = build(store, folder)
    assert store.names() == ["board-base", "board", "head-base", "head"]
    assert "leaf: packages ready" in said
    assert build(store, folder) == []
    assert store.names() == []
    assert store.tags["rackling/head:current"] == f"rackling/head:{pipeline.top_key(loaded('head'))}"


def test_a_changed_file_costs_only_the_last_step(store: Any, folder: Path) -> None:
    build(store, folder)
    store.names()
    (folder / "lab/guest/files/head/etc/name").write_text("other\n")
    said = build(store, folder)
    assert store.names() == ["head"]
    assert not [line for line in said if "packages" in line]
    assert store.tags["rackling/head:current"] == f"rackling/head:{pipeline.top_key(loaded('head'))}"


def test_changed_packages_of_the_parent_reach_the_child(store: Any, folder: Path) -> None:
    build(store, folder)
    store.names()
    text = (folder / "containers/board/image.toml").read_text()
    (folder / "containers/board/image.toml").write_text(text.replace("sudo", "doas"))
    build(store, folder)
    assert store.names() == ["board-base", "board", "head-base", "head"]


def test_one_image_brings_its_parents_and_no_other(store: Any, folder: Path) -> None:
    build(store, folder, "board")
    assert store.names() == ["board-base", "board"]
    build(store, folder, "head")
    assert store.names() == ["head-base", "head"]


def test_force_builds_again_on_the_bases_there_are(store: Any, folder: Path) -> None:
    build(store, folder)
    store.names()
    build(store, folder, force=True)
    assert store.names() == ["board", "head"]


def test_what_is_wanted_is_never_pruned(store: Any, folder: Path) -> None:
    build(store, folder)
    assert store.wanted == {tag for tag in store.tags if not tag.endswith(":current")}


def test_an_unknown_image_is_refused_before_anything_is_built(store: Any, folder: Path) -> None:
    with pytest.raises(LabError, match="no image called tail"):
        build(store, folder, "head", "tail")
    with pytest.raises(LabError, match="no image called leaf"):
        build(store, folder, "leaf")
    assert store.names() == []


def test_inventory_tells_built_from_not(store: Any, folder: Path) -> None:
    build(store, folder, "board")
    found = {record.name: record for record in pipeline.inventory(store)}
    assert (found["board"].built, found["head"].built) == (True, False)
    assert found["head"].size == 0
    (folder / "lab/guest/files/board/boot").write_text("changed\n")
    changed = pipeline.inventory(store)
    assert [record.built for record in changed] == [False, False]
    assert [record.outdated for record in changed] == [True, False]


def test_a_finished_image_is_outdated_with_the_one_that_it_is_built_on(store: Any, folder: Path) -> None:
    (folder / "containers/board-nobody").mkdir()
    (folder / "containers/board-nobody/image.toml").write_text('default = false\n[image]\non = "board"\n')
    (folder / "containers/board-nobody/Containerfile").write_text("ARG BASE\nFROM $BASE\n")

    def found() -> tuple[bool, bool]:
        (record,) = [one for one in pipeline.inventory(store, optional=True) if one.name == "board-nobody"]
        assert (record.needed, record.variant) == (False, True)
        return record.built, record.outdated

    assert found() == (False, False)
    build(store, folder, "board-nobody")
    assert found() == (True, False)
    (folder / "lab/guest/files/board/boot").write_text("changed\n")
    build(store, folder)
    assert found() == (False, True)
    assert all(one.built for one in pipeline.inventory(store))
    build(store, folder, "board-nobody")
    assert found() == (True, False)


def test_the_last_step_is_told_where_programs_in_c_are(store: Any, folder: Path) -> None:
    (folder / "containers/tools").mkdir()
    (folder / "containers/tools/image.toml").write_text(TREE + '[image.trees]\n"/" = "tools"\n')
    (folder / "containers/tools/Containerfile").write_text("ARG BASE\nFROM $BASE\n")
    text = BOARD.replace("[image]", '[image]\nnative = "tools"')
    (folder / "containers/board/image.toml").write_text(text)
    build(store, folder, "board")
    assert store.names() == ["tools-base", "tools", "board-base", "board"]
    tools = f"rackling/tools:{pipeline.top_key(loaded('tools'))}"
    assert store.arguments[f"rackling/board:{pipeline.top_key(loaded('board'))}"]["NATIVE"] == tools


def test_an_image_on_a_finished_one_follows_it_and_has_no_trees(store: Any, folder: Path) -> None:
    (folder / "containers/shifted").mkdir()
    (folder / "containers/shifted/image.toml").write_text('default = false\n[image]\non = "board"\n')
    (folder / "containers/shifted/Containerfile").write_text("ARG BASE\nFROM $BASE\nRUN true\n")
    build(store, folder)
    assert "shifted" not in store.names(), "only when it is named"
    build(store, folder, "shifted")
    assert store.names() == ["shifted"]
    board, shifted = (f"rackling/{name}:{pipeline.top_key(loaded(name))}" for name in ("board", "shifted"))
    assert store.arguments[shifted]["BASE"] == board
    (folder / "lab/guest/files/board/boot").write_text("changed\n")
    build(store, folder, "shifted")
    assert store.names() == ["board", "shifted"]


@pytest.mark.parametrize("problem", [LabError("no such package"), KeyboardInterrupt()])
def test_what_ends_one_tree_stops_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, problem: BaseException
) -> None:
    begun = threading.Barrier(2, timeout=20)
    stopped: list[str] = []

    def make(tree: recipe.Tree, _target: Path, stop: threading.Event) -> None:
        if tree.name != "three":
            begun.wait()
        if tree.name == "one":
            raise problem
        assert stop.wait(20)
        stopped.append(tree.name)
        raise LabError("it was stopped")

    trees = tuple(
        ("/", recipe.Tree(name, "trixie", (), (), f"{name}-key", stale=False))
        for name in ("one", "two", "three")
    )
    made_of = SimpleNamespace(trees=trees, store=None)
    monkeypatch.setattr(stages, "make_tree", make)
    with pytest.raises(type(problem)) as caught:
        pipeline.make_trees([made_of], tmp_path, lambda _: None)  # type: ignore[list-item]
    assert caught.value is problem
    assert "two" in stopped
