"""The command rollout in processes of its own, against programs that play Slurm and its nodes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from lab import standalone
from lab.rollout import errors
from tests.unit.rollout import cluster_program
from tests.unit.rollout.simulated import NEW, SimNode, World

ROOT = Path(__file__).resolve().parents[3]
START = ("start", "--image", NEW, "--interval", "0.02", "--probe", "ask {node} {script}", "--health", "true")


class Site:
    """A head node: its state directory, its programs, and the command."""

    def __init__(self, folder: Path, world: World) -> None:
        self.state = folder / "state"
        self.world = cluster_program.install(folder / "bin", world)
        self.env = {**os.environ, "PATH": f"{folder / 'bin'}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}

    def words(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "lab.rollout", words[0], "--state", str(self.state), *words[1:]]

    def run(self, *words: str, status: int = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            self.words(*words), env=self.env, capture_output=True, text=True, timeout=50, check=False
        )
        assert done.returncode == status, f"{words}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def begin(self, *words: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.words(*words), env=self.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def phases(self) -> dict[str, str]:
        shown = json.loads(self.run("status", "--json").stdout)
        return {node["node"]: node["phase"] for node in shown["nodes"]}

    def until_phase(self, node: str, *phases: str) -> None:
        """Waits until the state file has it."""
        end = time.monotonic() + 30
        while time.monotonic() < end:
            try:
                records = json.loads((self.state / "state.json").read_text())["memory"]["records"]
            except FileNotFoundError:
                records = {}
            if records.get(node, {}).get("phase") in phases:
                return
            time.sleep(0.01)
        raise AssertionError(f"{node} is not {phases}: {records}")


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path, World([SimNode(f"n{number}") for number in range(3)]))


def test_plan_shows_waves_and_changes_nothing(site: Site) -> None:
    with cluster_program.opened(site.world) as world:
        world.drain("n2", "disk\x1b[31m")
    words = ("plan", "--image", NEW, "--floor", "switch:s0=1", "--wave-size", "1")
    shown = site.run(*words).stdout
    assert "canary    n0" in shown
    assert "wave 2    n2" in shown
    assert "n2 is IDLE+DRAIN: left alone" in shown
    assert "switch:s0: 1 of 2 stay; 2 in service now" in shown
    data = json.loads(site.run(*words, "--json").stdout)
    assert data["waves"] == [{"wave": w, "nodes": [f"n{w}"]} for w in range(3)]
    assert not site.state.exists()
    with cluster_program.opened(site.world) as world:
        assert world.done == []


def test_start_takes_every_node_and_says_so(site: Site) -> None:
    done = site.run(*START)
    assert "n0: requested" in done.stderr
    assert "complete: 3 of 3 nodes have ended (3 done)" in done.stdout
    with cluster_program.opened(site.world) as world:
        assert {(node.image, node.boot) for node in world.nodes.values()} == {(NEW, 2)}
    picture = site.run("status", "--svg", "-").stdout
    assert ElementTree.fromstring(picture).tag.endswith("svg")  # noqa: S314 - our own
    again = site.run(*START)
    assert "3 current" in again.stdout, "nobody reboots what runs the wanted image"
    assert len(list(site.state.glob("ended-*.json"))) == 1


def test_events_and_result_are_lines_of_json(site: Site) -> None:
    lines = [json.loads(line) for line in site.run(*START, "--json").stdout.splitlines()]
    assert [line["event"] for line in lines if line.get("node") == "n1"][-1] == "done"
    assert lines[-1]["state"] == "complete"
    assert lines[-1]["counts"]["done"] == 3


def test_a_killed_rollout_is_resumed_wherever_it_was(site: Site) -> None:
    """Killed again and again, by a signal that no program sees; each time it comes a little further."""
    for turn in range(60):
        running = site.begin(*(START if turn % 2 else ("resume",)) if turn else START)
        try:
            _, said = running.communicate(timeout=0.15 + 0.02 * turn)
            assert running.returncode == 0, said
            break
        except subprocess.TimeoutExpired:
            running.kill()
            running.communicate()
            if turn == 0:
                continue
            if not (site.state / "state.json").exists():
                site.run(*START)
                break
    assert set(site.phases().values()) == {"done"}
    with cluster_program.opened(site.world) as world:
        assert {node.boot for node in world.nodes.values()} == {2}, "no node has rebooted twice"


def test_two_at_once_are_refused_and_status_sees_who_runs(site: Site) -> None:
    with cluster_program.opened(site.world) as world:
        world.nodes["n0"].job = world.nodes["n1"].job = world.nodes["n2"].job = 10_000
    running = site.begin(*START)
    try:
        site.until_phase("n0", "requested")
        refused = site.run(*START, status=errors.LOCKED.status)
        assert f"process {running.pid} holds" in refused.stderr
        shown = json.loads(site.run("status", "--json").stdout)
        assert (shown["state"], shown["process"]) == ("running", running.pid)
        site.run("pause")
        assert json.loads(site.run("status", "--json").stdout)["state"] == "paused"
        site.run("resume")
        assert json.loads(site.run("status", "--json").stdout)["state"] == "running"
        site.run("abort")
        _, said = running.communicate(timeout=30)
        assert running.returncode == errors.ABORTED.status, said
    finally:
        running.kill()
        running.communicate()
    with cluster_program.opened(site.world) as world:
        assert all(node.shown().available for node in world.nodes.values())
    ended = site.run("pause", status=errors.NONE.status)
    assert "has ended: aborted" in ended.stderr


def test_a_signal_ends_it_in_a_state_to_resume(site: Site) -> None:
    with cluster_program.opened(site.world) as world:
        world.nodes["n0"].ticks_to_boot = 100_000
    running = site.begin(*START, "--order", "name")
    site.until_phase("n0", "booting")
    running.send_signal(signal.SIGTERM)
    _, said = running.communicate(timeout=20)
    assert running.returncode == errors.INTERRUPTED.status
    assert "hint: rollout resume" in said
    assert "no process" in site.run("status").stdout
    other = site.run("start", "--image", "commit=cccccccc", status=errors.UNFINISHED.status)
    assert "another rollout has not ended" in other.stderr
    with cluster_program.opened(site.world) as world:
        world.nodes["n0"].booting = 0
    site.run("resume")


def test_slurm_that_stays_away_ends_it_in_a_state_to_resume(site: Site) -> None:
    with cluster_program.opened(site.world) as world:
        world.nodes["n0"].ticks_to_boot = 100_000
    running = site.begin(*START, "--order", "name", "--slurm-patience", "0.3s")
    site.until_phase("n0", "booting")
    with cluster_program.opened(site.world) as world:
        world.away = True
    _, said = running.communicate(timeout=20)
    assert running.returncode == errors.SLURM.status, said
    assert "Unable to contact slurm controller" in said
    with cluster_program.opened(site.world) as world:
        world.away = False
        world.nodes["n0"].booting = 0
    site.run("resume")


def test_a_failed_hook_stops_it_and_resume_runs_it_again(site: Site, tmp_path: Path) -> None:
    hook = f"echo $ROLLOUT_WAVE $ROLLOUT_NODES >>{tmp_path}/hooks; test -e {tmp_path}/mended"
    failed = site.run(*START, "--order", "name", "--before-wave", hook, status=errors.HOOK.status)
    assert "the command before wave 0 failed" in failed.stderr
    (tmp_path / "mended").touch()
    site.run("resume")
    assert (tmp_path / "hooks").read_text().splitlines() == ["0 n0", "0 n0", "1 n1,n2"]


def test_a_failure_stops_it_and_a_retry_completes_it(site: Site) -> None:
    with cluster_program.opened(site.world) as world:
        world.nodes["n0"].boots = "commit=aaaaaaaa"
    done = site.run(*START, "--order", "name", status=errors.STOPPED.status)
    assert "another image: commit is aaaaaaaa, not bbbbbbbb" in done.stdout
    with cluster_program.opened(site.world) as world:
        assert "DRAIN" in world.nodes["n0"].flags
        assert world.nodes["n1"].boot == 1, "the canary's failure kept the others"
        world.nodes["n0"].boots = NEW
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
        (("start", "--image", "a=b", "--probe", "ssh {node}"), "neither {script} nor {argv}"),
        (("start", "--image", "a=b", "--probe", "ssh x {script}"), "--probe has no {node}"),
        (("plan", "--image", "a=b", "--nodes", "n[0-9]"), "Slurm has no node n3"),
        (("plan", "--image", "a=b", "--floor", "partition:gpu=1"), "no node is in partition gpu"),
        (("plan", "--image", "a=b", "--partition", "gpu"), "no node is chosen"),
    ],
)
def test_wrong_usage_is_one_error_that_says_what(site: Site, words: tuple[str, ...], said: str) -> None:
    command = site.words(*words) if words else [sys.executable, "-m", "lab.rollout"]
    done = subprocess.run(command, env=site.env, capture_output=True, text=True, check=False)
    assert done.returncode == errors.USAGE.status
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
