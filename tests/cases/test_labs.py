"""Labs of other addresses, beside the user's Docker settings, and with names that could be one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.cases.conftest import ONE_NODE, Lab

pytestmark = pytest.mark.engine


def ready(lab: Lab) -> None:
    """Brings a lab up, and runs a job on its compute node."""
    up = lab.run("up", timeout=600)
    assert up.returncode == 0, up.stderr.decode(errors="replace")
    status, told = lab.on("sms", "su - user1 -c 'srun hostname'")
    assert (status, told.strip()) == (0, "c1")


@pytest.mark.parametrize("subnet", ["10.0.0.0/8", "172.20.0.0/16", "192.168.7.0/24"])
def test_a_lab_works_on_another_network(another: Lab, tmp_path: Path, subnet: str) -> None:
    (tmp_path / "lab.toml").write_text(f'{ONE_NODE}\n[networks.internal]\nsubnet = "{subnet}"\n')
    ready(another)


def test_proxies_of_the_users_settings_stay_out_of_nodes(another: Lab, tmp_path: Path) -> None:
    (tmp_path / "lab.toml").write_text(ONE_NODE)
    (tmp_path / "config.json").write_text(
        json.dumps({"proxies": {"default": {"httpProxy": "http://127.0.0.1:9", "noProxy": "localhost"}}})
    )
    lab = replace(another, environ={**another.environ, "DOCKER_CONFIG": str(tmp_path)})
    ready(lab)
    for node in ("sms", "c1"):
        assert "127.0.0.1:9" not in lab.on(node, "env; cat /proc/1/environ")[1]


@pytest.fixture
def dashed(another: Lab, tmp_path: Path) -> Iterator[Lab]:
    """A lab whose name and node make what `another`'s name and its node make."""
    folder = tmp_path / "dashed"
    folder.mkdir()
    (folder / "lab.toml").write_text(ONE_NODE)
    lab = Lab(f"{another.name}-y", folder=folder)
    yield lab
    lab.run("down", "-y")


def test_two_labs_whose_names_join_to_one_stand_beside_each_other(
    another: Lab, dashed: Lab, tmp_path: Path
) -> None:
    (tmp_path / "lab.toml").write_text(f'{ONE_NODE}\n[nodes.y-c]\nrole = "compute"\ncount = 1\n')
    ready(another)
    ready(dashed)
    assert another.on("y-c1", "hostname") == (0, "y-c1\n")
