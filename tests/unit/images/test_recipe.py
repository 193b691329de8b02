"""Recipes and the keys of what they make, which change with what decides the content and only then."""

from __future__ import annotations

import os
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from lab import paths
from lab.errors import LabError
from lab.images import pipeline, recipe, stages
from lab.images.recipe import Recipe, Tree

TREE = '[tree]\nrelease = "trixie"\npackages = ["bash", "sudo"]\n'
BOARD = f'{TREE}[image]\n[image.trees]\n"/" = "board"\n[image.files]\n"/board" = "lab/guest/files/board"\n'
HEAD = f"""{TREE}exclude = ["/usr/share/man/*"]
[image]
parent = "board"
bundle = "/disk/guest.pyz"
[image.trees]
"/disk" = "head"
"/disk/chroot" = "leaf"
[image.files]
"/disk" = ["lab/guest/files/common", "lab/guest/files/head"]
"""
FILES = {
    "containers/users": "root x 0\n",
    "containers/seed-users": "#!/bin/sh\n",
    "containers/clean-tree": "#!/bin/sh\n",
    "containers/board/image.toml": BOARD,
    "containers/board/Containerfile": "ARG BASE\nFROM $BASE\n",
    "containers/head/image.toml": HEAD,
    "containers/head/Containerfile": "ARG BASE\nFROM $BASE\n",
    "containers/head/install": "#!/bin/sh\n",
    "containers/leaf/image.toml": TREE,
    "lab/guest/files/board/boot": "#!/bin/sh\n",
    "lab/guest/files/common/etc/motd": "hello\n",
    "lab/guest/files/head/etc/name": "head\n",
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Recipes and files of a small project."""
    for name, text in FILES.items():
        place = tmp_path / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
    for module in (recipe, stages):
        monkeypatch.setattr(module, "data_folder", lambda name: tmp_path / name)
    monkeypatch.setattr(recipe, "PACKAGE", tmp_path / "lab")
    return tmp_path


def loaded(name: str) -> Recipe:
    found = recipe.load(name)
    assert found is not None
    return found


def keys() -> dict[str, str]:
    head, board = loaded("head"), loaded("board")
    return {
        "head": pipeline.top_key(head),
        "head base": pipeline.base_key(head),
        "board": pipeline.top_key(board),
        "board base": pipeline.base_key(board),
    }


def test_parents_come_first_and_a_mere_tree_makes_no_image(folder: Path) -> None:
    assert recipe.names() == ("board", "head")
    assert recipe.load("leaf") is None


def test_a_recipe_says_where_trees_and_files_go(folder: Path) -> None:
    head = loaded("head")
    assert (head.parent, head.bundle) == ("board", "/disk/guest.pyz")
    assert [(path, tree.name) for path, tree in head.trees] == [("/disk", "head"), ("/disk/chroot", "leaf")]
    files = folder / "lab" / "guest" / "files"
    assert head.files == (("/disk", files / "common"), ("/disk", files / "head"))
    assert head.trees[0][1].exclude == ("/usr/share/man/*",)


def test_an_unknown_recipe_is_refused_with_what_to_type(folder: Path) -> None:
    with pytest.raises(LabError) as caught:
        recipe.load("tail")
    assert "tail" in caught.value.message
    assert caught.value.hint == "lab images ls"


def test_the_projects_own_recipes_can_be_read() -> None:
    for name in ("native", "chassis", "sms"):
        found = loaded(name)
        assert all(source.is_dir() for _, source in found.files)
        assert (found.folder / "Containerfile").is_file()
    assert recipe.load("node") is None
    assert recipe.tree("node").release == recipe.tree("sms").release


def test_programs_in_c_come_before_what_takes_them(folder: Path) -> None:
    (folder / "containers/tools").mkdir()
    (folder / "containers/tools/image.toml").write_text(TREE + '[image.trees]\n"/" = "tools"\n')
    (folder / "containers/tools/Containerfile").write_text("ARG BASE\nFROM $BASE\n")
    text = BOARD.replace("[image]", '[image]\nnative = "tools"')
    (folder / "containers/board/image.toml").write_text(text)
    assert recipe.names() == ("tools", "board", "head")
    before = keys()
    (folder / "containers/tools/Containerfile").write_text("ARG BASE\nFROM $BASE\nRUN true\n")
    assert {name for name, key in keys().items() if key != before[name]} == {"board"}


ALL = {"head", "head base", "board", "board base"}


def write(name: str, text: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_text(text)


@pytest.mark.parametrize(
    ("change", "changed"),
    [
        (write("containers/users", "root x 1\n"), ALL),
        (write("containers/seed-users", "#!/bin/dash\n"), ALL),
        (write("containers/clean-tree", "#!/bin/dash\n"), ALL),
        (write("containers/board/image.toml", BOARD.replace("sudo", "doas")), ALL),
        (write("containers/board/image.toml", BOARD.replace("trixie", "forky")), ALL),
        (write("containers/head/image.toml", HEAD.replace("/man/", "/doc/")), {"head", "head base"}),
        (write("containers/head/image.toml", HEAD.replace("chroot", "root")), {"head", "head base"}),
        (write("containers/head/image.toml", HEAD.replace('files/head"', 'files/board"')), {"head"}),
        (write("containers/leaf/image.toml", TREE.replace("sudo", "doas")), {"head", "head base"}),
        (write("containers/head/install", "#!/bin/sh\ntrue\n"), {"head"}),
        (write("containers/head/Containerfile", "FROM x\n"), {"head"}),
        (write("containers/board/Containerfile", "FROM x\n"), {"board"}),
        (write("lab/guest/files/board/boot", "#!/bin/sh\ntrue\n"), {"board"}),
        (write("lab/guest/files/common/etc/motd", "hullo\n"), {"head"}),
        (write("lab/guest/files/head/etc/other", ""), {"head"}),
        (lambda folder: (folder / "lab/guest/files/head/etc/name").unlink(), {"head"}),
        (lambda folder: (folder / "lab/guest/files/head/etc/link").symlink_to("name"), {"head"}),
        (lambda folder: (folder / "lab/guest/files/board/boot").chmod(0o755), {"board"}),
        (lambda folder: (folder / "lab/guest/files/head/etc/name").rename(folder / "x"), {"head"}),
    ],
)
def test_keys_change_with_the_content(
    folder: Path, change: Callable[[Path], object], changed: set[str]
) -> None:
    before = keys()
    change(folder)
    after = keys()
    assert {name for name in before if before[name] != after[name]} == changed


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: os.utime(folder / "lab/guest/files/head/etc/name", (1, 1)),
        lambda folder: (folder / "lab/guest/files/head/etc/name").chmod(0o600),  # another umask
        write("containers/leaf/image.toml", "# a remark\n" + TREE),
        write("containers/leaf/notes", "for people"),
        lambda folder: shutil.copytree(folder / "lab/guest/files/head", folder / "lab/guest/files/more"),
        lambda folder: (folder / "lab/guest/files/head/etc/__pycache__").mkdir(),
    ],
    ids=["time", "umask", "comment", "note", "folder-beside", "cache"],
)
def test_keys_stay_when_the_content_does(folder: Path, change: Callable[[Path], object]) -> None:
    before = keys()
    change(folder)
    assert keys() == before


def test_a_digest_does_not_run_its_parts_together() -> None:
    assert recipe.digest([b"ab", b"c"]) != recipe.digest([b"a", b"bc"])
    assert recipe.digest([b"", b"a"]) != recipe.digest([b"a"])


# build contexts


def members(context: Path) -> dict[str, tuple[bytes, int, int]]:
    """Content, mode and owner of each file in an archive, and of folders without content."""
    found = {}
    with tarfile.open(context) as archive:
        for entry in archive:
            file = archive.extractfile(entry) if entry.isfile() else None
            found[entry.name] = (file.read() if file else b"", entry.mode, entry.uid)
    return found


def test_the_top_context_is_the_same_whoever_makes_it(folder: Path, tmp_path: Path) -> None:
    (folder / "lab/guest/files/head/etc/run").write_text("#!/bin/sh\n")
    (folder / "lab/guest/files/head/etc/run").chmod(0o755)
    cache = folder / "lab/guest/files/head/etc/__pycache__"
    first, second = tmp_path / "1.tar", tmp_path / "2.tar"
    stages.top_context(loaded("head"), first)
    (folder / "lab/guest/files/head/etc/name").chmod(0o600)
    (folder / "lab/guest/files/head/etc/run").chmod(0o700)
    cache.mkdir()
    (cache / "x.pyc").write_text("")
    os.utime(folder / "lab/guest/files/common/etc/motd", (1, 1))
    stages.top_context(loaded("head"), second)
    assert members(first) == members(second)
    found = members(first)
    assert found["files/disk/etc/motd"] == (b"hello\n", 0o644, 0)
    assert found["files/disk/etc/run"][1] == 0o755
    assert found["Dockerfile"][0] == b"ARG BASE\nFROM $BASE\n"
    assert found["install"][0] == b"#!/bin/sh\n"
    assert found["files/disk/guest.pyz"][0].startswith(b"#!")
    assert not list(tmp_path.glob("*.bundle"))


def test_the_base_context_adds_each_tree_at_its_path(folder: Path, tmp_path: Path) -> None:
    tars = {}
    for name in ("head", "leaf"):
        tars[name] = tmp_path / f"{name}.tar"
        tars[name].write_bytes(name.encode())
    context = tmp_path / "context.tar"
    stages.base_context(loaded("head"), "rackling/board-base:1", tars, context)
    found = members(context)
    assert found["Dockerfile"][0].decode().splitlines() == [
        "FROM rackling/board-base:1",
        "ADD tree0.tar /disk",
        "ADD tree1.tar /disk/chroot",
    ]
    assert (found["tree0.tar"][0], found["tree1.tar"][0]) == (b"head", b"leaf")


def tree_of(name: str) -> Tree:
    return recipe.tree(name)


def test_a_tree_is_made_whole_or_not_at_all_and_replaces_older_ones(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache"
    cache.mkdir()
    older, other = cache / "leaf-000000000000.tar", cache / "leaf-stone-000000000000.tar"
    older.write_text("")
    other.write_text("")
    asked: list[list[str]] = []

    def made(command: list[str], **_more: object) -> None:
        asked.append(command)
        Path(command[-1]).write_text("tree")

    def broken(command: list[str], **_more: object) -> None:
        Path(command[-1]).write_text("half")
        raise LabError("mmdebstrap failed")

    monkeypatch.setattr("lab.images.stages.shutil.which", lambda name: f"/usr/bin/{name}")
    target = stages.made_tree(tree_of("leaf"), cache)
    monkeypatch.setattr(stages, "run", broken)
    with pytest.raises(LabError):
        stages.make_tree(tree_of("leaf"), target)
    assert not target.exists()
    assert older.exists()
    monkeypatch.setattr(stages, "run", made)
    stages.make_tree(tree_of("leaf"), target)
    assert target.read_text() == "tree"
    assert not older.exists()
    assert other.exists()
    assert "--include=bash,sudo" in asked[0]
    assert "trixie" in asked[0]


def test_without_mmdebstrap_one_is_told_what_to_install(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lab.images.stages.shutil.which", lambda _name: None)
    with pytest.raises(LabError) as caught:
        stages.make_tree(tree_of("leaf"), tmp_path / "x.tar")
    assert "mmdebstrap" in caught.value.hint


def test_recipes_lie_where_the_package_looks() -> None:
    assert (paths.data_folder("containers") / "sms" / "image.toml").is_file()
