"""The backend without an engine keeps the contract that real ones keep."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.backends.fake import FakeBackend
from lab.config.loader import load
from lab.model import ClusterSpec
from tests.backends.contract import Bed, Contract, silent, small, temporary


class TestFakeBackend(Contract):
    @pytest.fixture
    def larger(self) -> ClusterSpec:
        return small(load, "fake", compute=2)

    @pytest.fixture
    def folder(self, up: Bed) -> str:
        assert isinstance(up.backend, FakeBackend)
        return temporary(up.backend.folder(up.name, "c1"))

    @pytest.fixture
    def up(self, tmp_path: Path) -> Bed:
        bed = Bed(FakeBackend(tmp_path / "nodes"), small(load, "fake", compute=1), seconds=5)
        bed.backend.create(bed.spec, silent)
        return bed
