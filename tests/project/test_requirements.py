"""The pins in requirements/: they cover pyproject.toml, hold hashes, agree, and name no index."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path

import pytest
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
FILES = sorted((ROOT / "requirements").glob("*.txt"))
HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}")
OF_ONE_HUB = ("dockerspawner", "jupyter")
ALONE = ("guest", *OF_ONE_HUB)
"""Files of environments that hold nothing else."""
PYTHONS = {"guest": ("3.9",), "lab": ("3.11", "3.12", "3.13")}


def wanted(name: str) -> list[Requirement]:
    """What pyproject.toml asks for and a file of that name must pin."""
    table = PROJECT["project"]
    groups: dict[str, list[str]] = PROJECT["dependency-groups"]
    extras: dict[str, list[str]] = table["optional-dependencies"]
    listed = groups[name] if name in groups else [*table["dependencies"], *extras.get(name, ())]
    return [Requirement(text) for text in listed]


def pins(text: str) -> list[Requirement]:
    """The requirements of a file, without their hashes."""
    joined = text.replace("\\\n", " ")
    lines = [HASH.sub("", line).strip() for line in joined.splitlines() if not line.startswith("#")]
    return [Requirement(line) for line in lines if line]


def pinned(text: str, python: str) -> dict[str, str]:
    """Name and version of what that Python gets on Linux."""
    here = {"python_version": python, "python_full_version": f"{python}.1", "sys_platform": "linux"}
    found = [pin for pin in pins(text) if pin.marker is None or Marker(str(pin.marker)).evaluate(here)]
    versions: dict[str, str] = {
        canonicalize_name(pin.name): str(pin.specifier).removeprefix("==") for pin in found
    }
    assert len(versions) == len(found), "a name that is pinned twice"
    return versions


def test_there_is_a_file_for_each_extra_and_group() -> None:
    extras, groups = PROJECT["project"]["optional-dependencies"], PROJECT["dependency-groups"]
    assert {path.stem for path in FILES} == {"lab", *extras, *groups}
    table = next(
        node.value
        for node in ast.parse((ROOT / "noxfile.py").read_text(encoding="utf-8")).body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "LOCKED"
    )
    assert set(ast.literal_eval(table)) == {path.stem for path in FILES}, "`nox -s lock` writes each"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_pins_satisfy_pyproject_on_every_python(path: Path) -> None:
    for python in PYTHONS.get(path.stem, PYTHONS["lab"]):
        found = pinned(path.read_text(encoding="utf-8"), python)
        for requirement in wanted(path.stem):
            version = found.get(canonicalize_name(requirement.name))
            assert version is not None, f"{requirement.name} is not pinned; nox -s lock"
            assert requirement.specifier.contains(version), f"{requirement}: {version}; nox -s lock"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_pin_holds_hashes_and_no_host(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    entries = [entry for entry in re.split(r"\n(?! )", text.strip()) if not entry.startswith("#")]
    assert len(entries) == len(pins(text)) > 0
    for entry in entries:
        first, *rest = entry.replace("\\\n", "\n").splitlines()
        assert re.fullmatch(r"[a-z0-9.-]+==\S+( ; .*)?", first.strip()), first
        assert rest, f"{first}: no hash"
        assert all(HASH.fullmatch(line.strip()) for line in rest), entry


def test_the_files_agree_so_that_two_can_be_installed_together() -> None:
    together = [path for path in FILES if path.stem not in ALONE]
    found: dict[str, str] = {}
    for path in together:
        for name, version in pinned(path.read_text(encoding="utf-8"), "3.13").items():
            assert found.setdefault(name, version) == version, f"{path.name}: {name}"


def test_a_hub_and_its_servers_are_of_one_release() -> None:
    texts = [(ROOT / "requirements" / f"{name}.txt").read_text(encoding="utf-8") for name in OF_ONE_HUB]
    assert len({pinned(text, "3.13")["jupyterhub"] for text in texts}) == 1


def test_what_builds_the_checkout_is_pinned() -> None:
    """The checkout is built without isolation: by the build system named, and by editables for `-e`."""
    asked = [Requirement(text) for text in PROJECT["build-system"]["requires"]]
    found = pinned((ROOT / "requirements" / "build.txt").read_text(encoding="utf-8"), "3.11")
    assert all(requirement.specifier.contains(found[requirement.name]) for requirement in asked)
    assert "editables" in found
    assert "setuptools" in found, "libvirt-python is built, too"
