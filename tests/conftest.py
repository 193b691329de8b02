"""Fixtures that more than one test file uses."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.backends.fake import FakeBackend
from lab.config.loader import load
from lab.model import ClusterSpec


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--quick", action="store_true", help="run only what is marked quick: what ci has time for"
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leaves out what is not quick, where that is asked for."""
    if config.getoption("--quick"):
        slow = [item for item in items if item.get_closest_marker("quick") is None]
        config.hook.pytest_deselected(items=slow)
        items[:] = [item for item in items if item not in slow]


@pytest.fixture
def spec() -> ClusterSpec:
    """The lab as it is without any configuration."""
    return load(None, (), {}, None)


@pytest.fixture
def backend(tmp_path: Path) -> FakeBackend:
    """A backend without an engine."""
    return FakeBackend(tmp_path / "nodes")
