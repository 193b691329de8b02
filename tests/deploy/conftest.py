"""Of tornado what the hooks raise: a Hub has tornado, and this project has not."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest

from tests.deploy.hub_error import HTTPError


@pytest.fixture
def tornado(monkeypatch: pytest.MonkeyPatch) -> None:
    web = ModuleType("tornado.web")
    web.HTTPError = HTTPError  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "tornado", ModuleType("tornado"))
    monkeypatch.setitem(sys.modules, "tornado.web", web)
