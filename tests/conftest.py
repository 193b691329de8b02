"""Fixtures that more than one test file uses."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.backends.fake import FakeBackend
from lab.config.loader import load
from lab.model import ClusterSpec


@pytest.fixture
def spec() -> ClusterSpec:
    """The lab as it is without any configuration."""
    return load(None, (), {}, None)


@pytest.fixture
def backend(tmp_path: Path) -> FakeBackend:
    """A backend without an engine."""
    return FakeBackend(tmp_path / "nodes")
