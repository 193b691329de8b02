"""Locks as volumes of an engine: what commands of several accounts, hosts and moments see of each other."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from lab.backends.docker import engine_lock
from lab.backends.docker.engine import HOLDER, LAB, LOCKED
from lab.backends.docker.engine_lock import VOID, EngineLocks
from lab.errors import Exit, LabError
from lab.lock_holder import Holder, Life, this_place, this_process

FULL = LabError(
    "Docker refused: POST /volumes/create",
    evidence="mkdir /var/lib/docker/volumes/x: no space left on device",
)


class Volumes:
    """The volumes of an engine: names are unique, listings are whole, and its clock is its own."""

    def __init__(self) -> None:
        self.kept: dict[str, dict[str, Any]] = {}
        self.now = 5000.0
        self.full = False
        self.before_list: Callable[[], object] | None = None
        self._lock = threading.Lock()

    def create_volume(self, name: str, *, labels: dict[str, str]) -> dict[str, Any]:
        if self.full:
            raise FULL
        made = datetime.fromtimestamp(self.now, UTC).isoformat(timespec="seconds")
        with self._lock:
            return self.kept.setdefault(name, {"Name": name, "Labels": dict(labels), "CreatedAt": made})

    def volumes(self, *, filters: dict[str, list[str]]) -> dict[str, Any]:
        if self.before_list is not None:
            act, self.before_list = self.before_list, None
            act()
        (label,) = filters["label"]
        with self._lock:
            return {"Volumes": [one for one in self.kept.values() if label in one["Labels"]] or None}

    def remove_volume(self, name: str, *, force: bool) -> None:
        assert force
        with self._lock:
            self.kept.pop(name, None)

    def leave_ticket(self, holder: Holder | None, lab: str = "lab") -> str:
        """A ticket of another command, older than any that is made now."""
        name = f"rackling_lock_{len(self.kept):020d}ffff"
        self.create_volume(name, labels={LOCKED: lab, HOLDER: holder.to_json() if holder else "{}"})
        return name


@pytest.fixture
def volumes() -> Volumes:
    return Volumes()


def locks(volumes: Volumes, **more: Any) -> EngineLocks:
    found: Any = volumes
    return EngineLocks(lambda: found, **more)


def refusal(there: EngineLocks, lab: str = "lab") -> LabError:
    with pytest.raises(LabError) as caught, there.hold(lab, "lab down", print):
        pass
    assert caught.value.code is Exit.LOCKED
    return caught.value


ELSEWHERE = replace(
    this_process("lab up", 1000.0),
    place=replace(this_place(), host="teach2", boot="b"),
    account="alice",
    pid=7,
)


def test_the_second_is_told_who_changes_the_lab_and_nothing_stays_behind(volumes: Volumes) -> None:
    with locks(volumes).hold("lab", "lab up", print):
        (ticket,) = volumes.kept.values()
        assert ticket["Labels"][LOCKED] == "lab"
        assert LAB not in ticket["Labels"]  # it is no part of the lab: `lab down` holds it
        assert json.loads(ticket["Labels"][HOLDER])["command"] == "lab up"
        told = refusal(locks(volumes))
        assert told.message == "another command is changing lab lab"
        assert told.evidence.startswith("lab up (process ")
        assert list(volumes.kept.values()) == [ticket]
        with locks(volumes).hold("other", "lab up -l other", print):
            assert len(volumes.kept) == 2
    assert not volumes.kept


def test_of_many_at_once_exactly_one_goes_on_at_a_time(volumes: Volumes) -> None:
    inside: list[int] = []
    most: list[int] = []
    refused: list[int] = []

    def one(number: int) -> None:
        try:
            with locks(volumes, see=lambda _holder: Life.RUNS).hold("lab", f"lab {number}", print):
                inside.append(number)
                most.append(len(inside))
                threading.Event().wait(0.02)
                inside.remove(number)
        except LabError:
            refused.append(number)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(one, range(40)))
    assert set(most) == {1}
    assert len(most) + len(refused) == 40
    assert not volumes.kept


def test_of_two_that_both_made_a_ticket_before_either_looked_the_earlier_goes_on(volumes: Volumes) -> None:
    refused: list[LabError] = []
    later = threading.Thread(target=lambda: refused.append(refusal(locks(volumes))))
    made = threading.Event()

    def come_later() -> None:  # the first has made its ticket, and has not listed any
        create = volumes.create_volume

        def creating(name: str, *, labels: dict[str, str]) -> dict[str, Any]:
            answer = create(name, labels=labels)
            made.set()
            return answer

        volumes.create_volume = creating  # type: ignore[method-assign]
        later.start()
        made.wait(10)

    volumes.before_list = come_later
    with locks(volumes).hold("lab", "lab up", print):
        later.join()
    assert len(refused) == 1
    assert "lab up" in refused[0].evidence


def test_what_a_killed_command_left_is_removed_whichever_lab_it_had(volumes: Volumes) -> None:
    gone = replace(this_process("lab up", 1.0), started=1)  # our number, and a process that began earlier
    volumes.leave_ticket(gone)
    volumes.leave_ticket(gone, "other")
    with locks(volumes).hold("lab", "lab up", print):
        assert len(volumes.kept) == 1


@pytest.mark.parametrize("holder", [ELSEWHERE, None])
def test_a_holder_on_another_host_counts_until_it_has_been_silent_for_long(
    volumes: Volumes, holder: Holder | None
) -> None:
    volumes.leave_ticket(holder)
    volumes.now += VOID - 10
    told = refusal(locks(volumes, clock=lambda: 1042.0))
    who = "lab up (process 7 of alice on teach2) has held the lock for 42 s" if holder else "it has just"
    assert told.evidence.startswith(who)
    assert told.evidence.endswith("the lock ends 300 s after its last sign of life, 290 s ago")
    volumes.now += 20
    with locks(volumes).hold("lab", "lab up", print):
        assert len(volumes.kept) == 1


def test_a_holder_gives_signs_of_life(volumes: Volumes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_lock, "RENEWED", 0.01)
    with locks(volumes).hold("lab", "lab up", print):
        volumes.now += 10 * VOID
        for _ in range(500):
            threading.Event().wait(0.01)
            with volumes._lock:
                ages = [
                    volumes.now - datetime.fromisoformat(v["CreatedAt"]).timestamp()
                    for v in volumes.kept.values()
                ]
            if max(ages) == 0:
                break
        else:
            pytest.fail("the ticket was never made anew")
        assert "lab up" in refusal(locks(volumes, see=lambda _holder: Life.UNSEEN)).evidence
    assert not volumes.kept


def test_a_command_that_waits_says_so_once_and_goes_on_when_the_holder_ends(volumes: Volumes) -> None:
    name = volumes.leave_ticket(ELSEWHERE)
    said: list[str] = []
    waits: list[float] = []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 3:
            volumes.remove_volume(name, force=True)

    with locks(volumes, sleep=sleep).hold("+images", "lab images build", said.append, wait=True):
        assert said == []  # another lab's lock
    with locks(volumes, sleep=sleep).hold("lab", "lab images build", said.append, wait=True):
        assert len(said) == 1
    assert said[0].startswith(
        "waiting: another command is changing lab lab: lab up (process 7 of alice on teach2)"
    )


def test_on_a_full_disk_a_command_goes_on_and_says_that_it_is_not_locked(volumes: Volumes) -> None:
    said: list[str] = []
    volumes.full = True
    with locks(volumes).hold("lab", "lab down", said.append):
        assert said == ["the engine's disk is full, so nothing keeps other commands from changing lab lab"]
    volumes.full = False
    volumes.leave_ticket(ELSEWHERE)
    volumes.full = True
    assert "alice" in refusal(locks(volumes)).evidence


def test_an_engine_that_refuses_says_why(volumes: Volumes, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise LabError("Docker refused: POST /volumes/create", evidence="no permission")

    monkeypatch.setattr(volumes, "create_volume", refuse)
    with pytest.raises(LabError, match="Docker refused"), locks(volumes).hold("lab", "lab up", print):
        pass


def test_an_error_while_looking_leaves_no_ticket(volumes: Volumes) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    volumes.before_list = interrupt
    with pytest.raises(KeyboardInterrupt), locks(volumes).hold("lab", "lab up", print):
        pass
    assert not volumes.kept
