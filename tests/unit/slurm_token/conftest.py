"""One set of keys and one pair of APIs for all tests; a service for each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.slurm_token.keys import KeyFolder
from tests.unit.slurm_token.world import Running, apis, running


@pytest.fixture(scope="session")
def shared_keys(tmp_path_factory: pytest.TempPathFactory) -> KeyFolder:
    keys = KeyFolder(tmp_path_factory.mktemp("signing") / "keys")
    keys.make()
    return keys


@pytest.fixture(scope="session")
def api() -> Iterator[int]:
    with apis() as port:
        yield port


@pytest.fixture
def service(tmp_path: Path, shared_keys: KeyFolder, api: int) -> Iterator[Running]:
    tmp_path.chmod(0o755)
    with running(tmp_path, shared_keys, api) as one:
        yield one
