"""The lab's switch serves a card by the address that it was made with, whatever a node sends: on a bridge."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.guest.switch_scene import FRAMES

SCENE = Path(__file__).with_name("switch_scene.py")


def alone(*words: str) -> subprocess.CompletedProcess[str]:
    """Runs a program in namespaces of its own, whoever runs this."""
    user = [] if os.geteuid() == 0 else ["--map-root-user"]
    way = ["unshare", *user, "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
    return subprocess.run([*way, *words], capture_output=True, text=True, check=False, timeout=60)


@pytest.fixture(autouse=True)
def _usable() -> None:
    tried = alone("sh", "-c", "ip link add x type bridge && bridge fdb show")
    if tried.returncode != 0:
        assert not os.environ.get("LAB_TEST_NO_SKIP"), tried.stderr
        pytest.skip(f"no bridge can be made here: {tried.stderr}")


def told(state: str) -> dict[str, Any]:
    done = alone(sys.executable, str(SCENE), state)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_a_switch_that_learns_is_filled_and_fooled() -> None:
    """What is prevented: without it the next test could not fail."""
    found = told("open")
    assert found["remembered"] > FRAMES / 2
    assert "after the theft" in found["heard"]["c1"]
    assert "to nobody" in found["heard"]["c3"]


def test_a_node_neither_fills_the_table_nor_hears_what_is_for_others() -> None:
    found = told("bound")
    assert found["remembered"] == 3
    assert found["heard"] == {
        "c1": ["to everybody"],
        "c2": ["after the theft", "to c2", "to everybody"],
        "c3": ["to everybody"],
    }
