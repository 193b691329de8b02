"""Before something is typed into a node: it is up, or on its way and waited for, or not and told so."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lab.backends.fake import FakeBackend
from lab.cluster.wait_ready import await_entry
from lab.errors import LabError
from lab.model import ClusterSpec
from tests.unit.cluster.test_cluster import Room


@pytest.fixture
def up(spec: ClusterSpec, backend: FakeBackend) -> Iterator[Room]:
    found = Room(spec, backend)
    found.cluster.up()
    found.said.clear()
    yield found
    found.cluster.close()


def test_a_node_that_is_up_is_entered_at_once(up: Room) -> None:
    await_entry(up.cluster, "sms")
    await_entry(up.cluster, "c1")
    assert up.said == []


def test_a_node_on_its_way_is_waited_for(up: Room, backend: FakeBackend) -> None:
    lab = backend.found["lab"]
    lab.stage["c1"], lab.detail["c1"] = "vnfs", "fetching"
    looks: list[float] = []

    def boot(seconds: float) -> None:
        looks.append(seconds)
        lab.stage["c1"] = "init"

    await_entry(up.cluster, "c1", sleep=boot)
    assert up.said == ["waiting for c1 to come up (stage vnfs: fetching)"]
    assert len(looks) == 1


def test_a_node_that_never_comes_up_is_told_with_its_stage(up: Room, backend: FakeBackend) -> None:
    backend.answer("lab", "sms", "run/rackling/ready", "")
    with pytest.raises(LabError) as caught:
        await_entry(up.cluster, "sms", seconds=0.2)
    assert caught.value.evidence == "its set-up is still running"
    assert "lab console sms" in caught.value.hint
    backend.stop("lab", ["c1"], hard=True)
    with pytest.raises(LabError) as caught:
        await_entry(up.cluster, "c1")
    assert caught.value.hint == "lab power on c1"
