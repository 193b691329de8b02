"""A machine's frames reach the other machines of its network, and never this host: on a real bridge."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lab.backends.libvirt import assembly, wire_guard

SCENE = Path(__file__).with_name("bridge_scene.py")
MAKE = "ip link add x type bridge && ip tuntap add y mode tap && tc qdisc add dev x clsact"


def alone(*words: str) -> subprocess.CompletedProcess[str]:
    """Runs a program in a network namespace of its own, whoever runs this."""
    way = ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--map-root-user", "--net"]
    return subprocess.run([*way, *words], capture_output=True, text=True, check=False, timeout=60)


@pytest.fixture(autouse=True)
def _usable() -> None:
    tried = alone("sh", "-c", MAKE)
    if tried.returncode != 0:
        assert not os.environ.get("LAB_TEST_NO_SKIP"), tried.stderr
        pytest.skip(f"no bridge can be made here: {tried.stderr}")


def told(state: str, folder: Path) -> dict[str, Any]:
    done = alone(sys.executable, str(SCENE), state, str(folder))
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_an_open_bridge_lets_machines_reach_this_host(tmp_path: Path) -> None:
    """What is closed: without it the next test could not fail."""
    assert told("open", tmp_path) == {
        "host": ["as to a switch", "in a neighbour's name", "to everybody", "to its address"],
        "host answers": True,
        "machine": True,
        "all machines": True,
        "forged": True,
        "addresses remembered": 3000,
    }


def test_a_closed_one_leads_from_machine_to_machine_only(tmp_path: Path) -> None:
    assert told("closed", tmp_path) == {
        "host": [],
        "host answers": False,
        "machine": True,
        "all machines": True,
        "forged": False,
        "addresses remembered": 0,
    }


def test_the_filter_of_a_card_names_its_address() -> None:
    assert wire_guard.of_machine("52:54:00:00:00:01") == (
        "11,32 0 0 6,21 0 8 1381236736,40 0 0 10,21 0 6 1,"
        "32 0 0 0,21 0 3 25215488,40 0 0 4,84 0 0 65520,21 1 0 0,6 0 0 0,6 0 0 2,"
    )


class Domain:
    """A machine without power, and what is done with it."""

    def __init__(self) -> None:
        self.done: list[str] = []

    def name(self) -> str:
        return "rackling-try-c1"

    def isActive(self) -> bool:  # noqa: N802 (libvirt's)
        return False

    def createWithFlags(self, flags: int) -> None:  # noqa: N802
        self.done.append(f"power {flags}")

    def resume(self) -> None:
        self.done.append("go on")


def test_a_machine_sends_nothing_before_its_cards_are_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    libvirt = pytest.importorskip("libvirt")
    monkeypatch.setattr(wire_guard, "close_cards", lambda domain: domain.done.append("close"))
    domain = Domain()
    assembly.power_on(domain, tmp_path / "c1.console")
    assert domain.done == [f"power {libvirt.VIR_DOMAIN_START_PAUSED}", "close", "go on"]
