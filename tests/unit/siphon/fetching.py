"""Fetches from controllers on loopback, and what must be true of every error."""

from __future__ import annotations

from typing import Any

import pytest

from lab.siphon.auth import credentials
from lab.siphon.errors import SiphonError
from lab.siphon.fetch import client
from lab.siphon.fetch.client import Environment, Fetched, FetchOptions
from lab.siphon.fetch.servers import Server
from tests.unit.siphon.controller import Controller
from tests.unit.siphon.tokens import token

JWT = credentials.Jwt(token())


def fetch(*found: Controller | Server, environment: Environment | None = None, **wish: Any) -> Fetched:
    asked = tuple(one.server if isinstance(one, Controller) else one for one in found)
    hope: dict[str, Any] = {"timeout": 5.0, **wish}
    return client.fetch(asked, JWT, FetchOptions(**hope), environment)


def refused(*found: Controller | Server, **wish: Any) -> SiphonError:
    with pytest.raises(SiphonError) as caught:
        fetch(*found, **wish)
    error = caught.value
    assert error.message
    assert error.evidence
    assert error.hint
    assert "c2lnbmF0dXJl" not in f"{error}{error.message}{error.evidence}{error.hint}"
    return error
