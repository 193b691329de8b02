"""The command rollout against a simulated cluster: in this process, and in processes that can be killed."""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from lab import standalone
from lab.rollout import cli, commands, errors, options, programs
from lab.rollout.commands import Surroundings
from lab.rollout.errors import RolloutError
from lab.rollout.planning.policy import Clock
from lab.rollout.programs import Finished
from tests.unit.rollout import cluster_program
from tests.unit.rollout.simulated import NEW, SimNode, World

ROOT = Path(__file__).resolve().parents[3]
START = ("start", "--image", NEW, "--interval", "0.02", "--probe", "ask {node} {script}", "--health", "true")


@dataclass(frozen=True)
class Done:
    """What the command said, and its status."""

    returncode: int
    stdout: str
    stderr: str


class Site:
    """A head node with the command in this process: a world, a state directory, what happens meanwhile."""

    def __init__(self, folder: Path, world: World) -> None:
        self.state = folder / "state"
        self.world = world
        self.meanwhile: Callable[[], bool] = lambda: False
        self.lock = threading.Lock()

    def run(self, *words: str, status: int = 0) -> Done:
        """Runs a verb as `lab.rollout.cli` does, without signals."""
        out, err = io.StringIO(), io.StringIO()
        all_words = [words[0], "--state", str(self.state), *words[1:]] if words else []
        output = cli.Output(json="--json" in words)
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                wait, clock = (lambda _: self.meanwhile()), (lambda: Clock(self.world.now))
                around = Surroundings(output, wait, self.execute, clock)
                code = commands.run(options.parse(all_words), around).status
            except RolloutError as error:
                code = output.error(error)
        assert code == status, f"{words}: {code}\n{out.getvalue()}\n{err.getvalue()}"
        return Done(code, out.getvalue(), err.getvalue())

    def execute(self, words: Sequence[str], timeout: float, **bounds: object) -> Finished:
        """Programs of the cluster run in this process; a hook is a real one."""
        if Path(words[0]).name not in cluster_program.NAMES:
            return programs.run(words, timeout, **bounds)  # type: ignore[arg-type]
        out, err = io.StringIO(), io.StringIO()
        with self.lock, contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = cluster_program.perform(words, self.world)
        return Finished(status, out.getvalue().encode(), err.getvalue().encode())

    def phases(self) -> dict[str, str]:
        shown = json.loads(self.run("status", "--json").stdout)
        return {node["node"]: node["phase"] for node in shown["nodes"]}


class ProcessSite:
    """A head node with the command in processes of its own, and with programs called scontrol and ask."""

    def __init__(self, folder: Path, world: World) -> None:
        self.state = folder / "state"
        self.file = cluster_program.install(folder / "bin", world)
        self.env = {**os.environ, "PATH": f"{folder / 'bin'}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}

    def words(self, *words: str) -> list[str]:
        return [sys.executable, "-S", "-m", "lab.rollout", words[0], "--state", str(self.state), *words[1:]]

    def begin(self, *words: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.words(*words), env=self.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def run(self, *words: str, status: int = 0) -> Done:
        process = self.begin(*words)
        out, err = process.communicate(timeout=50)
        assert process.returncode == status, f"{words}: {process.returncode}\n{out}\n{err}"
        return Done(process.returncode, out, err)

    def records(self) -> dict[str, dict[str, object]]:
        try:
            state = json.loads((self.state / "state.json").read_text())
        except FileNotFoundError:
            return {}
        found: dict[str, dict[str, object]] = state["memory"]["records"]
        return found

    def until_phase(self, node: str, *phases: str) -> None:
        """Waits until the state file has it."""
        end = time.monotonic() + 30
        while self.records().get(node, {}).get("phase") not in phases:
            assert time.monotonic() < end, f"{node} is not {phases}: {self.records()}"
            time.sleep(0.01)


def small_world() -> World:
    return World([SimNode(f"n{number}") for number in range(3)])


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path, small_world())


@pytest.fixture
def processes(tmp_path: Path) -> ProcessSite:
    return ProcessSite(tmp_path, small_world())


def test_plan_shows_waves_and_changes_nothing(site: Site) -> None:
    site.world.drain("n2", "disk\x1b[31m")
    words = ("plan", "--image", NEW, "--floor", "switch:s0=1", "--wave-size", "1")
    shown = site.run(*words).stdout
    assert "canary    n0" in shown
    assert "wave 2    n2" in shown
    assert "n2 is IDLE+DRAIN: left alone" in shown
    assert "switch:s0: 1 of 2 stay; 2 in service now" in shown
    data = json.loads(site.run(*words, "--json").stdout)
    assert data["waves"] == [{"wave": w, "nodes": [f"n{w}"]} for w in range(3)]
    assert not site.state.exists()
    assert site.world.done == []


def test_start_takes_every_node_and_says_so(site: Site) -> None:
    done = site.run(*START)
    assert "n0: requested" in done.stderr
    assert "complete: 3 of 3 nodes have ended (3 done)" in done.stdout
    assert {(node.image, node.boot) for node in site.world.nodes.values()} == {(NEW, 2)}
    picture = site.run("status", "--svg", "-").stdout
    assert ET.fromstring(picture).tag.endswith("svg")  # noqa: S314 - our own
    again = site.run(*START)
    assert "3 current" in again.stdout, "nobody reboots what runs the wanted image"
    assert len(list(site.state.glob("ended-*.json"))) == 1


def test_events_and_result_are_lines_of_json(site: Site) -> None:
    lines = [json.loads(line) for line in site.run(*START, "--json").stdout.splitlines()]
    assert [line["event"] for line in lines if line.get("node") == "n1"][-1] == "done"
    assert lines[-1]["state"] == "complete"
    assert lines[-1]["counts"]["done"] == 3


class Killed(BaseException):
    """Stands for SIGKILL: nothing of rollout catches it."""


class DyingSite(Site):
    """Its command dies before or after a certain command of Slurm's or probe."""

    def __init__(self, folder: Path, world: World, *, dies_at: int, after: bool) -> None:
        super().__init__(folder, world)
        self.left = dies_at
        self.after = after

    def execute(self, words: Sequence[str], timeout: float, **bounds: object) -> Finished:
        self.left -= 1
        if self.left == 0 and not self.after:
            raise Killed
        done = super().execute(words, timeout, **bounds)
        if self.left == 0:
            raise Killed
        return done


def test_a_rollout_killed_at_any_command_is_resumed(tmp_path: Path) -> None:
    """Killed at every command in turn, before and after its effect; no node reboots twice or never."""
    number, ended = 0, False
    while not ended:
        number += 1
        for after in (False, True):
            world = World([SimNode("n0"), SimNode("n1", ticks_to_boot=0)])
            site = DyingSite(tmp_path / f"{number}{after}", world, dies_at=number, after=after)
            try:
                site.run(*START)
                ended = True
            except Killed:
                site.run(*(("resume",) if (site.state / "state.json").exists() else START))
            assert {node.boot for node in site.world.nodes.values()} == {2}
            assert all(node.shown().available for node in site.world.nodes.values())
            assert set(site.phases().values()) == {"done"}
    assert number > 15


def test_a_process_killed_by_the_kernel_is_resumed(processes: ProcessSite) -> None:
    running = processes.begin(*START)
    processes.until_phase("n0", "booting", "done")
    running.kill()
    running.communicate()
    assert "no process" in processes.run("status").stdout
    processes.run("resume")
    assert {record["phase"] for record in processes.records().values()} == {"done"}
    with cluster_program.opened(processes.file) as world:
        assert {node.boot for node in world.nodes.values()} == {2}, "no node has rebooted twice"


def test_two_at_once_are_refused_and_status_sees_who_runs(processes: ProcessSite) -> None:
    with cluster_program.opened(processes.file) as world:
        for node in world.nodes.values():
            node.job = 10_000
    running = processes.begin(*START)
    try:
        processes.until_phase("n0", "requested")
        refused = processes.run(*START, status=errors.LOCKED.status)
        assert f"process {running.pid} holds" in refused.stderr
        shown = json.loads(processes.run("status", "--json").stdout)
        assert (shown["state"], shown["process"]) == ("running", running.pid)
        processes.run("pause")
        assert json.loads(processes.run("status", "--json").stdout)["state"] == "paused"
        processes.run("resume")
        processes.run("abort")
        _, said = running.communicate(timeout=30)
        assert running.returncode == errors.ABORTED.status, said
    finally:
        running.kill()
        running.communicate()
    with cluster_program.opened(processes.file) as world:
        assert all(node.shown().available for node in world.nodes.values())
    ended = processes.run("pause", status=errors.NONE.status)
    assert "has ended: aborted" in ended.stderr


def test_a_service_at_boot_keeps_the_operators_last_word(site: Site) -> None:
    """Whatever cut it off: `resume` would undo a pause or an abort that nobody has taken back."""
    assert "nothing to continue" in site.run("resume", "--unattended").stderr
    turns = iter(range(20))
    site.meanwhile = lambda: next(turns, None) is None  # a shutdown tells it to end
    site.world.nodes["n0"].job = 10_000
    site.run(*START, "--order", "name", status=errors.INTERRUPTED.status)
    site.run("pause")
    turns = iter(range(20))
    site.run("resume", "--unattended", status=errors.INTERRUPTED.status)
    assert site.phases() == {"n0": "requested", "n1": "waiting", "n2": "waiting"}
    turns = iter(())
    site.run("abort", status=errors.INTERRUPTED.status)
    site.meanwhile = lambda: False
    site.run("resume", "--unattended", status=errors.ABORTED.status)
    assert site.world.nodes["n0"].shown().available
    assert {node.boot for node in site.world.nodes.values()} == {1}
    assert "nothing to continue" in site.run("resume", "--unattended").stderr


def test_a_service_leaves_a_rollout_alone_that_runs_already(processes: ProcessSite) -> None:
    with cluster_program.opened(processes.file) as world:
        for node in world.nodes.values():
            node.job = 10_000
    running = processes.begin(*START)
    try:
        processes.until_phase("n0", "requested")
        processes.run("resume", "--unattended")
        refused = processes.run("resume", "--retry", status=errors.LOCKED.status)
        assert f"process {running.pid} runs it" in refused.stderr
    finally:
        running.kill()
        running.communicate()


def test_a_hook_that_waits_for_a_silent_host_is_ended(site: Site) -> None:
    words = ("--before-wave", "sleep 50", "--before-wave-timeout", "0.2")
    failed = site.run(*START, *words, status=errors.HOOK.status)
    assert "no answer within 0.2 s" in failed.stderr
    assert {node.boot for node in site.world.nodes.values()} == {1}


def test_a_signal_ends_it_in_a_state_to_resume(processes: ProcessSite) -> None:
    with cluster_program.opened(processes.file) as world:
        world.nodes["n0"].ticks_to_boot = 100_000
    running = processes.begin(*START, "--order", "name")
    processes.until_phase("n0", "booting")
    running.send_signal(signal.SIGTERM)
    _, said = running.communicate(timeout=20)
    assert running.returncode == errors.INTERRUPTED.status
    assert "hint: rollout resume" in said
    assert "no process" in processes.run("status").stdout


def test_slurm_that_stays_away_ends_it_in_a_state_to_resume(site: Site) -> None:
    def controller_dies() -> bool:
        site.world.away = True
        return False

    site.meanwhile = controller_dies
    said = site.run(*START, "--slurm-patience", "0.001s", status=errors.SLURM.status).stderr
    assert "Unable to contact slurm controller" in said
    site.world.away, site.meanwhile = False, lambda: False
    for other in (("start", "--image", "commit=cccccccc"), (*START, "--nodes", "n[0-1]")):
        refused = site.run(*other, status=errors.UNFINISHED.status)
        assert "another rollout has not ended" in refused.stderr
    site.run("resume")
    assert set(site.phases().values()) == {"done"}


def test_a_failed_hook_stops_it_and_resume_runs_it_again(site: Site, tmp_path: Path) -> None:
    hook = f"echo $ROLLOUT_WAVE $ROLLOUT_NODES >>{tmp_path}/hooks; test -e {tmp_path}/mended"
    failed = site.run(*START, "--order", "name", "--before-wave", hook, status=errors.HOOK.status)
    assert "the command before wave 0 failed" in failed.stderr
    (tmp_path / "mended").touch()
    site.run("resume")
    assert (tmp_path / "hooks").read_text().splitlines() == ["0 n0", "0 n0", "1 n1,n2"]


def test_a_failure_stops_it_and_a_retry_completes_it(site: Site) -> None:
    site.world.nodes["n0"].boots = "commit=aaaaaaaa"
    done = site.run(*START, "--order", "name", status=errors.STOPPED.status)
    assert "another image: commit is aaaaaaaa, not bbbbbbbb" in done.stdout
    assert "DRAIN" in site.world.nodes["n0"].flags
    assert site.world.nodes["n1"].boot == 1, "the canary's failure kept the others"
    site.world.nodes["n0"].boots = NEW
    refused = site.run("resume", status=errors.NONE.status)
    assert "hint: rollout status; rollout resume --retry" in refused.stderr
    site.run("resume", "--retry")
    assert set(site.phases().values()) == {"done"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "a verb is missing"),
        (("start",), "--image is missing"),
        (("start", "--image", "a=b", "--floor", "rack:1=2"), "is not such as partition:batch=80%"),
        (("start", "--image", "a=b", "--max-unavailable", "0"), "neither a number of nodes nor a percentage"),
        (("start", "--image", "a=b", "--window", "22-06"), "is not such as 22:00-06:00"),
        (("start", "--image", "a=b", "--deadline", "soon"), "is no time"),
        (("start", "--image", "a=b", "--interval", "2m"), "is more than 60 s"),
        (("start", "--image", "a=b", "--probe", "ssh {node}"), "neither {script} nor {argv}"),
        (("start", "--image", "a=b", "--probe", "ssh x {script}"), "--probe has no {node}"),
        (("plan", "--image", "a=b", "--nodes", "n[0-9]"), "Slurm has no node n3"),
        (("plan", "--image", "a=b", "--floor", "partition:gpu=1"), "no node is in partition gpu"),
        (("plan", "--image", "a=b", "--partition", "gpu"), "no node is chosen"),
    ],
)
def test_wrong_usage_is_one_error_that_says_what(site: Site, words: tuple[str, ...], said: str) -> None:
    done = site.run(*words, status=errors.USAGE.status)
    assert said in done.stderr
    assert done.stderr.startswith("error: ")


def test_state_that_cannot_be_read_is_one_clear_error(site: Site) -> None:
    site.state.mkdir()
    for content in ("", "[]", '{"schema": 1, "settings": {}, "memory": 3}', "[" * 100_000):
        (site.state / "state.json").write_text(content)
        shown = site.run("status", status=errors.STATE.status)
        assert "cannot be used" in shown.stderr


def test_one_file_is_the_whole_command(tmp_path: Path) -> None:
    archive = tmp_path / "rollout.pyz"
    standalone.build("rollout", str(archive))
    command = [sys.executable, "-I", "-S", str(archive)]
    shown = subprocess.run([*command, "--help"], cwd="/", capture_output=True, text=True, check=True).stdout
    assert f"{errors.INTERRUPTED.status}  {errors.INTERRUPTED.meaning}" in shown
    refused = subprocess.run([*command, "status", "--state", str(tmp_path)], capture_output=True, check=False)
    assert refused.returncode == errors.NONE.status
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([*command, "--version"], stdout=full, stderr=subprocess.PIPE, check=False)
    assert done.returncode == errors.OUTPUT.status
    assert done.stderr.startswith(b"error: cannot write the output")
