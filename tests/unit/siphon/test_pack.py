"""The single file."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from lab import standalone
from lab.siphon import errors
from tests.unit.siphon.controller import FILES, released, running
from tests.unit.siphon.tokens import TOKEN


@pytest.mark.parametrize("compiled", [True, False])
def test_one_file_does_the_same(tmp_path: Path, compiled: bool) -> None:
    """Compiled for this Python, and from its source for any other."""
    archive = tmp_path / "siphon.pyz"
    assert standalone.build("siphon", str(archive)) == (sys.implementation.cache_tag,)
    first = archive.read_bytes()
    standalone.build("siphon", str(archive))
    assert archive.read_bytes() == first
    assert first.startswith(b"#!/usr/bin/env -S python3 -I -S\n")
    if not compiled:
        with zipfile.ZipFile(archive) as packed, zipfile.ZipFile(tmp_path / "other.pyz", "w") as other:
            for name in packed.namelist():
                data = packed.read(name)
                other.writestr(
                    name, data.replace(b"cpython-", b"neverpy-") if name == "__main__.py" else data
                )
        archive = tmp_path / "other.pyz"
    with running(released("24.11")) as one:
        command = [sys.executable, "-I", "-S", str(archive), "-o", str(tmp_path / "conf"), str(one.server)]
        env = {**os.environ, "SLURM_JWT": TOKEN}
        done = subprocess.run(command, cwd="/", env=env, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.returncode == 0
    assert (tmp_path / "conf/slurm.conf").read_bytes() == FILES[0].content


def test_one_file_ends_with_the_status_and_says_everything(tmp_path: Path) -> None:
    """It leaves without the interpreter's clean-up, which also writes what is still in a buffer."""
    archive = tmp_path / "siphon.pyz"
    standalone.build("siphon", str(archive))
    command = [sys.executable, "-I", "-S", str(archive), "--json", "--auth", "jwt", "127.0.0.1:1"]
    env = {name: value for name, value in os.environ.items() if name != "SLURM_JWT"}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == errors.CREDENTIAL.status
    assert json.loads(done.stdout)["exit"] == errors.CREDENTIAL.status
    assert done.stderr.startswith("error: ")
    asked = [sys.executable, "-I", "-S", str(archive), "--help"]
    shown = subprocess.run(asked, capture_output=True, text=True, check=True).stdout
    assert shown.endswith(f"{errors.INTERRUPTED.meaning}\n")
