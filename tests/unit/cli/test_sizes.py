"""The tutorial's sizes are offered once, where they differ and the host has the room."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.backends.fake import FakeBackend
from lab.cli import sizes
from lab.cli.sizes import available_memory, offer
from lab.config.loader import load
from tests.unit.cli.test_main import Desk, desk

__all__ = ["desk"]
ALL = ("sms", "login", "c1", "c2", "g1", "g2", "outside", "client")
OFFER = "lab up -l lab --set c.memory=5912 --set g.memory=5912"


@pytest.mark.parametrize(
    ("sets", "made", "available", "command"),
    [
        ((), ALL, 20_000, OFFER),
        ((), ALL, 11_000, ""),
        ((), ("sms", "login"), 20_000, ""),
        ((), ("c2",), 20_000, "lab up -l lab --set c.memory=5912"),
        (("c.memory=2048",), ALL, 20_000, "lab up -l lab --set g.memory=5912"),
        (("c.memory=5912", "g.memory=5912"), ALL, 20_000, ""),
        (("backend=libvirt",), ALL, 20_000, ""),
    ],
)
def test_what_is_offered_to_whom(
    sets: tuple[str, ...], made: tuple[str, ...], available: int, command: str
) -> None:
    assert offer(load(None, sets, {}, None), made, available).rpartition("\n  ")[2] == command


def test_free_memory_is_what_the_kernel_says(tmp_path: Path) -> None:
    text = tmp_path / "meminfo"
    text.write_text("MemTotal:       24576000 kB\nMemFree:  1 kB\nMemAvailable:   12582912 kB\n")
    assert available_memory(text) == 12288
    assert available_memory(tmp_path / "none") == 0
    text.write_text("MemAvailable: much\n")
    assert available_memory(text) == 0


def test_up_offers_it_once_with_a_line_to_copy_and_never_asks(
    desk: Desk, backend: FakeBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sizes, "available_memory", lambda: 20_000)
    first = desk("up", "--progress", "quiet")
    assert first.stderr.splitlines()[-1] == OFFER  # a line to copy
    assert OFFER not in desk("up", "--progress", "quiet").stderr
    assert OFFER not in desk("up", "--json", "--set", "c.count=3").stderr
    assert OFFER not in desk("up", "--progress", "json", "--set", "c.count=4").stderr
    backend.found.clear()
    assert OFFER in desk("up", "-y", "--progress", "quiet").stderr
