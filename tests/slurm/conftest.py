"""Real controllers of four releases and clients that bring siphon to them."""

from __future__ import annotations

import fcntl
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.slurm import engine
from tests.slurm.engine import NETWORK, RELEASES, SUBNET, Container
from tests.slurm.selection import releases_of_day

LOCK = Path(tempfile.gettempdir()) / "rackling-slurm-proof.lock"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Marks what needs the engine; the quick selection meets two releases."""
    ours = [item for item in items if "tests/slurm" in item.path.as_posix()]
    for item in ours:
        item.add_marker(pytest.mark.engine)
    if config.getoption("--quick"):
        today = releases_of_day(datetime.now(UTC).date(), tuple(RELEASES))
        others = [item for item in ours if release_of(item) not in (None, *today)]
        config.hook.pytest_deselected(items=others)
        items[:] = [item for item in items if item not in others]


def release_of(item: pytest.Item) -> str | None:
    """The release that a test was made for."""
    made_for = getattr(item, "callspec", None)
    release = made_for.params.get("release") if made_for else None
    return None if release is None else str(release)


@pytest.fixture(scope="session")
def network() -> Iterator[str]:
    """A network that leads nowhere else; whatever is in it is gone afterwards."""
    with LOCK.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pytest.fail(f"other tests of Slurm run here and use the same names: wait for their end ({LOCK})")
        engine.sweep()
        engine.docker("network", "create", "--internal", "--subnet", SUBNET, "--label", engine.LABEL, NETWORK)
        yield NETWORK
        engine.sweep()
        left = engine.docker("ps", "-aq", "--filter", f"label={engine.LABEL}").stdout
        assert not left, f"containers of the proof are left: {left.decode()}"


@pytest.fixture(scope="session", params=RELEASES)
def release(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="session")
def node(network: str, release: str) -> Iterator[Container]:
    """A whole Slurm as `docker run` alone starts it, with nothing mounted."""
    made = engine.start(
        "node",
        release,
        "slurm-single-node",
        "--network",
        network,
        "--hostname",
        f"node-{release}",
        "--network-alias",
        f"node-{release}",
    )
    try:
        engine.wait_ready(made)
        yield made
    finally:
        engine.remove(made)


def beside(controller: Container, *words: str) -> Container:
    """A client in a controller's own network, so that `localhost` is the controller."""
    return engine.start(
        f"beside-{controller.name.removeprefix('slurm-')}",
        controller.release,
        "slurm-client",
        "--network",
        f"container:{controller.name}",
        "--entrypoint",
        "sleep",
        *words,
        command=["infinity"],
    )
