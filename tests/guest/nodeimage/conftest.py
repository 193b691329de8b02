"""The bed of nodeimage's tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.guest.nodeimage.bed import Bed, make_template
from tests.guest.nodeimage.head import Head


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A role, a tree and keys, made once."""
    return make_template(tmp_path_factory.mktemp("template"))


@pytest.fixture
def bed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, template: Path) -> Bed:
    """A role, a tree and keys."""
    return Bed(tmp_path, monkeypatch, template)


@pytest.fixture
def head(bed: Bed, monkeypatch: pytest.MonkeyPatch) -> Head:
    """A head node with Warewulf."""
    return Head(bed, monkeypatch)
