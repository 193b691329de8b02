"""A browser for each test, and where its pictures go."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.portal.browser.driver import Browser

IMAGES = Path(__file__).resolve().parents[3] / "docs" / "images"


@pytest.fixture
def browser(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Browser]:
    """A window of its own, without anything that another one has kept."""
    keep = request.config.getoption("--write")
    one = Browser(tmp_path / "profile", IMAGES if keep else tmp_path)
    try:
        yield one
    finally:
        one.close()


@pytest.fixture
def nobody() -> Callable[[str], None]:
    """Takes no picture."""
    return lambda _name: None
