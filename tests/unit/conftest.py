"""Unit tests see none of the learner's settings."""

from __future__ import annotations

import os

import pytest


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name == "NO_COLOR" or (name.startswith("LAB_") and name != "LAB_DEBUG"):
            monkeypatch.delenv(name)
