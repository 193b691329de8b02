"""Recipes that make one image for each release, and images that no lab needs."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from lab.errors import LabError
from lab.images import environments, pipeline, recipe, stages

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


def test_slurms_images_are_the_four_releases_and_notebooks_of_two() -> None:
    ours = [name for name in recipe.names() if name.startswith("slurm-")]
    assert len(ours) == 2 * 4 + 1 + 2
    assert "slurm-bench" in ours
    assert not set(ours) & set(recipe.names(optional=False))


NOTEBOOK = """\
default = false

[image]
parent = "many"
releases = ["new"]

[image.environment]
pins = "requirements/pins.txt"
path = "/opt/python"
python = { new = "3.13" }
"""


def test_an_environment_lies_on_the_parent_of_its_release(containers: Path) -> None:
    (containers / "notebook").mkdir()
    (containers / "notebook/image.toml").write_text(NOTEBOOK)
    pins = containers.parent / "requirements" / "pins.txt"
    pins.parent.mkdir()
    pins.write_text("a==1 --hash=sha256:0\n")
    assert recipe.names()[-1] == "notebook-new"
    made = recipe.load("notebook-new")
    assert made is not None
    assert made.environment is not None
    assert (made.parent, made.trees, made.environment.python) == ("many-new", (), "3.13")
    before = pipeline.base_key(made)
    pins.write_text("a==2 --hash=sha256:0\n")
    changed = recipe.load("notebook-new")
    assert changed is not None
    assert pipeline.base_key(changed) != before
    assert "notebook-new-environment" in pipeline.kept_names()


def test_wheels_become_a_virtual_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in for pip unpacks what lies beside `lib`, a program, and a package."""

    def pip(words: list[str], *, timeout: object) -> None:
        assert "--require-hashes" in words
        assert "--python-version=3.13" in words
        target = Path(next(word for word in words if word.startswith("--target=")).partition("=")[2])
        for name in (
            "bin/program",
            "share/jupyter/kernel.json",
            "etc/settings",
            "package/__init__.py",
            "package/tests/test.key",
            "share/hub/page.js",
        ):
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            (target / name).write_text("")

    monkeypatch.setattr(environments, "run", pip)
    environment = recipe.Environment(
        "x-environment", tmp_path / "pins.txt", "3.13", "/opt", "0" * 12, without=("share/hub",)
    )
    old = tmp_path / f"x-environment-{'1' * 12}.tar"
    old.touch()
    target = environments.made_environment(environment, tmp_path)
    environments.make_environment(environment, target)
    with tarfile.open(target) as archive:
        names = {entry.name for entry in archive if entry.isfile()}
    assert names == {
        "share/jupyter/kernel.json", "etc/settings", "lib/python3.13/site-packages/package/__init__.py"
    }  # fmt: skip
    assert not old.exists()


def test_wheels_that_cannot_be_fetched_leave_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def pip(words: list[str], *, timeout: object) -> None:
        raise LabError("pip ended with status 1", evidence="no hash fits")

    monkeypatch.setattr(environments, "run", pip)
    environment = recipe.Environment("x-environment", tmp_path / "pins.txt", "3.13", "/opt", "0" * 12)
    with pytest.raises(LabError, match=r"pins\.txt could not be fetched") as caught:
        environments.make_environment(environment, tmp_path / "x.tar")
    assert "no hash fits" in caught.value.evidence
    assert list(tmp_path.iterdir()) == []
