"""The bundle: one file with the guest's programs, equal for equal sources."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from lab.images.bundle import NEEDED, write_bundle, write_program


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    path = tmp_path / "guest.pyz"
    write_bundle(path)
    return path


def test_the_same_sources_give_the_same_bytes(bundle: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.pyz"
    write_bundle(again)
    assert again.read_bytes() == bundle.read_bytes()
    assert bundle.read_bytes().startswith(b"#!/usr/bin/python3")
    assert bundle.stat().st_mode & 0o777 == 0o755


def test_it_holds_programs_and_no_plain_files(bundle: Path) -> None:
    names = zipfile.ZipFile(bundle).namelist()
    assert "lab/guest/warewulf/wwsh.py" in names
    assert "lab/__init__.py" in names
    assert not [name for name in names if "/files/" in name]
    others = [name for name in names if name.startswith("lab/") and not name.startswith("lab/guest/")]
    assert others == [
        "lab/__init__.py",
        "lab/siphon/__init__.py",
        "lab/siphon/fetch/__init__.py",
        "lab/siphon/fetch/hostlist.py",
        "lab/printable.py",
    ]


def test_every_module_in_it_can_be_imported(bundle: Path) -> None:
    names = [name for name in zipfile.ZipFile(bundle).namelist() if name.startswith("lab/")]
    modules = [name.removesuffix(".py").replace("/", ".") for name in names if "__init__" not in name]
    code = f"import sys; sys.path = [{str(bundle)!r}, *sys.path]; import {', '.join(modules)}"
    done = subprocess.run([sys.executable, "-IS", "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("form", ["zip", "unpacked", "link"])
def test_it_runs_alone_in_each_form(bundle: Path, tmp_path: Path, form: str) -> None:
    command = [sys.executable, "-IS", str(bundle), "wwsh", "--help"]
    if form == "unpacked":
        zipfile.ZipFile(bundle).extractall(tmp_path / "guest")
        command[2] = str(tmp_path / "guest")
    if form == "link":
        zipfile.ZipFile(bundle).extractall(tmp_path / "guest")
        (tmp_path / "wwsh").symlink_to(tmp_path / "guest/__main__.py")
        command[2:] = [str(tmp_path / "wwsh"), "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/", env={})
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("USAGE: wwsh")


def test_an_unknown_program_is_told(bundle: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-IS", str(bundle), "frobnicate"],
        capture_output=True,
        text=True,
        check=False,
        env={},
    )
    assert done.returncode == 2
    assert "wwbootstrap" in done.stderr


@pytest.mark.parametrize("name", NEEDED)
def test_a_program_runs_alone(tmp_path: Path, name: str) -> None:
    path = tmp_path / "program.pyz"
    write_program(path, name)
    done = subprocess.run(
        [sys.executable, "-IS", str(path), "--help"], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert done.stdout.startswith(f"usage: {name} ")
    others = [one for one in zipfile.ZipFile(path).namelist() if one.startswith("lab/guest/warewulf")]
    assert others == []
