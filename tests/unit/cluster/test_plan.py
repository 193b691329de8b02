"""The plan is what is executed: on the backend without an engine, for random pairs of specifications."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.backends.actions import Action, Verb, differences, nodes_of
from lab.backends.fake import FakeBackend
from lab.cluster.cluster import Cluster
from lab.cluster.plan import losing, plan_up, select, work
from lab.config.loader import load
from lab.errors import UsageError
from lab.model import ClusterSpec, LabRecord, NodeStatus, Power, Root

FEW = settings(max_examples=40, deadline=None)
SPEC = load(None, (), {}, None)


def spec_of(*sets: str) -> ClusterSpec:
    return load(None, sets, {}, None)


def silent(_line: str) -> None:
    """Progress that nobody reads."""


@st.composite
def specs(draw: st.DrawFn) -> ClusterSpec:
    """Labs of all shapes, with the networks that none may change."""
    sizes = {"c.count": 3, "g.count": 2, "login.count": 1, "outside.count": 1, "client.count": 1}
    sets = [f"{key}={draw(st.integers(0, most))}" for key, most in sizes.items()]
    groups = ("sms", "login", "c", "g", "client", "outside")
    sets += [f"{group}.memory={draw(st.sampled_from((1024, 1536)))}" for group in groups]
    sets.append(f"c.cpus={draw(st.integers(1, 2))}")
    sets.append(f"c.registered={draw(st.sampled_from(('true', 'false')))}")
    return replace(spec_of(*sets), root=draw(st.sampled_from(list(Root))))


def shown(backend: FakeBackend) -> dict[str, object]:
    """What each node of the lab shows: identity, description, names it knows, power."""
    lab = backend.found["lab"]
    sms = lab.spec.sms.name
    return {
        name: (lab.made[name], lab.names[name], lab.power[name], lab.described if name == sms else None)
        for name in lab.made
    }


@given(specs(), specs(), st.data())
@FEW
def test_whatever_apply_changes_is_in_the_plan(
    old: ClusterSpec, new: ClusterSpec, data: st.DataObject
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        backend = FakeBackend(Path(folder))
        backend.apply(old, Cluster(old, backend).plan(), silent)
        some = st.lists(st.sampled_from([node.name for node in old.nodes]), unique=True)
        backend.stop("lab", data.draw(some), hard=True)
        backend.delete("lab", silent, data.draw(some))
        interrupted = data.draw(st.booleans())
        if interrupted:  # an `up` was interrupted as soon as it had recorded what it was to do
            backend.found["lab"].spec = data.draw(specs())
        before = shown(backend)
        cluster = Cluster(new, backend)
        plan = cluster.plan()
        assert shown(backend) == before, "a plan changes nothing"
        seen: list[tuple[Action, ...]] = []
        cluster.up(wait=False, confirm=lambda actions: seen.append(tuple(actions)))
        assert seen == [plan]
        after = shown(backend)
        changed = {name for name in {**before, **after} if before.get(name) != after.get(name)}
        planned = set(nodes_of(work(plan), *Verb))
        assert changed <= planned
        assert planned - changed <= ({"sms"} if interrupted else set()), "it may be told what it knows"
        made = backend.found["lab"].made
        assert set(made) == {node.name for node in new.nodes}
        assert not [node for node in new.nodes if differences(made[node.name][1], node)]
        assert backend.found["lab"].described == new
        assert set(backend.found["lab"].power.values()) == {Power.ON}
        record = cluster.record()
        assert record is not None
        assert record.spec == new
        assert work(cluster.plan()) == ()


@given(specs(), specs())
@FEW
def test_a_remade_node_says_which_of_its_own_properties_has_changed(
    old: ClusterSpec, new: ClusterSpec
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        backend = FakeBackend(Path(folder))
        backend.apply(old, Cluster(old, backend).plan(), silent)
        for action in Cluster(new, backend).plan():
            if action.verb is Verb.REMAKE:
                assert action.reason
                for name in action.nodes:
                    own = differences(old.node(name), new.node(name))
                    assert own in action.reason
                    assert own or old.root is not new.root


def test_another_node_remakes_nobody(backend: FakeBackend) -> None:
    Cluster(SPEC, backend).up(wait=False)
    plan = work(Cluster(spec_of("c.count=3"), backend).plan())
    assert [action.text for action in plan] == [
        "create c3",
        "change sms: description of the cluster",
        "change client: names of the other nodes",
    ]
    assert not losing(plan)


def test_reasons_name_the_values_and_group_what_is_alike(backend: FakeBackend) -> None:
    Cluster(SPEC, backend).up(wait=False)
    memory = SPEC.node("client").memory
    plan = Cluster(spec_of(f"client.memory={2 * memory}", "c.cpus=1", "g.cpus=1"), backend).plan()
    assert [action.text for action in losing(plan)] == [
        "remake c1, c2, g1, g2: cpus 2 → 1",
        f"remake client: memory {memory} → {2 * memory}",
    ]


def test_a_lab_in_the_middle_of_a_restore_completes_it_first_and_changes_nothing_else() -> None:
    record = LabRecord("lab", "docker", "", "", ("sms", "c1"), 0, SPEC, pending="before")
    plan = plan_up(SPEC, record, [NodeStatus("sms", Power.OFF)], select(SPEC, ["c1"]))
    assert [action.text for action in plan] == [
        "complete the interrupted restore: before",
        "power on sms, c1: where the restored state has it off",
        "wait for sms, c1",
    ]
    with pytest.raises(UsageError, match="a restore of before was interrupted") as caught:
        plan_up(spec_of("c.count=3"), record, (), ["sms"])
    assert "lab restore -l lab before" in caught.value.hint


def test_cards_are_named_when_they_change() -> None:
    node = SPEC.node("login")
    moved = replace(
        node, interfaces=(replace(node.interfaces[0], mac="52:54:00:00:00:01"), node.interfaces[1])
    )
    assert differences(node, moved) == "network card eth0"
    assert differences(node, replace(node, interfaces=())) == "network cards eth0, eth1"
    assert differences(node, replace(node, registered=not node.registered)) == ""
