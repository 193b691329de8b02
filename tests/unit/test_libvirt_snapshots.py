"""Before a lab is saved, its doors are served again."""

from __future__ import annotations

from lab.backends.libvirt.inspection import Found
from lab.backends.libvirt.snapshots import until_served
from lab.wait import monotonic


class Machine:
    """A domain whose door's state is the next one of these at each look, in the end the last."""

    def __init__(self, *states: str) -> None:
        self.states = list(states)

    def XMLDesc(self) -> str:  # noqa: N802 (libvirt's name)
        state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        return f"<target type='virtio' name='rackling.door' state='{state}'/>"


def found(*states: str) -> Found:
    return Found(Machine(*states), {}, active=True)


def test_each_servers_end_and_its_successor_are_waited_for() -> None:
    early = found("disconnected", "connected")
    late = found("connected", "connected", "disconnected", "disconnected", "connected")
    until_served([early, late])
    assert late.thing.states == ["connected"]


def test_one_that_does_not_come_back_is_not_waited_for_long() -> None:
    began = monotonic()
    until_served([found("disconnected")], patience=0.3)
    assert monotonic() - began < 5


def test_nobody_is_waited_for_where_no_door_was_open() -> None:
    began = monotonic()
    until_served([])
    assert monotonic() - began < 1
