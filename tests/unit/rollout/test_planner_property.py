"""Random histories of a cluster in which nodes, Slurm, people and the program itself misbehave.

`LAB_ROLLOUT_HISTORIES=10000 pytest tests/unit/rollout/test_planner_property.py` takes as many as one likes.
"""

from __future__ import annotations

import os
import random

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from lab.rollout.planning.memory import Mode, Outcome, Phase
from lab.rollout.planning.policy import Amount, Floor, Policy, Window
from tests.unit.rollout.histories import History
from tests.unit.rollout.simulated import NEW, OLD, SimNode, World

HISTORIES = int(os.environ.get("LAB_ROLLOUT_HISTORIES", "200"))
CALM = 150
"""Steps after which nobody interferes any more, so that the rollout has to end."""


def some_node(number: int, chance: random.Random) -> SimNode:
    """A node that may be busy, drained, slow, silent, dead after the reboot, or on another image."""
    return SimNode(
        f"n{number}",
        partitions=chance.choice([("all",), ("all", "gpu")]),
        switches=(f"s{number % 2}",),
        job=chance.choice([0, 0, chance.randint(1, 30)]),
        image=chance.choice([OLD, OLD, OLD, NEW]),
        boots=chance.choice([NEW] * 6 + [OLD]),
        returns=chance.random() < 0.9,
        ticks_to_boot=chance.randint(0, 6),
        silent=chance.choice([0, 0, 0, chance.randint(1, 10)]),
        unhealthy=chance.choice([0, 0, 1, 3, 1000]),
    )


def some_policy(chance: random.Random, *, prove_first: bool) -> Policy:
    floors = (
        Floor("partition", "*", Amount(chance.choice([0, 1, 2]))),
        Floor("partition", "gpu", Amount(chance.choice([1, 50]), percent=chance.random() < 0.5)),
        Floor("switch", chance.choice(["s0", "s1", "*"]), Amount(50, percent=True)),
    )
    return Policy(
        (NEW,),
        max_unavailable=Amount(chance.choice([1, 2, 3])),
        floors=tuple(chance.sample(floors, chance.randint(0, 3))),
        canary=chance.choice([0, 1, 2]),
        wave_size=chance.choice([None, Amount(1), Amount(2), Amount(40, percent=True)]),
        order=chance.choice(["idle", "name", "given"]),
        deadline=chance.choice([10, 60, 200]),
        max_failures=chance.choice([1, 1, 2, 5]),
        patience=300,
        window=chance.choice([None, None, Window(0, 700)]),
        kill_jobs_after=chance.choice([None, None, None, 20]),
        prove_first=prove_first,
        reboot_current=chance.random() < 0.2,
        before_wave=chance.random() < 0.2,
    )


class Interference:
    """What happens between two steps; says where the program dies, if it does."""

    def __init__(self, history: History, chance: random.Random) -> None:
        self.history = history
        self.world = history.world
        self.chance = chance

    def __call__(self, number: int) -> str | None:
        chance, world = self.chance, self.world
        if number >= CALM:
            self.controller(away=False)
            self.calm(first=number == CALM)
            return None
        self.history.minute = chance.randrange(1440)
        self.controller(away=chance.random() < 0.1)
        killed = chance.choice(["save", "act", "half", "probes"]) if chance.random() < 0.1 else None
        if chance.random() < 0.3 and not world.away:
            self.somebody_works()
        self.operate(number)
        for _ in range(chance.randint(0, 30) if killed else 0):  # it is dead; the cluster goes on
            world.tick()
            if not world.away and chance.random() < 0.2:
                self.somebody_works()
        return killed

    def at_the_last_moment(self) -> None:
        """Somebody acts after rollout has looked, and before it acts."""
        if self.chance.random() < 0.1 and not self.world.away:
            self.somebody_works()

    def controller(self, *, away: bool) -> None:
        if self.world.away and not away:
            self.world.restarted()
        self.world.away = away

    def calm(self, *, first: bool) -> None:
        self.history.minute = 0
        if self.history.memory.mode is Mode.PAUSE:
            self.history.say(Mode.RUN)
        for name in sorted(self.world.human) if first else ():
            if self.chance.random() < 0.5:
                self.world.lift(name)

    def operate(self, number: int) -> None:
        if self.chance.random() < 0.05:
            self.history.say(self.chance.choice([Mode.PAUSE, Mode.RUN, Mode.RUN]))
        if number > 20 and self.chance.random() < 0.005:
            self.history.say(Mode.ABORT)

    def somebody_works(self) -> None:
        world, chance = self.world, self.chance
        name = chance.choice(sorted(world.nodes))
        node = world.nodes[name]
        event = chance.choice(["drain", "lift", "job", "cancel", "silent", "none", "none"])
        if event == "drain":
            world.drain(name)
        elif event == "lift":
            world.lift(name)
        elif event == "job" and node.shown().available and not node.job:
            node.job = chance.randint(1, 8)
        elif event == "cancel" and name not in world.human:
            world.cancel(name)
        elif event == "silent":
            node.silent = chance.randint(1, 8)


@given(seed=st.integers(0, 2**48))
@example(200116)  # drained while Slurm, started anew, did not know the node yet
@example(102124)  # ended while a withdrawn node was still to be drained again
@example(60415)  # a failed node was returned by somebody, and drained again
@example(1467458)  # passed at its deadline: it failed, and was resumed all the same
@settings(
    max_examples=HISTORIES,
    deadline=None,
    derandomize="LAB_ROLLOUT_HISTORIES" not in os.environ,
    suppress_health_check=[HealthCheck.too_slow],
)
@pytest.mark.timeout(0 if HISTORIES > 1000 else 60)
def test_floors_hold_no_drain_of_others_is_touched_and_it_ends(seed: int) -> None:
    chance = random.Random(seed)
    prove_first = chance.random() < 0.5
    nodes = [some_node(number, chance) for number in range(chance.randint(1, 7))]
    world = World(nodes, prove_first=prove_first, timeout=chance.choice([3, 20]))
    for name in world.nodes:
        if chance.random() < 0.1:
            world.drain(name)
    history = History(world, some_policy(chance, prove_first=prove_first))
    # Floors, concurrency, jobs, and drains of others are checked at each action.
    meanwhile = Interference(history, chance)
    history.between = meanwhile.at_the_last_moment
    memory = history.run(limit=1500, meanwhile=meanwhile)
    assert world.drains_kept(), (world.human, history.notes())
    assert history.policy.kill_jobs_after or not world.killed_jobs
    if memory.outcome is Outcome.COMPLETE:
        assert all(node.image == NEW for node in world.nodes.values())
    for name, record in memory.records.items():
        node = world.nodes[name].shown()
        assert record.phase not in (Phase.REQUESTED, Phase.BOOTING)
        assert not (node.reboot_pending and node.reason.startswith("rollout:")), history.notes()
        if record.phase is Phase.FAILED and record.touched:
            assert not node.available or name in world.lifted, f"{name} takes jobs: {history.notes()}"
