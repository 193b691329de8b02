"""A program of npm's becomes a part of an image only if its bytes are those that the recipe names."""

from __future__ import annotations

import base64
import hashlib
import io
import tarfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from lab.errors import LabError
from lab.images import pipeline, recipe, scripts
from lab.images.recipe import Script
from tests.unit.images.test_recipe import loaded


def package(text: bytes) -> bytes:
    """A package as npm packs it."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        entry = tarfile.TarInfo("package/dist/index.js")
        entry.size = len(text)
        archive.addfile(entry, io.BytesIO(text))
    return stream.getvalue()


PACKED = package(b"program")
DIGEST = base64.b64encode(hashlib.sha512(PACKED).digest()).decode()
SCRIPT = Script("tool", "1.2.3", f"sha512-{DIGEST}", "dist/index.js", "/disk/usr/lib/tool")


@pytest.fixture
def npm(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Stands in for npm: packs the same package whatever is asked for."""
    commands: list[list[str]] = []

    def run(command: Sequence[str], **_more: object) -> None:
        commands.append(list(command))
        target = next(word.partition("=")[2] for word in command if word.startswith("--pack-destination"))
        (Path(target) / "tool-1.2.3.tgz").write_bytes(PACKED)

    monkeypatch.setattr("lab.npm.run", run)
    monkeypatch.setattr("shutil.which", lambda _: "/usr/bin/npm")
    return commands


def test_the_file_is_fetched_once(npm: list[list[str]], tmp_path: Path) -> None:
    (tmp_path / "tool-0123456789ab.tar").write_text("an older one")
    for _ in range(2):
        found = scripts.made(SCRIPT, tmp_path, lambda _line: None)
        with tarfile.open(found) as archive:
            assert archive.getnames() == ["index.js"]
    assert [command[-1] for command in npm] == ["tool@1.2.3"]
    assert [path.name for path in tmp_path.iterdir()] == [found.name]


def test_other_bytes_than_the_recipe_names_are_refused(npm: list[list[str]], tmp_path: Path) -> None:
    other = replace(SCRIPT, integrity=f"sha512-{base64.b64encode(bytes(64)).decode()}")
    with pytest.raises(LabError, match=r"tool 1\.2\.3 is not what the recipe names"):
        scripts.made(other, tmp_path, lambda _line: None)
    assert npm
    assert not list(tmp_path.iterdir())


def test_without_npm_the_error_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("shutil.which", lambda _: None)
    with pytest.raises(LabError, match="npm is not installed") as caught:
        scripts.made(SCRIPT, tmp_path, lambda _line: None)
    assert "apt-get install npm" in caught.value.hint


def test_another_version_is_another_image() -> None:
    runner = loaded("runner")
    assert runner.script is not None
    other = replace(runner, script=replace(runner.script, version="4.72.1"))
    assert pipeline.base_key(other) != pipeline.base_key(runner)


def test_the_runner_is_built_on_demand_only_and_can_install_trees_from_nothing() -> None:
    runner = loaded("runner")
    assert "runner" not in recipe.names(optional=False)
    assert runner.store is not None
    assert runner.store.whole
