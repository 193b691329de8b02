"""Faults one by one: what a rollout does about each, in a simulated cluster."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest

from lab.rollout.planning.actions import Drain, Look, Request, Withdraw
from lab.rollout.planning.memory import Mode, Outcome
from lab.rollout.planning.policy import Amount, Floor, Policy, Window
from tests.unit.rollout.histories import History
from tests.unit.rollout.simulated import NEW, OLD, TOKEN, SimNode, World

POLICY = Policy((NEW,), order="name", deadline=100)


def never_returns(world: World, step: int) -> None:
    world.nodes["n0"].returns = False


def returns_with_the_old_image(world: World, step: int) -> None:
    world.nodes["n0"].boots = OLD


def returns_unhealthy(world: World, step: int) -> None:
    world.nodes["n0"].unhealthy = 1000


def recovers_in_time(world: World, step: int) -> None:
    world.nodes["n0"].unhealthy = 3


def drained_while_waiting(world: World, step: int) -> None:
    if step == 0:
        world.drain("n0")


def drained_while_jobs_run(world: World, step: int) -> None:
    if step == 0:
        world.nodes["n0"].job = 40
    if step >= 12 and "REBOOT_REQUESTED" in world.nodes["n0"].flags and "n0" not in world.human:
        world.drain("n0")


def drained_while_it_boots(world: World, step: int) -> None:
    world.nodes["n0"].ticks_to_boot = 6
    if "REBOOT_ISSUED" in world.nodes["n0"].flags and "n0" not in world.human:
        world.drain("n0")


def cancelled_by_somebody(world: World, step: int) -> None:
    if step == 0:
        world.nodes["n0"].job = 40
    if step >= 12 and "REBOOT_REQUESTED" in world.nodes["n0"].flags and "n0" not in world.cancelled:
        world.cancel("n0")
        world.cancelled.add("n0")


def slurm_away_at_the_mark(world: World, step: int) -> None:
    """The controller is away from the node's reboot until long after its deadline."""
    if "REBOOT_ISSUED" in world.nodes["n0"].flags or world.away:
        world.away = step < 60


def slurm_restarted_again_and_again(world: World, step: int) -> None:
    if step % 4 == 0:
        world.restarted()


def probe_silent_for_a_while(world: World, step: int) -> None:
    if "REBOOT_ISSUED" in world.nodes["n0"].flags:
        world.nodes["n0"].silent = 8


def probe_silent_for_ever(world: World, step: int) -> None:
    if "REBOOT_ISSUED" in world.nodes["n0"].flags:
        world.nodes["n0"].silent = 10_000


def probe_silent_before(world: World, step: int) -> None:
    world.nodes["n0"].silent = 10_000


def slurm_gives_up_too_early(world: World, step: int) -> None:
    """ResumeTimeout is shorter than the boot: Slurm sets the node DOWN, and it comes all the same."""
    world.timeout = 1
    world.nodes["n0"].ticks_to_boot = 6


def slurm_refuses(world: World, step: int) -> None:
    world.reboot = lambda name: None  # type: ignore[method-assign]


@dataclass(frozen=True)
class Case:
    """A fault, and what is to come of it: outcome, phases of n0 and n1, words of n0's note."""

    fault: Callable[[World, int], None]
    outcome: Outcome
    phases: tuple[str, str]
    note: str = ""
    policy: Policy = field(default=POLICY)


CASES = (
    Case(never_returns, Outcome.STOPPED, ("failed", "waiting"), "it does not answer"),
    Case(returns_with_the_old_image, Outcome.STOPPED, ("failed", "waiting"), "returned with another image"),
    Case(returns_unhealthy, Outcome.STOPPED, ("failed", "waiting"), "health check failed (1): a check"),
    Case(recovers_in_time, Outcome.COMPLETE, ("done", "done")),
    Case(drained_while_waiting, Outcome.INCOMPLETE, ("waiting", "done"), "left alone: IDLE+DRAIN"),
    Case(drained_while_jobs_run, Outcome.INCOMPLETE, ("left", "done"), "drained by somebody meanwhile"),
    Case(drained_while_it_boots, Outcome.COMPLETE, ("done", "done"), "drain was put back"),
    Case(
        drained_while_it_boots,
        Outcome.COMPLETE,
        ("done", "done"),
        "drain was",
        policy=replace(POLICY, prove_first=True),
    ),
    Case(cancelled_by_somebody, Outcome.INCOMPLETE, ("left", "done"), "somebody cancelled"),
    Case(slurm_away_at_the_mark, Outcome.COMPLETE, ("done", "done")),
    Case(slurm_restarted_again_and_again, Outcome.COMPLETE, ("done", "done")),
    Case(probe_silent_for_a_while, Outcome.COMPLETE, ("done", "done")),
    Case(probe_silent_for_ever, Outcome.STOPPED, ("failed", "waiting"), "it does not answer: no answer"),
    Case(probe_silent_before, Outcome.INCOMPLETE, ("left", "done"), "a reboot could not be proven"),
    Case(slurm_gives_up_too_early, Outcome.COMPLETE, ("done", "done")),
    Case(slurm_refuses, Outcome.STOPPED, ("failed", "waiting"), "no reboot after 3 requests"),
)


def two_nodes(policy: Policy = POLICY) -> History:
    return History(World([SimNode("n0"), SimNode("n1")], prove_first=policy.prove_first), policy)


@pytest.mark.parametrize("killed", ["save", "act", "half", "probes"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.fault.__name__)
def test_each_fault_ends_as_it_should_killed_at_any_step(case: Case, killed: str) -> None:
    """`killed`: the program dies at that point of one step, the next step is of a new process."""
    for fatal in range(40):
        history = run_with_fault(case, lambda number, fatal=fatal: killed if number == fatal else None)  # type: ignore[misc]
        if history.steps < fatal:
            break


def run_with_fault(case: Case, dies: Callable[[int], str | None]) -> History:
    """One rollout with a fault; checks how it ends."""
    history = two_nodes(case.policy)
    case.fault(history.world, 0)

    def meanwhile(number: int) -> str | None:
        case.fault(history.world, number + 1)
        return dies(number)

    memory = history.run(meanwhile=meanwhile)
    assert (memory.outcome, tuple(history.phases().values())) == (case.outcome, case.phases), history.notes()
    assert case.note in memory.records["n0"].note
    assert history.world.drains_kept()
    assert not any(node.shown().reboot_pending for node in history.world.nodes.values())
    if "failed" in case.phases:
        assert not history.world.nodes["n0"].shown().available or not memory.records["n0"].touched
    return history


def test_a_head_node_that_was_off_for_hours_blames_nobody() -> None:
    history = two_nodes()
    for _ in range(4):
        history.step()
        history.world.tick()
    assert history.phases()["n0"] == "booting"
    history.world.now += 7 * 3600
    assert history.run().outcome is Outcome.COMPLETE


def test_many_nodes_on_their_way_are_probed_in_turns() -> None:
    """So that a step is short even if all are silent, and deadlines pass."""
    nodes = [SimNode(f"n{number}", ticks_to_boot=0) for number in range(40)]
    history = History(World(nodes), replace(POLICY, canary=0, max_unavailable=Amount(40), max_failures=50))
    while "booting" not in history.phases().values():
        history.step()
        history.world.tick()
    for node in nodes:
        node.silent = 10_000
    looks = []
    for _ in range(6):
        before = len(history.world.done)
        history.step()
        looks.append([action.node for action in history.world.done[before:] if isinstance(action, Look)])
        history.world.tick()
    assert max(map(len, looks)) <= 16
    assert {name for turn in looks for name in turn} == {node.name for node in nodes}
    assert history.run().outcome is Outcome.INCOMPLETE
    assert set(history.phases().values()) == {"failed"}


def test_a_clock_that_was_set_back_ends_no_deadline() -> None:
    history = two_nodes()
    for _ in range(4):
        history.step()
        history.world.tick()
    history.world.now -= 90_000
    assert history.run().outcome is Outcome.COMPLETE
    assert history.memory.records["n0"].since < history.world.now


def test_jobs_are_waited_for_and_idle_nodes_go_first() -> None:
    policy = replace(POLICY, order="idle", canary=0)
    history = History(World([SimNode("n0", job=30), SimNode("n1")]), policy)
    assert history.run().outcome is Outcome.COMPLETE
    asked = [action.node for action in history.world.done if isinstance(action, Request)]
    assert asked == ["n1", "n0"]
    assert history.world.killed_jobs == 0


def test_jobs_are_cancelled_only_if_the_policy_says_so() -> None:
    history = History(World([SimNode("n0", job=10_000)]), replace(POLICY, kill_jobs_after=50))
    assert history.run().outcome is Outcome.COMPLETE
    assert history.world.killed_jobs == 1


def test_a_floor_that_leaves_no_room_ends_the_rollout() -> None:
    floors = (Floor("partition", "all", Amount(2)),)
    history = two_nodes(replace(POLICY, floors=floors, patience=100))
    assert history.run().outcome is Outcome.BLOCKED
    assert history.memory.records["n0"].note == "waits: partition:all is at its floor"
    assert not any(isinstance(action, Request) for action in history.world.done)


def test_outside_its_window_nothing_begins_and_what_waits_is_withdrawn() -> None:
    history = History(World([SimNode("n0", job=40)]), replace(POLICY, window=Window(22 * 60, 6 * 60)))
    history.minute = 12 * 60
    for _ in range(5):
        history.step()
        history.world.tick()
    assert history.world.done == []
    history.minute = 23 * 60
    for _ in range(5):
        history.step()
        history.world.tick()
    assert history.phases() == {"n0": "requested"}
    history.minute = 6 * 60
    for _ in range(5):
        history.step()
        history.world.tick()
    assert history.phases() == {"n0": "waiting"}
    assert history.world.nodes["n0"].shown().available
    history.minute = 0
    assert history.run().outcome is Outcome.COMPLETE


def test_pause_finishes_what_is_on_its_way_and_abort_withdraws_it() -> None:
    nodes = [SimNode("n0"), SimNode("n1", job=60), SimNode("n2")]
    history = History(World(nodes), replace(POLICY, canary=0, max_unavailable=Amount(2)))
    for _ in range(3):
        history.step()
        history.world.tick()
    history.say(Mode.PAUSE)
    for _ in range(20):
        history.step()
        history.world.tick()
    assert history.phases() == {"n0": "done", "n1": "requested", "n2": "waiting"}
    history.say(Mode.ABORT)
    assert history.run().outcome is Outcome.ABORTED
    assert Withdraw("n1") in history.world.done
    assert history.world.nodes["n1"].shown().available


def test_no_second_node_begins_before_a_canary_has_passed() -> None:
    nodes = [SimNode(f"n{number}", image=NEW if number == 0 else OLD) for number in range(4)]
    history = History(World(nodes), replace(POLICY, max_unavailable=Amount(3)))
    while history.memory.outcome is None:
        history.step()
        if "done" not in history.phases().values():
            asked = {action.node for action in history.world.done if isinstance(action, Request)}
            assert asked <= {"n1"}, "n0 runs the image already and proves nothing"
        history.world.tick()
    assert history.memory.outcome is Outcome.COMPLETE
    assert history.memory.records["n1"].wave == 0


def test_a_wave_waits_for_the_one_before() -> None:
    policy = replace(POLICY, canary=0, wave_size=Amount(2), max_unavailable=Amount(4), before_wave=True)
    history = History(World([SimNode(f"n{number}") for number in range(4)]), policy)
    while history.memory.outcome is None:
        history.step()
        asked = {action.node for action in history.world.done if isinstance(action, Request)}
        if not all(history.phases()[name] == "done" for name in ("n0", "n1")):
            assert asked <= {"n0", "n1"}
        history.world.tick()
    assert history.world.hooks == [1, 2]


def test_nodes_return_only_when_proven_if_the_policy_says_so() -> None:
    """With --prove-first a node on the wrong image never takes a job."""
    policy = replace(POLICY, prove_first=True)
    history = two_nodes(policy)
    history.world.nodes["n0"].boots = OLD
    history.step()
    history.step()
    while history.memory.outcome is None:
        history.world.tick()
        history.step()
        assert not history.world.nodes["n0"].shown().available
    assert history.memory.outcome is Outcome.STOPPED
    good = two_nodes(policy)
    assert good.run().outcome is Outcome.COMPLETE


def test_a_node_that_fails_is_kept_out_of_service_with_our_token() -> None:
    history = two_nodes()
    history.world.nodes["n0"].boots = OLD
    history.run()
    assert Drain("n0", f"{TOKEN} did not pass") in history.world.done


def test_a_failed_node_that_somebody_returns_stays_in_service() -> None:
    history = History(
        World([SimNode("n0", boots=OLD), SimNode("n1", job=60)]), replace(POLICY, max_failures=2)
    )
    for _ in range(15):
        history.step()
        history.world.tick()
    assert history.phases()["n0"] == "failed"
    assert not history.world.nodes["n0"].shown().available
    history.world.nodes["n0"].flags.clear()
    assert history.run().outcome is Outcome.INCOMPLETE
    assert history.world.nodes["n0"].shown().available


def test_what_a_former_rollout_kept_out_of_service_is_rolled_again() -> None:
    """So that going back to the former image takes the failed canary along."""
    history = two_nodes()
    history.world.nodes["n0"].flags.add("DRAIN")
    history.world.nodes["n0"].reason = "rollout:20251231-235959-ffff did not pass"
    assert history.run().outcome is Outcome.COMPLETE
    assert all(node.boot == 2 and node.shown().available for node in history.world.nodes.values())


@pytest.mark.parametrize("reason", ["rollout:tonight", "rollout", "xrollout:20251231-235959-ffff", ""])
def test_a_drain_whose_reason_only_resembles_ours_is_somebodys(reason: str) -> None:
    history = two_nodes()
    history.world.drain("n0", reason)
    assert history.run().outcome is Outcome.INCOMPLETE
    assert history.world.nodes["n0"].boot == 1


def test_a_failed_node_that_waits_again_is_not_released_unproven() -> None:
    """`--retry` takes a node along that did not pass; an abort leaves it out of service."""
    history = two_nodes()
    node = history.world.nodes["n0"]
    node.job = 60
    history.world.update_drain("n0", "rollout:20251231-235959-ffff did not pass")
    while history.phases()["n0"] != "requested":
        history.step()
        history.world.tick()
    history.say(Mode.ABORT)
    assert history.run().outcome is Outcome.ABORTED
    assert node.boot == 1
    assert not node.shown().available


@pytest.mark.parametrize("asked", [False, True])
def test_a_drain_of_the_last_moment_stays(*, asked: bool) -> None:
    """Somebody drains after the look at which rollout decides, and before it acts."""
    history = two_nodes()
    history.world.nodes["n0"].job = 60
    history.step()
    if asked:
        history.step()
        history.say(Mode.ABORT)
    assert history.phases()["n0"] == ("requested" if asked else "waiting")
    history.between = lambda: history.world.drain("n0")
    history.run()
    assert history.world.drains_kept()
    assert history.world.nodes["n0"].boot == 1


def test_somebody_elses_reboot_is_left_alone() -> None:
    history = two_nodes()
    node = history.world.nodes["n0"]
    node.flags, node.reason, node.job = {"REBOOT_REQUESTED", "DRAIN"}, "Reboot ASAP", 10_000
    assert history.run().outcome is Outcome.INCOMPLETE
    assert "left alone: ALLOCATED+DRAIN+REBOOT_REQUESTED" in history.memory.records["n0"].note
    assert not any(getattr(action, "node", "") == "n0" for action in history.world.done)
