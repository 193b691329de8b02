"""Fixtures that more than one test file uses."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from lab.backends.fake import FakeBackend
from lab.config.loader import load
from lab.model import ClusterSpec

# A shell without job control lets its background jobs ignore some; tests send them to programs that we start.
for _number in (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, signal.default_int_handler if _number == signal.SIGINT else signal.SIG_DFL)


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
