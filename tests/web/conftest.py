"""Fixtures for the page in a real browser."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from selenium.webdriver import Chrome

from lab.web import browser_parts
from lab.web.browser_parts import Parts
from lab.web.server import Page
from tests.unit.web.conftest import nodes, page, running, spec
from tests.web.browser import CACHE, Reader, chromium

__all__ = ["nodes", "page", "running", "spec"]


@pytest.fixture(scope="session")
def parts() -> Parts:
    """xterm.js itself, fetched once."""
    return browser_parts.fetch(CACHE)


@pytest.fixture(scope="session")
def driver() -> Iterator[Chrome]:
    with chromium() as found:
        yield found


@pytest.fixture
def reader(driver: Chrome, page: Page) -> Iterator[Reader]:
    """A person who has opened the address of the page, and leaves it before its server ends."""
    found = Reader(driver)
    found.log()  # of the page before
    driver.get(page.address())
    yield found
    driver.get("about:blank")
