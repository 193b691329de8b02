"""The runner: four outcomes, settling, blocking, hangs and crashes, shells shared."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from lab.checks import ClusterView, check, failed
from lab.checks.api import Check, Outcome, Verdict, as_text
from lab.checks.runner import Notice, Runner
from lab.checks.shell_pool import SHELLS_PER_NODE, Answer
from lab.course.catalog import load_checks
from lab.facts import slurm
from lab.facts.fact import Fact
from lab.model import NodeStatus, Power
from lab.polling import Clock, monotonic
from tests.unit.checks_world import Said, SlowError, World


def judge(
    *checks: Check, world: World | None = None, grace: float = 5.0, clock: Clock = monotonic
) -> dict[str, Verdict]:
    room = (world or World()).room(clock)
    try:
        return {v.check: v for v in Runner(checks, room, pause=0.01, grace=grace).run()}
    finally:
        room.close()


@check(step="one")
def holds(_: ClusterView) -> None:
    """It holds."""


@check(step="one")
def does_not_hold(_: ClusterView) -> None:
    """It should hold.

    This part is for the reader of the source.
    """
    raise failed(expected="up", actual={"c1": "down", "c2": None}, hint="why?", node="c1", look="sinfo -R")


@check(step="two", needs=[does_not_hold])
def depends(_: ClusterView) -> None:
    """It depends."""
    raise AssertionError("must not be looked at")


@check(step="two")
def crashes(_: ClusterView) -> None:
    """The checker is wrong."""
    raise KeyError("oops")


def test_four_outcomes_with_their_evidence() -> None:
    found = judge(holds, does_not_hold, depends, crashes)
    assert [v.outcome for v in found.values()] == [
        Outcome.PASSED,
        Outcome.FAILED,
        Outcome.BLOCKED,
        Outcome.BROKEN,
    ]
    wrong = found["does_not_hold"]
    assert wrong.sentence == "It should hold."
    assert (wrong.expected, wrong.actual) == ("up", "c1: down, c2: nothing")
    assert (wrong.hint, wrong.node, wrong.look) == ("why?", "c1", "sinfo -R")
    assert found["depends"].because == ("does_not_hold",)
    assert found["crashes"].actual == "KeyError: 'oops'"
    assert "Traceback" in found["crashes"].trace


def test_what_depends_on_a_blocked_or_broken_check_is_blocked() -> None:
    @check(step="x", needs=[depends])
    def far(_: ClusterView) -> None:
        """Far."""

    @check(step="x", needs=[crashes, holds])
    def near(_: ClusterView) -> None:
        """Near."""

    found = judge(holds, does_not_hold, depends, crashes, far, near)
    assert found["far"].because == ("depends",)
    assert found["near"].because == ("crashes",)


def test_a_check_that_exits_is_broken_not_hung() -> None:
    @check(step="x")
    def leaves(_: ClusterView) -> None:
        """Leaves."""
        raise SystemExit(0)

    assert judge(leaves)["leaves"].outcome is Outcome.BROKEN


def test_settling_looks_again_until_it_passes() -> None:
    looks = []

    @check(step="x", settle=5)
    def later(_: ClusterView) -> None:
        """Comes true later."""
        looks.append(1)
        if len(looks) < 4:
            raise failed(expected="4", actual=len(looks))

    assert judge(later)["later"].outcome is Outcome.PASSED
    assert len(looks) == 4


def test_settling_ends_at_its_deadline_with_the_last_evidence() -> None:
    looks = []
    world = World()

    @check(step="x", settle=10)
    def never(_: ClusterView) -> None:
        """Never comes true."""
        looks.append(1)
        world.now += 3.0
        raise failed(expected="something", actual=len(looks))

    verdict = judge(never, world=world, clock=lambda: world.now)["never"]
    assert verdict.outcome is Outcome.FAILED
    assert (verdict.actual, verdict.seconds) == ("4", 12.0)
    assert len(looks) == 4


def test_a_final_failure_is_not_waited_for() -> None:
    looks = []

    @check(step="x", settle=60)
    def hopeless(_: ClusterView) -> None:
        """Waiting cannot help."""
        looks.append(1)
        raise failed(expected="power", actual="off", final=True)

    assert judge(hopeless)["hopeless"].outcome is Outcome.FAILED
    assert looks == [1], "it was not looked at again, though it could settle for a minute"


def test_a_hung_checker_is_broken_and_stops_nobody() -> None:
    release = threading.Event()

    @check(step="x", timeout=0.1)
    def hangs(_: ClusterView) -> None:
        """Hangs."""
        release.wait(30)

    @check(step="x", needs=[hangs])
    def after(_: ClusterView) -> None:
        """Comes after."""

    try:
        found = judge(hangs, after, holds, grace=0.1)
    finally:
        release.set()
    assert found["hangs"].outcome is Outcome.BROKEN
    assert "did not end" in found["hangs"].actual
    assert found["after"].outcome is Outcome.BLOCKED
    assert found["holds"].outcome is Outcome.PASSED


def test_a_command_without_answer_fails_with_the_command_to_try() -> None:
    def slow(_command: str, timeout: float) -> Said:
        raise SlowError(f"no answer in {timeout}")

    @check(step="x")
    def asks(cluster: ClusterView) -> None:
        """Asks a node that does not answer."""
        cluster.sms.run("sinfo", timeout=3)

    verdict = judge(asks, world=World().does("sms", "sinfo", slow))["asks"]
    assert verdict.outcome is Outcome.FAILED
    assert (verdict.node, verdict.look, verdict.actual) == ("sms", "sinfo", "no answer within 3 s")


def test_a_look_cannot_use_more_of_a_nodes_time_than_it_has() -> None:
    limits: list[float] = []

    def slow(_command: str, timeout: float) -> Said:
        limits.append(timeout)
        world.now += 0.06
        return Said(0, "")

    world = World().does("sms", "true", slow)

    @check(step="x", timeout=0.15)
    def chatty(cluster: ClusterView) -> None:
        """Asks a lot."""
        for _ in range(20):
            cluster.sms.run("true")

    verdict = judge(chatty, world=world, clock=lambda: world.now)["chatty"]
    assert verdict.outcome is Outcome.FAILED
    assert limits == pytest.approx([0.15, 0.09, 0.03])


def test_a_look_on_a_slow_host_is_not_taken_for_a_hung_checker_when_the_host_becomes_quick() -> None:
    """It keeps the time that it was given when the host was slow."""
    scales = iter([10.0])
    world = World()
    looked = threading.Event()

    @check(step="x", timeout=0.2)
    def takes_a_while(_: ClusterView) -> None:
        """Takes a while."""
        world.now += 1.0
        looked.wait(0.5)  # meanwhile the runner asks whether it hangs

    runner = Runner(
        [takes_a_while],
        world.room(lambda: world.now),
        grace=0.0,
        timeout_scale=lambda: next(scales, 1.0),
    )
    assert [verdict.outcome for verdict in runner.run()] == [Outcome.PASSED]


@check(step="x")
def login_runs(cluster: ClusterView) -> None:
    """Login runs."""
    cluster.login.run("true")


def test_a_node_that_is_not_up_fails_the_check_with_its_stage() -> None:
    world = World(down={"login": NodeStatus("login", Power.ON, "pxe", "no answer to DHCP")})
    verdict = judge(login_runs, world=world)["login_runs"]
    assert verdict.outcome is Outcome.FAILED
    assert verdict.actual == "stage pxe: no answer to DHCP"
    assert verdict.look == "lab console login"


def test_a_node_without_power_fails_the_check() -> None:
    world = World(down={"login": NodeStatus("login", Power.OFF)})
    verdict = judge(login_runs, world=world)["login_runs"]
    assert (verdict.actual, verdict.look) == ("power is off", "lab power on login")


def test_a_node_that_is_up_but_opens_no_shell_fails_the_check() -> None:
    """It is going down just now, or its owner has spoiled the shell or its profile."""
    world = World(down={"login": NodeStatus("login", Power.ON, "init")})
    verdict = judge(login_runs, world=world)["login_runs"]
    assert verdict.outcome is Outcome.FAILED
    assert verdict.actual == "it is up but opens no shell for root: cannot enter login"
    assert (verdict.look, "lab reset login" in verdict.hint) == ("lab shell login -u root", True)


def test_an_engine_that_is_gone_is_the_labs_fault() -> None:
    verdict = judge(login_runs, world=World(engine_gone=True))["login_runs"]
    assert verdict.outcome is Outcome.BROKEN
    assert "engine" in verdict.actual


def test_a_fact_that_a_node_refuses_is_not_the_checkers_fault() -> None:
    @check(step="x")
    def asks(cluster: ClusterView) -> None:
        """Asks Slurm."""
        cluster.sms.fact(slurm.partitions)

    world = World().says("sms", "sinfo", "sinfo: error: Unable to contact slurm controller\n", 1)
    verdict = judge(asks, world=world)["asks"]
    assert verdict.outcome is Outcome.FAILED
    assert "Unable to contact" in verdict.actual
    assert verdict.look.startswith("sinfo")


def test_a_fact_that_its_parser_does_not_understand_is_the_labs_fault() -> None:
    @check(step="x")
    def asks(cluster: ClusterView) -> None:
        """Asks Slurm."""
        cluster.sms.fact(slurm.partitions)

    verdict = judge(asks, world=World().says("sms", "sinfo", "gibberish\n"))["asks"]
    assert verdict.outcome is Outcome.BROKEN


def asking(name: str, command: str) -> Check:
    def look(cluster: ClusterView) -> None:
        """Asks."""
        cluster.sms.run(command)

    look.__name__ = name
    return check(step="x")(look)


def test_checks_in_a_row_share_one_shell() -> None:
    world = World().says("sms", ".")
    judge(*(asking(f"c{n}", "true") for n in range(12)), world=world)
    assert len(world.shells) == 1
    assert all(shell.closed for shell in world.shells)


def test_a_slow_command_does_not_hold_up_the_others() -> None:
    release = threading.Event()
    released: list[bool] = []

    def wait(_command: str, _timeout: float) -> Said:
        released.append(release.wait(30))
        return Said(0, "")

    def quick(_command: str, _timeout: float) -> Said:
        release.set()  # the slow one can end only after a quick one got its turn
        return Said(0, "")

    world = World().does("sms", "slow", wait).does("sms", "quick", quick)
    found = judge(asking("a", "slow"), asking("b", "quick"), world=world, grace=60.0)
    assert {v.outcome for v in found.values()} == {Outcome.PASSED}
    assert released == [True]
    assert len(world.shells) <= SHELLS_PER_NODE


def test_a_fact_that_is_a_program_shows_a_command_for_people() -> None:
    def silent(command: str, _timeout: float) -> Said:
        raise SlowError(command)

    long = Fact("python3 -c 'many lines'", lambda _status, output: output, "wwsh vnfs list")

    @check(step="x")
    def look(cluster: ClusterView) -> None:
        """Asks."""
        cluster.sms.fact(long)

    verdict = judge(look, world=World().does("sms", "^python3", silent))["look"]
    assert (verdict.outcome, verdict.look) == (Outcome.FAILED, "wwsh vnfs list")
    assert Fact("names", lambda _status, output: output).shown == "names"


def test_a_fact_asked_by_many_is_read_once() -> None:
    class Names:
        command = shown = "names"

        @staticmethod
        def parse(status: int, output: str) -> list[str]:
            return output.split()

    def ask(name: str) -> Check:
        def look(cluster: ClusterView) -> None:
            """Asks."""
            if cluster.sms.fact(Names()) != ["c1", "c2"]:
                raise failed(expected="c1 c2", actual="other")

        look.__name__ = name
        return check(step="x")(look)

    world = World().says("sms", "names", "c1 c2\n")
    found = judge(*(ask(f"f{n}") for n in range(8)), world=world)
    assert {v.outcome for v in found.values()} == {Outcome.PASSED}
    assert len(world.ran) == 1


def test_a_fact_stays_fresh_as_long_as_it_took_to_read_and_at_least_a_second() -> None:
    world = World()
    room = world.room(lambda: world.now)

    def read_in(seconds: float) -> float:
        def ask() -> float:
            world.now += seconds
            return world.now

        return room.fact(("sms", "root", f"{seconds}"), ask)

    for seconds, fresh in ((0.25, 1.0), (6.0, 6.0)):
        first = read_in(seconds)
        world.now = first + fresh - 0.125
        assert read_in(seconds) == first
        world.now = first + fresh
        assert read_in(seconds) == first + fresh + seconds


def test_notices_tell_what_is_waited_for() -> None:
    looks: list[int] = []
    notices: list[Notice] = []

    @check(step="x", settle=5)
    def later(_: ClusterView) -> None:
        """Later."""
        looks.append(1)
        if len(looks) < 3:
            raise failed(expected="3", actual=len(looks))

    Runner([later], World().room(), pause=0.01, notice=notices.append).run()
    assert [n.found for n in notices if n.found] == ["1", "2"]
    assert notices[-1].verdict is not None


def test_patience_stretches_the_deadlines() -> None:
    limits = []

    def note(_command: str, timeout: float) -> Said:
        limits.append(timeout)
        return Said(0, "")

    world = World().does("sms", "true", note)

    @check(step="x", timeout=2)
    def asks(cluster: ClusterView) -> None:
        """Asks."""
        cluster.sms.run("true", timeout=100)

    Runner([asks], world.room(), patience=3).run()
    Runner([asks], world.room(), patience=0.1, timeout_scale=lambda: 5.0).run()
    assert limits == [6, 10]


def test_a_slow_machine_does_not_stretch_what_is_waited_for() -> None:
    looks = []

    @check(step="x", settle=60)
    def never(_: ClusterView) -> None:
        """Never."""
        looks.append(1)
        raise failed(expected="more", actual=len(looks))

    Runner([never], World().room(), pause=0.01, patience=0, timeout_scale=lambda: 5.0).run()
    assert looks == [1]


def test_no_checks_give_no_verdicts() -> None:
    assert judge() == {}


def test_a_check_needs_its_sentence() -> None:
    def silent(cluster: ClusterView) -> None:
        pass

    with pytest.raises(TypeError, match="silent has no docstring"):
        check(step="x")(silent)


def test_collect_keeps_the_order_and_leaves_out_what_was_imported(tmp_path: Path) -> None:
    (tmp_path / "check.py").write_text(
        "from lab.checks import check\n"
        "from tests.unit.checks.test_runner import holds\n"
        "@check(step='s')\ndef second(c):\n    'S.'\n"
        "@check(step='s')\ndef first(c):\n    'F.'\n"
        "again = first\n"
    )
    found = load_checks("somewhere", tmp_path / "check.py")
    assert [item.name for item in found] == ["second", "first"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "nothing"),
        ("", "nothing"),
        ([], "nothing"),
        ({}, "nothing"),
        (["a", 1], "a, 1"),
        ({"a": ["x", "y"]}, "a: x, y"),
        (Power.OFF, "off"),
        (0, "0"),
    ],
)
def test_values_read_as_a_person_writes_them(value: object, text: str) -> None:
    assert as_text(value) == text


def test_an_answer_is_what_the_shell_gives() -> None:
    answer: Answer = Said(3, "x")
    assert answer.exit_status == 3
