"""The package store: fetched by apt against each tree, indexed, kept by a digest of its content."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lab.errors import LabError
from lab.images import packages, pipeline, recipe, stages
from tests.unit.images.test_recipe import HEAD, folder, loaded

__all__ = ["folder"]  # the fixture

STORE = '[image.store]\npath = "/disk/packages"\n[image.store.packages]\nleaf = ["tree"]\nhead = ["jq"]\n'


@pytest.fixture
def head(folder: Path) -> recipe.Recipe:
    (folder / "containers/head/image.toml").write_text(HEAD.replace("[image.trees]", STORE + "[image.trees]"))
    return loaded("head")


def test_a_recipe_says_what_its_store_holds_for_whom(head: recipe.Recipe) -> None:
    assert head.store is not None
    assert (head.store.name, head.store.path) == ("head-store", "/disk/packages")
    assert [(tree.name, names) for tree, names in head.store.wanted] == [
        ("leaf", ("tree",)),
        ("head", ("jq",)),
    ]


def test_a_changed_store_changes_the_base(folder: Path, head: recipe.Recipe) -> None:
    path = folder / "containers/head/image.toml"
    before = pipeline.base_key(head), head.trees
    path.write_text(path.read_text().replace('"jq"', '"jq", "htop"'))
    after = pipeline.base_key(loaded("head")), loaded("head").trees
    assert before[0] != after[0]
    assert before[1] == after[1]  # and no tree is made anew for it


def test_the_projects_own_store_serves_both_trees() -> None:
    store = loaded("sms").store
    assert store is not None
    assert [tree.name for tree, _ in store.wanted] == ["node", "sms"]


def tree_tar(path: Path) -> Path:
    """A tree with what apt looks at, and something else."""
    with tarfile.open(path, "w") as archive:
        for name in (*packages.APT[:2], packages.APT[2] + "one.asc", "usr/bin/bash"):
            entry = tarfile.TarInfo(f"./{name}")
            entry.size = 4
            archive.addfile(entry, io.BytesIO(b"text"))
    return path


class Host:
    """Stands in for apt and dpkg-deb: each package comes with the library that it needs."""

    def __init__(self, *, refuses: str = "") -> None:
        self.refuses = refuses
        self.commands: list[list[str]] = []
        self.installed: set[str] = set()

    def run(self, command: Sequence[str], **_more: object) -> SimpleNamespace:
        self.commands.append(list(command))
        if command[0] == "dpkg-deb":
            name = Path(command[-1]).name.partition("_")[0]
            return SimpleNamespace(stdout=f"Package: {name}\nVersion: 1\n")
        options = dict(word[2:].partition("=")[::2] for word in command if word.startswith("-o"))
        self.installed.add(Path(options["Dir::State::status"]).read_text())
        for name in command[command.index("--") + 1 :] if "install" in command else ():
            if name == self.refuses:
                raise LabError("apt-get ended with status 100", evidence=f"no package {name}")
            for made in (name, f"lib{name}"):
                (Path(options["Dir::Cache::archives"]) / f"{made}_1_amd64.deb").write_bytes(made.encode())
        return SimpleNamespace(stdout="")


def make(head: recipe.Recipe, place: Path, host: Host, monkeypatch: pytest.MonkeyPatch) -> Path:
    assert head.store is not None
    monkeypatch.setattr(packages, "run", host.run)
    tars = {name: tree_tar(place / f"{name}.tar") for name in ("leaf", "head")}
    target = packages.made_store(head.store, place)
    packages.make_store(head.store, tars, target)
    return target


def test_a_store_is_a_repository_with_an_index(
    head: recipe.Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = tmp_path / "head-store-000000000000.tar"
    old.touch()
    host = Host()
    target = make(head, tmp_path, host, monkeypatch)
    assert host.installed == {"text"}  # what the tree has already is not fetched
    with tarfile.open(target) as archive:
        found: dict[str, Any] = {entry.name: archive.extractfile(entry) for entry in archive}
        index = found["Packages"].read().decode()
    debs = ["jq_1_amd64.deb", "libjq_1_amd64.deb", "libtree_1_amd64.deb", "tree_1_amd64.deb"]
    assert sorted(found) == ["Packages", "Release", *debs]
    stanzas = {stanza.split()[1]: stanza for stanza in index.split("\n\n")}
    assert sorted(stanzas) == ["jq", "libjq", "libtree", "tree"]
    assert "Filename: ./jq_1_amd64.deb\nSize: 2\nSHA256: " in stanzas["jq"]
    assert [name for name in sorted(stanzas) if "Chosen: yes" in stanzas[name]] == ["jq", "tree"]
    assert not old.exists()
    assert not list(tmp_path.glob("*.part"))


def test_a_store_for_whole_trees_has_the_name_of_its_release(
    head: recipe.Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert head.store is not None
    whole = replace(head, store=replace(head.store, whole=True))
    named = f"Codename: {head.store.wanted[0][0].release}\n"
    for one, there in ((head, False), (whole, True)):
        with tarfile.open(make(one, tmp_path, Host(), monkeypatch)) as archive:
            file = archive.extractfile("Release")
            assert file is not None
            assert (named in file.read().decode()) is there


def test_a_whole_store_has_what_the_trees_have_already_too(
    folder: Path, head: recipe.Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = folder / "containers/head/image.toml"
    path.write_text(
        path.read_text().replace("[image.store.packages]", "whole = true\n[image.store.packages]")
    )
    whole, host = loaded("head"), Host()
    assert pipeline.base_key(whole) != pipeline.base_key(head)
    make(whole, tmp_path, host, monkeypatch)
    assert host.installed == {""}


def test_a_package_that_is_not_there_is_told_and_nothing_kept(
    head: recipe.Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(LabError) as caught:
        make(head, tmp_path, Host(refuses="jq"), monkeypatch)
    assert caught.value.evidence == "no package jq"
    assert "image.store.packages" in caught.value.hint
    assert not list(tmp_path.glob("head-store-*"))


def test_the_base_image_gets_the_store_at_its_path(head: recipe.Recipe, tmp_path: Path) -> None:
    tars = {}
    for name in ("head", "leaf", "head-store"):
        tars[name] = tmp_path / name
        tars[name].write_bytes(name.encode())
    stages.base_context(head, "parent", tars, tmp_path / "context.tar")
    with tarfile.open(tmp_path / "context.tar") as archive:
        dockerfile = archive.extractfile("Dockerfile")
        assert dockerfile is not None
        assert dockerfile.read().decode().splitlines()[-1] == "ADD store.tar /disk/packages"
        assert "store.tar" in archive.getnames()
