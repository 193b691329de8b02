"""What users meet on their own side: descriptions that cannot work, full disks, readers that go away."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.cases.conftest import COMMAND, Lab

pytestmark = pytest.mark.quick


@pytest.mark.parametrize(
    "subnet", ["127.0.0.0/8", "224.0.0.0/8", "0.0.0.0/8", "240.0.0.0/8", "169.254.0.0/16"]
)
def test_a_subnet_that_cannot_work_is_refused_at_its_line(tmp_path: Path, subnet: str) -> None:
    (tmp_path / "lab.toml").write_text(f'[networks.internal]\nsubnet = "{subnet}"\n')
    done = Lab("case", folder=tmp_path).run("validate")
    assert done.returncode == 2
    assert b"lab.toml:2" in done.stdout + done.stderr


@pytest.mark.parametrize("mac", ["00:00:00:00:00:00", "01:00:5e:00:00:01", "ff:ff:ff:ff:ff:ff"])
def test_a_mac_that_no_device_has_is_refused(tmp_path: Path, mac: str) -> None:
    (tmp_path / "lab.toml").write_text(f'[nodes.login]\nmac = "{mac}"\n')
    done = Lab("case", folder=tmp_path).run("validate")
    assert done.returncode == 2
    assert b"lab.toml:2" in done.stdout + done.stderr


def test_a_misspelt_table_is_told_at_its_own_line(tmp_path: Path) -> None:
    (tmp_path / "lab.toml").write_text('lab = "x"\n[node.c]\ncount = 3\n')
    done = Lab("case", folder=tmp_path).run("validate")
    assert b"lab.toml:2" in done.stdout + done.stderr


@pytest.mark.parametrize("words", [["exercises"], ["ls"], ["show", "login_node"]])
def test_a_reader_that_goes_away_is_no_verdict(words: list[str]) -> None:
    line = subprocess.run(
        ["bash", "-c", '"$@" | head -0; exit ${PIPESTATUS[0]}', "case", *COMMAND, *words],
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert line.returncode in (0, 141)
    assert b"Traceback" not in line.stderr
    assert b"error" not in line.stderr


def test_a_full_disk_behind_the_output_is_one_error() -> None:
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        done = subprocess.run(
            [*COMMAND, "exercises"], stdout=full, stderr=subprocess.PIPE, timeout=60, check=False
        )
    assert done.returncode == 3
    assert b"No space left on device" in done.stderr
    assert b"bug" not in done.stderr


def test_an_option_before_the_command_counts() -> None:
    before = subprocess.run(
        [*COMMAND, "-l", "nosuchlab", "status"],
        capture_output=True,
        timeout=60,
        check=False,
        env=dict(os.environ),
    )
    behind = Lab("nosuchlab").run("status")
    assert (before.returncode, before.stdout) == (behind.returncode, behind.stdout)
    assert b"nosuchlab" in before.stderr
