"""The bed of the runner's tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.guest.runner.bed import Bed


@pytest.fixture
def bed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bed:
    """A runner with one empty repository."""
    return Bed(tmp_path, monkeypatch)
