"""What `nox -s ci` covers: every session, every recipe, and each release of Slurm in turn."""

from __future__ import annotations

import ast
import importlib.util
import sys
from datetime import date, timedelta
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import cast

import pytest
from click.testing import CliRunner

from lab.backends.libvirt.storage import DiskStore
from lab.cli.app import App
from lab.cli.main import main
from lab.images import disk, recipe
from lab.paths import PACKAGE, data_folder
from tests.slurm.engine import RELEASES
from tests.slurm.selection import ALWAYS, releases_of_day

ROOT = PACKAGE.parent


@pytest.fixture(scope="module")
def noxfile() -> ModuleType:
    spec = importlib.util.spec_from_file_location("noxfile_of_ours", ROOT / "noxfile.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look it up
    spec.loader.exec_module(module)
    return module


class Session:
    """Takes the place of nox's: keeps what would be run."""

    def __init__(self, *posargs: str) -> None:
        self.posargs = posargs
        self.ran: list[tuple[str, ...]] = []

    def run(self, *words: str, **_: object) -> None:
        self.ran.append(words)


def sessions() -> set[str]:
    """Names of nox's sessions, read from the source."""
    tree = ast.parse((ROOT / "noxfile.py").read_text(encoding="utf-8"))
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    return {one.name for one in functions if any("nox.session" in ast.unparse(d) for d in one.decorator_list)}


def test_ci_runs_every_session_or_says_why_not(noxfile: ModuleType) -> None:
    run, left_out = set(noxfile.CI_STEPS), set(noxfile.NOT_IN_CI)
    assert run | left_out == sessions()
    assert not run & left_out
    assert all(noxfile.NOT_IN_CI.values())


def test_ci_hands_a_session_its_arguments(noxfile: ModuleType) -> None:
    assert noxfile.command_of("slurm", Path("r.json"))[-2:] == ["--", "--quick"]
    assert noxfile.command_of("tests", Path("r.json"))[-1] == "--"


def test_images_builds_what_every_recipe_names(
    noxfile: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(noxfile, "need_engine", lambda _session: None)
    session = Session()
    noxfile.images(session)
    assert [words[-3:] for words in session.ran] == [("images", "build", "--all")]
    built: list[str] = []
    monkeypatch.setattr("lab.images.pipeline.build", lambda names, *_, **__: built.extend(names))
    monkeypatch.setattr("lab.backends.docker.images.ImageStore", lambda: None)
    app = App({"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path), "LAB_PROGRESS": "quiet"})
    result = CliRunner().invoke(main, ["images", "build", "--all"], obj=app)
    assert result.exit_code == 0, result.output
    folders = [path.parent.name for path in data_folder("containers").glob("*/Containerfile")]
    assert folders
    forgotten = [one for one in folders if not any(f"{name}-".startswith(f"{one}-") for name in built)]
    assert not forgotten
    assert built == list(recipe.names())


def test_images_takes_either_names_or_all(tmp_path: Path) -> None:
    app = App({"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path)})
    result = CliRunner().invoke(main, ["images", "build", "--all", "sms"], obj=app)
    assert (result.exit_code, "leave out the names, or --all" in result.output) == (2, True)


def test_every_tree_without_an_image_is_part_of_one() -> None:
    """So a recipe that makes no image is built all the same."""
    folders = {path.parent.name for path in data_folder("containers").glob("*/image.toml")}
    images = [loaded for name in recipe.names() if (loaded := recipe.load(name)) is not None]
    used = {tree.name for one in images for _, tree in one.trees} | {one.folder.name for one in images}
    assert folders <= used


def test_machines_builds_every_disk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It calls `images build` on the backend libvirt, which goes through all recipes of disks."""
    assert set(disk.names()) == {path.name for path in data_folder("vms").iterdir() if path.is_dir()}
    used: list[str] = []
    store = SimpleNamespace(look=lambda *_: (1, ""), use=lambda name, _key: used.append(name))
    monkeypatch.setattr(disk, "names", lambda *, optional=True: ("one", "other"))
    monkeypatch.setattr(disk, "recipe", lambda name: SimpleNamespace(name=name, key="c0ffee", default=True))
    disk.build(cast("DiskStore", store), tmp_path, print)
    assert used == ["one", "other"]


def test_the_quick_selection_meets_each_release_within_days() -> None:
    begin = date(2026, 11, 30)
    days = [releases_of_day(begin + timedelta(days=number), tuple(RELEASES)) for number in range(6)]
    assert {first for first, _ in days} == {ALWAYS}
    others = [other for _, other in days]
    assert set(others[:3]) == set(RELEASES) - {ALWAYS}
    assert others[:3] == others[3:]
