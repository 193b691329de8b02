"""The backend without an engine keeps the contract that real ones keep."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.backends.fake import FakeBackend
from lab.config.loader import load
from lab.model import ClusterSpec
from tests.backends.contract import Bed, Contract, small, temporary


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
        backend = FakeBackend(tmp_path / "nodes")
        bed = Bed(
            backend,
            small(load, "fake", compute=1),
            seconds=5,
            identify=lambda node: str(backend.found["fake"].made[node][0]),
        )
        bed.up()
        return bed
