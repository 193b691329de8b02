"""The Docker backend's look at an engine, and its removals, on an engine that is played from records."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import docker
import pytest
import requests

from lab.backends.docker import (
    assembly,
    engine,
    inspection,
    pending_boot,
    pending_restore,
    removal,
    snapshots,
    strays,
)
from lab.backends.docker.assembly import labels
from lab.config.loader import load
from lab.errors import LabError, UsageError
from lab.model import ClusterSpec, PendingBoot

OLD = load(None, ("c.count=1",), {}, "mine")
NEW = load(None, ("c.count=2",), {}, "mine")


class Response(requests.Response):
    def __init__(self, status: int) -> None:
        super().__init__()
        self.status_code = status


def refusal(status: int) -> docker.errors.APIError:
    wanted = docker.errors.NotFound if status == 404 else docker.errors.APIError
    return wanted(f"status {status}", response=Response(status), explanation=f"status {status}")


class Engine:
    """Answers as the engine's API does, for the calls the backend makes; listings have its shape."""

    def __init__(self) -> None:
        self.container_list: list[dict[str, Any]] = []
        self.volume_list: list[dict[str, Any]] = []
        self.image_list: list[dict[str, Any]] = []
        self.removed: list[str] = []
        self.refuse: dict[str, list[int]] = {}  # object: statuses of the next removals
        self.late: list[Callable[[], object]] = []  # what lands between two rounds

    def containers(self, *, all: bool, filters: dict[str, list[str]]) -> list[dict[str, Any]]:  # noqa: A002
        assert all
        return self._matching(self.container_list, filters)

    def volumes(self, *, filters: dict[str, list[str]]) -> dict[str, Any]:
        return {"Volumes": self._matching(self.volume_list, filters) or None}  # null when there is none

    def images(self, name: str = "", *, filters: dict[str, list[str]]) -> list[dict[str, Any]]:
        found = self._matching(self.image_list, filters)
        tagged = [e for e in found if any(tag.startswith(f"{name}:") for tag in e["RepoTags"] or ())]
        return tagged if name else found

    def history(self, image: str) -> list[dict[str, Any]]:
        return [{"Size": 7 << 20}, {"Size": 800 << 20}]

    def create_volume(self, name: str, labels: dict[str, str]) -> dict[str, Any]:
        """As the engine does: an existing volume is the answer, and stays as it is."""
        there = [entry for entry in self.volume_list if entry["Name"] == name]
        self.volume_list += [] if there else [{"Name": name, "Labels": labels}]
        return dict([*there, self.volume_list[-1]][0])

    def remove_container(self, name: str, *, force: bool, v: bool) -> None:
        assert force
        assert v
        self._remove(self.container_list, "Id", name)
        if self.late:
            self.late.pop()()

    def remove_volume(self, name: str, *, force: bool) -> None:
        self._remove(self.volume_list, "Name", name)

    def remove_image(self, name: str, *, force: bool) -> None:
        tagged = next((e["Id"] for e in self.image_list if name in (e["RepoTags"] or ())), name)
        self._remove(self.image_list, "Id", tagged)

    def _remove(self, objects: list[dict[str, Any]], key: str, name: str) -> None:
        if self.refuse.get(name):
            raise refusal(self.refuse[name].pop(0))
        found = [entry for entry in objects if entry[key] == name]
        if not found:
            raise refusal(404)
        objects.remove(found[0])
        self.removed.append(name)

    @staticmethod
    def _matching(objects: list[dict[str, Any]], filters: dict[str, list[str]]) -> list[dict[str, Any]]:
        def fits(entry: dict[str, Any], wanted: str) -> bool:
            key, _, value = wanted.partition("=")
            labels = entry["Labels"] or {}
            return key in labels and (not value or labels[key] == value)

        named = filters.get("name", [""])
        return [
            entry
            for entry in objects
            if all(fits(entry, wanted) for wanted in filters.get("label", ()))
            and any(re.search(part, name) for part in named for name in _names(entry))
        ]

    def add_container(self, spec: ClusterSpec, part: str, created: str, state: str = "running") -> None:
        node = {} if part == "switch" else {engine.NODE: part}
        kind = "switch" if part == "switch" else "node"
        marks = labels(spec, kind) | node | {engine.CREATED: created}
        names = [f"/rackling-{spec.lab}-{part}"]
        self.container_list.append({"Id": f"id-{part}", "Names": names, "State": state, "Labels": marks})

    def add_snapshot(self, name: str, created: int, *, current: bool = True) -> None:
        marks = labels(OLD, "snapshot") | {engine.SNAPSHOT: name, engine.POWERED: json.dumps(["c1"])}
        tags = [f"rackling/snapshot-mine:{name}"] if current else None
        entry = {"Id": f"image-{name}-{created}", "Created": created, "Labels": marks, "RepoTags": tags}
        self.image_list.append(entry)

    def add_state(self, name: str, created: int, *, base: str) -> None:
        marks = labels(OLD, "state") | {engine.SNAPSHOT: name, engine.POWERED: json.dumps(["c1"])}
        marks |= {engine.LAB: "", engine.SPEC: "", engine.BASE: base}
        tags = [f"rackling/state:{name}"]
        entry = {"Id": f"image-{name}-{created}", "Created": created, "Labels": marks, "RepoTags": tags}
        self.image_list.append(entry)


def _names(entry: dict[str, Any]) -> list[str]:
    return [*(entry.get("Names") or ()), entry.get("Name", "")]


@pytest.fixture
def there() -> Engine:
    """An engine with a lab of three nodes."""
    made = Engine()
    made.add_container(OLD, "switch", "2026-11-21T10:00:02.000+00:00")
    made.add_container(OLD, "sms", "2026-11-21T10:00:03.000+00:00")
    made.add_container(OLD, "c1", "2026-11-21T10:00:04.000+00:00", state="exited")
    return made


def client(fake: Engine) -> Any:
    return fake


# looking


def test_containers_by_node_and_the_switch(there: Engine) -> None:
    assert set(inspection.containers(client(there), "mine")) == {"switch", "sms", "c1"}
    assert inspection.containers(client(there), "other") == {}


def test_a_lab_is_described_by_its_containers_alone(there: Engine) -> None:
    (record,) = inspection.labs(client(there))
    assert (record.lab, record.nodes, record.running) == ("mine", ("c1", "sms"), 1)
    assert record.spec == OLD
    assert record.created == "2026-11-21T10:00:02.000+00:00"
    assert record.owner


def test_the_newest_label_says_what_the_lab_is(there: Engine) -> None:
    there.add_container(NEW, "c2", "2026-11-21T11:00:00.000+00:00")
    assert inspection.spec(client(there), "mine") == NEW


def test_the_record_counts_more_than_any_container(there: Engine) -> None:
    assembly.record(client(there), NEW)
    assembly.record(client(there), OLD)
    there.add_container(NEW, "c2", "2099-01-01T00:00:00.000+00:00")
    assert inspection.spec(client(there), "mine") == OLD
    assert [record.spec for record in inspection.labs(client(there))] == [OLD]


def test_there_is_one_record_and_it_is_written_only_when_it_changes() -> None:
    fake = Engine()
    for spec in (OLD, NEW, OLD, OLD):
        assembly.record(client(fake), spec)
        assert len(fake.volume_list) == 1
        assert inspection.spec(client(fake), "mine") == spec
    assert len(fake.removed) == 2


def test_a_record_cut_short_between_two_leaves_the_newer() -> None:
    fake = Engine()
    assembly.record(client(fake), OLD)
    fake.volume_list[0]["Labels"][engine.CREATED] = "2026-01-01T00:00:00.000+00:00"
    former = dict(fake.volume_list[0])
    assembly.record(client(fake), NEW)
    fake.volume_list.insert(0, former)  # its removal never came
    assert inspection.spec(client(fake), "mine") == NEW
    assembly.record(client(fake), OLD)
    assert inspection.spec(client(fake), "mine") == OLD
    assert len(fake.volume_list) == 1


@pytest.mark.parametrize("label", ["", "no JSON", '{"schema": 99}', "[]"])
def test_a_label_that_cannot_be_read_is_passed_over(there: Engine, label: str) -> None:
    there.container_list[0]["Labels"][engine.SPEC] = label
    assert inspection.spec(client(there), "mine") == OLD
    for entry in there.container_list:
        entry["Labels"][engine.SPEC] = label
    (record,) = inspection.labs(client(there))
    assert record.spec is None
    assert record.nodes == ("c1", "sms")


def test_a_volume_or_a_snapshot_alone_is_still_a_lab() -> None:
    fake = Engine()
    assembly.make_volumes(client(fake), OLD)
    (record,) = inspection.labs(client(fake))
    assert (record.nodes, record.running, record.spec) == ((), 0, OLD)
    fake.volume_list.clear()
    fake.add_snapshot("a", 1)
    (record,) = inspection.labs(client(fake))
    assert (record.lab, record.nodes, record.running) == ("mine", (), 0)


def test_volumes_are_made_once() -> None:
    fake = Engine()
    assembly.make_volumes(client(fake), OLD)
    first = [entry["Name"] for entry in fake.volume_list]
    assembly.make_volumes(client(fake), NEW)
    assert [entry["Name"] for entry in fake.volume_list] == first
    assert len(set(first)) == len(first) == 5


def test_a_lab_that_was_interrupted_on_its_way_to_a_state_says_so(there: Engine) -> None:
    assert inspection.labs(client(there))[0].pending == ""
    pending_restore.begin(client(there), OLD, "first")
    pending_restore.begin(client(there), OLD, "second")
    assert [record.pending for record in inspection.labs(client(there))] == ["second"]
    pending_restore.end(client(there), "mine")
    assert inspection.labs(client(there))[0].pending == ""


def test_a_boot_that_nobody_has_seen_completed_is_in_the_labs_record(there: Engine) -> None:
    first = PendingBoot(("c1",), 1_800_000_000.5, ("c1", "c2"))
    second = PendingBoot(("sms", "c1"), 1_800_000_001.0, restored="after-one")
    assert inspection.labs(client(there))[0].boot is None
    for boot in (first, second, second):
        pending_boot.note(client(there), OLD, boot)
        assert [record.boot for record in inspection.labs(client(there))] == [boot]
    assert inspection.labs(client(there))[0].spec == OLD
    pending_boot.note(client(there), OLD, None)
    assert inspection.labs(client(there))[0].boot is None


def test_of_two_records_of_a_boot_the_newest_counts_and_a_damaged_one_says_nothing(there: Engine) -> None:
    pending_boot.note(client(there), OLD, PendingBoot(("c1",), 1.0))
    (old,) = (e for e in there.volume_list if e["Labels"][engine.PART] == "booting")
    pending_boot.note(client(there), OLD, PendingBoot(("c2",), 2.0))
    old["Labels"][engine.CREATED] = "2026"
    there.volume_list.append(old)  # killed before it was removed
    assert inspection.labs(client(there))[0].boot == PendingBoot(("c2",), 2.0)
    for entry in there.volume_list:
        entry["Labels"].pop(engine.BOOT, None)
    assert inspection.labs(client(there))[0].boot is None


# removing


def test_removal_takes_everything_of_that_lab_only(there: Engine) -> None:
    assembly.make_volumes(client(there), OLD)
    there.add_snapshot("a", 1)
    assembly.make_volumes(client(there), load(None, (), {}, "other"))
    removal.lab(client(there), "mine", lambda _line: None)
    assert [record.lab for record in inspection.labs(client(there))] == ["other"]


def test_removal_takes_volumes_that_the_engine_made_without_labels(there: Engine) -> None:
    for name in ("rackling-mine-home", "rackling-mine-2-home", "rackling-mine-notes"):
        there.volume_list.append({"Name": name, "Labels": None})
    removal.lab(client(there), "mine", lambda _line: None)
    left = {entry["Name"] for entry in there.volume_list}
    assert left == {"rackling-mine-2-home", "rackling-mine-notes"}


@pytest.mark.parametrize("marks", [None, {}, {"com.docker.compose.project": "mine"}, {engine.LAB: "other"}])
def test_nobody_inherits_files_that_another_lab_left(there: Engine, marks: dict[str, str] | None) -> None:
    left = {"Name": "rackling-mine-home", "Labels": marks}
    there.volume_list.append(left)
    with pytest.raises(LabError) as caught:
        strays.refuse(client(there), OLD)
    assert caught.value.evidence == "volume rackling-mine-home"
    assert ("lab down -l mine removes it" in caught.value.hint) == (not marks)
    assert "docker volume inspect rackling-mine-home" in caught.value.hint
    with pytest.raises(LabError, match="was there already"):  # it came between the look and the making
        assembly.make_volumes(client(there), OLD)
    assert left in there.volume_list
    assert not there.removed


def test_a_container_with_a_name_that_a_lab_needs_is_refused_and_another_is_not(there: Engine) -> None:
    there.container_list.append({"Id": "1", "Names": ["/rackling-mine-proof"], "State": "", "Labels": {}})
    strays.refuse(client(there), OLD)
    there.container_list.append({"Id": "2", "Names": ["/rackling-mine-login"], "State": "", "Labels": {}})
    with pytest.raises(LabError) as caught:
        strays.refuse(client(there), OLD)
    assert caught.value.evidence == "container rackling-mine-login"
    assert "docker rm -f rackling-mine-login removes it" in caught.value.hint
    removal.lab(client(there), "mine", lambda _line: None)
    assert [entry["Id"] for entry in there.container_list] == ["1", "2"]


def test_what_only_names_tie_to_a_lab_is_listed_with_it(there: Engine) -> None:
    for name in ("rackling-mine-home", "rackling-gone-identity", "rackling-gone-notes", "rackling_lock_1"):
        there.volume_list.append({"Name": name, "Labels": None})
    there.volume_list.append({"Name": "rackling-theirs-pub", "Labels": {"a": "b"}})
    found = {record.lab: record for record in inspection.labs(client(there))}
    assert set(found) == {"mine", "gone"}
    assert found["mine"].strays == ("volume rackling-mine-home",)
    assert (found["mine"].spec, found["gone"].spec) == (OLD, None)
    assert (found["gone"].strays, found["gone"].created) == (("volume rackling-gone-identity",), "")


def test_removal_looks_again_for_what_a_killed_up_still_made(there: Engine) -> None:
    there.late = [lambda: there.add_container(OLD, "c9", "2026-11-21T10:00:05.000+00:00")]
    removal.lab(client(there), "mine", lambda _line: None)
    assert "id-c9" in there.removed
    assert not there.container_list


def test_removal_tries_again_when_another_is_at_it(there: Engine) -> None:
    there.refuse = {"id-sms": [409, 409]}
    removal.lab(client(there), "mine", lambda _line: None)
    assert not there.container_list


def test_removal_that_never_succeeds_names_what_is_left(there: Engine) -> None:
    there.refuse = {"id-sms": [409] * 99}
    with pytest.raises(LabError) as caught:
        removal.lab(client(there), "mine", lambda _line: None)
    assert caught.value.evidence == "id-sms"
    assert "lab down -l mine" in caught.value.hint


def test_removal_refused_for_good_says_why(there: Engine) -> None:
    there.refuse = {"id-sms": [500]}
    with pytest.raises(LabError) as caught:
        removal.lab(client(there), "mine", lambda _line: None)
    assert "id-sms" in caught.value.message
    assert "status 500" in caught.value.evidence


# snapshots


def test_snapshots_oldest_first_and_a_replaced_one_is_none() -> None:
    fake = Engine()
    fake.add_snapshot("b", 20)
    fake.add_snapshot("a", 30)
    fake.add_snapshot("a", 10, current=False)
    assert snapshots.names(client(fake), "mine") == ("handout", "b", "a")
    assert snapshots.find(client(fake), "mine", "a") == ("image-a-30", frozenset({"c1"}))
    assert snapshots.find(client(fake), "mine", "handout") == (None, None)


def test_start_states_belong_to_no_lab_and_every_lab_finds_them(there: Engine) -> None:
    there.add_snapshot("mine", 1)
    there.add_state("after-one", 2, base="sms-1")
    there.add_state("after-two", 3, base="sms-2")
    assert [record.lab for record in inspection.labs(client(there))] == ["mine"]
    assert [(state.name, state.size) for state in snapshots.shared_states(client(there))] == [
        ("after-one", 7 << 20),
        ("after-two", 7 << 20),
    ]
    assert snapshots.names(client(there), "mine") == ("handout", "mine")
    assert snapshots.find(client(there), "other", "after-one") == ("image-after-one-2", frozenset({"c1"}))
    assert snapshots.outdated(client(there), ["sms-2"]) == ("after-one",)
    removal.lab(client(there), "mine", lambda _line: None)
    assert len(snapshots.shared_states(client(there))) == 2


@pytest.mark.parametrize(("volume", "kept"), [("borrowed", True), ("identity", False)])
def test_what_holds_a_labs_secrets_is_not_kept_for_others(there: Engine, volume: str, kept: bool) -> None:
    binds = ["rackling-mine-home:/disk/home", f"rackling-mine-{volume}:/disk/var/lib/rackling"]
    there.inspect_container = lambda _name: {"HostConfig": {"Binds": binds}}  # type: ignore[attr-defined]
    said: list[str] = []
    # What follows talks to nodes: the contract of backends tries it.
    with pytest.raises((LabError, AttributeError)) as caught:
        snapshots.save_shared(client(there), "mine", "after-one", "sms-1", said.append)
    assert ("keys and passwords" in str(caught.value)) != kept


def test_an_unknown_snapshot_is_answered_with_those_there_are() -> None:
    fake = Engine()
    fake.add_snapshot("mine", 1)
    with pytest.raises(UsageError) as caught:
        snapshots.find(client(fake), "mine", "his")
    assert caught.value.evidence == "snapshots: handout mine"


@pytest.mark.parametrize("name", ["handout", "", "A", "-x", ".new", "../x", "a/b", "a b", "x\n", "x" * 65])
def test_a_snapshot_cannot_have_just_any_name(name: str) -> None:
    with pytest.raises(UsageError):
        snapshots.take(client(Engine()), "mine", name, lambda _line: None)


@pytest.mark.parametrize("name", ["a", "before-reboot", "v1.2_x", "9", "x" * 64])
def test_a_good_name_gets_as_far_as_the_lab(name: str) -> None:
    with pytest.raises(LabError, match="no lab called mine"):
        snapshots.take(client(Engine()), "mine", name, lambda _line: None)


# what is handed over


def test_an_engines_refusal_becomes_an_error_for_people() -> None:
    with pytest.raises(LabError) as caught, engine.translate_errors("doing it", "try that"):
        raise refusal(500)
    assert (caught.value.message, caught.value.hint) == ("Docker refused: doing it", "try that")
    with pytest.raises(LabError, match="went away"), engine.translate_errors("doing it"):
        raise requests.exceptions.ConnectionError("cut")
