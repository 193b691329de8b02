"""Recipes that make one image for each release, and images that no lab needs."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.images import recipe, stages

RECIPE = """\
default = false

[tree]
releases = ["old", "new"]
stale = ["old"]
packages = ["a"]

[tree.also]
new = ["b"]

[image]
trees = { "/" = "many" }
files = { "/" = "containers/many/files" }
"""
SINGLE = '[tree]\nrelease = "new"\npackages = ["a"]\n\n[image]\ntrees = { "/" = "single" }\n'


@pytest.fixture
def containers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a recipe of two releases and one of a single release."""
    for name, text in (("many", RECIPE), ("single", SINGLE)):
        (tmp_path / "containers" / name).mkdir(parents=True)
        (tmp_path / "containers" / name / "image.toml").write_text(text)
    for hook in ("users", "seed-users", "clean-tree"):
        (tmp_path / "containers" / hook).write_text("")
    monkeypatch.setattr(recipe, "data_folder", lambda name: tmp_path / name)
    monkeypatch.setattr(stages, "data_folder", lambda name: tmp_path / name)
    return tmp_path / "containers"


def test_a_recipe_makes_one_image_for_each_release(containers: Path) -> None:
    assert recipe.names() == ("many-old", "many-new", "single")
    made = recipe.load("many-new")
    assert made is not None
    assert (made.name, made.release, made.default) == ("many-new", "new", False)
    assert made.folder == containers / "many"
    assert made.files == (("/", containers / "many" / "files"),)
    (path, tree) = made.trees[0]
    assert (path, tree.name, tree.release, tree.packages) == ("/", "many-new", "new", ("a", "b"))


def test_releases_differ_in_packages_and_key(containers: Path) -> None:
    old, new = recipe.tree("many", "old"), recipe.tree("many", "new")
    assert (old.packages, new.packages) == (("a",), ("a", "b"))
    assert old.key != new.key


def test_images_that_no_lab_needs_are_left_out_unless_asked_for(containers: Path) -> None:
    assert recipe.names(optional=False) == ("single",)


def test_a_single_release_has_no_variant(containers: Path) -> None:
    made = recipe.load("single")
    assert made is not None
    assert (made.release, made.default, made.trees[0][1].stale) == (None, True, False)


def test_lists_out_of_step_are_taken_as_they_are(containers: Path) -> None:
    old = stages._mmdebstrap(recipe.tree("many", "old"), Path("x.tar"))
    new = stages._mmdebstrap(recipe.tree("many", "new"), Path("x.tar"))
    assert set(stages.STALE) <= set(old)
    assert not set(stages.STALE) & set(new)


def test_slurms_images_are_the_four_releases() -> None:
    ours = [name for name in recipe.names() if name.startswith("slurm-")]
    assert len(ours) == 2 * 4 + 1
    assert "slurm-bench" in ours
    assert not set(ours) & set(recipe.names(optional=False))
