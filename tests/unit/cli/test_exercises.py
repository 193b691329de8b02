"""The commands of the course, on a lab whose nodes are shells of this machine."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from lab.account import account_name
from lab.backends.actions import Action, Stale
from lab.backends.base import Capabilities, Lifecycle, Say
from lab.backends.docker.backend import DockerBackend
from lab.backends.fake import FakeBackend
from lab.backends.libvirt.backend import LibvirtBackend
from lab.cli.app import App
from lab.cli.main import main
from lab.cli.show import render
from lab.cluster.cluster import Cluster
from lab.cluster.readiness import Expectation, ProbeResult, Reading
from lab.course.catalog import CAPABILITIES, load
from lab.host_speed import HostSpeed
from lab.lock import FileLocks
from lab.model import ClusterSpec, LabRecord, NodeStatus, Power, Trust
from lab.paths import data_folder
from tests.unit.checks_world import LOGIN_MAC, small_spec

INDEX = """
schema = 1
[[chapter]]
id = "first"
title = "Chapter one"
about = "About it."
exercises = ["make_file", "make_more", "needs_kernel"]
"""
EXERCISE = """
title = "{title}"
teaches = "Something"
minutes = 5
version = 1
roles = ["sms"]
start = "{start}"
{more}
[[steps]]
id = "make"
title = "Make it"
[[steps]]
id = "fill"
title = "Fill it"
"""
CHECK = '''
from lab.checks import ClusterView, check, failed

@check(step="make")
def file_is_there(cluster: ClusterView) -> None:
    """The file is there."""
    if cluster.sms.run("test -e {file}").exit_status != 0:
        raise failed(expected="a file", actual="none\\x1b[2J", node="sms", look="ls {file}")

@check(step="fill", needs=[file_is_there])
def file_is_full(cluster: ClusterView) -> None:
    """The file holds the MAC."""
    if cluster.login.mac not in cluster.sms.run("cat {file}").output:
        raise failed(expected=cluster.login.mac, actual="other", node="sms", look="cat {file}")
'''
SOLUTION = """
#: step make on sms as root
touch {file}
#: step fill on sms as root
echo $LOGIN_MAC > {file}
cat {file}
"""
HINTS = "## make\n\nNudge.\n\n---\n\nAnswer: touch.\n\n## fill\n\nIt is {{login.mac}}.\n"
README = "# A file\n\nMake it.\n\n## Make it\n\n```sh sms\ntouch it\n```\n\nThen `{{login.mac}}`.\n"


class LocalBackend:
    """One lab whose every node is a shell of this machine; its state is one folder."""

    timeout_scale = 1.0
    name = "fake"
    shared_states = None

    def on_first_ready(self, *_: object) -> None:
        pass

    def note_boot(self, *_: object) -> None:
        pass

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.host_speed = HostSpeed(most=1.0)
        self.locks = FileLocks(lambda: folder.with_name("locks"))
        self.spec: ClusterSpec | None = small_spec()
        self.rights_needed_for = frozenset({"block-devices"})
        self.kept: dict[str, dict[str, str]] = {}
        self.did: list[str] = []

    def labs(self) -> tuple[LabRecord, ...]:
        if self.spec is None:
            return ()
        names = tuple(node.name for node in self.spec.nodes)
        return (
            LabRecord("lab", "fake", account_name(), "2026-01-01T00:00:00Z", names, len(names), self.spec),
        )

    def status(self, lab: str) -> tuple[NodeStatus, ...]:
        return tuple(NodeStatus(node.name, Power.ON, "init") for node in small_spec().nodes)

    def probe(self) -> Capabilities:
        return Capabilities("fake", True, (), frozenset({"kernel-version"}))

    def shell(
        self, lab: str, node: str, command: Sequence[str] | None, *, user: str, tty: bool, mark: str = ""
    ) -> list[str]:
        return ["/bin/sh"] if command and "bash" not in command[0] else ["/bin/bash", "--norc"]

    def hang_up(self, lab: str, node: str, mark: str) -> list[str]:
        return ["true"]

    def snapshots(self, lab: str) -> tuple[str, ...]:
        return tuple(self.kept)

    def snapshot(self, lab: str, name: str, say: Say) -> None:
        self.kept[name] = {path.name: path.read_text() for path in self.folder.iterdir()}

    def base_id(self, spec: ClusterSpec) -> str:
        return "image-1"

    def forget(self, lab: str, name: str) -> None:
        del self.kept[name]

    def restore(self, lab: str, name: str, say: Say, *, ephemeral_identity: bool = False) -> None:
        self.did.append(f"restore {name}")
        self._empty()
        for file, text in self.kept[name].items():
            (self.folder / file).write_text(text)

    def stale(self, spec: ClusterSpec) -> tuple[Stale, ...]:
        return ()

    def apply(self, spec: ClusterSpec, actions: Sequence[Action], say: Say) -> None:
        self.did.append("create")
        self.spec = spec

    def delete(self, lab: str, say: Say, nodes: Sequence[str] | None = None) -> None:
        self.did.append("delete")
        self.kept.clear()
        self._empty()

    def start(self, lab: str, nodes: Sequence[str]) -> None:
        self.did.append(f"start {','.join(nodes)}")

    def _empty(self) -> None:
        for path in self.folder.iterdir():
            path.unlink()


class Bench:
    """A learner's terminal."""

    def __init__(self, root: Path) -> None:
        self.nodes = root / "nodes"
        self.nodes.mkdir()
        self.backend = LocalBackend(self.nodes)
        self.environ = {"HOME": str(root), "XDG_RUNTIME_DIR": str(root / "run")}
        self.folder = root

    def lab(self, *args: str, code: int | None = 0) -> Result:
        app = App(self.environ, self.folder, open_backend=lambda _: self.backend)  # type: ignore[arg-type,return-value]
        result = CliRunner().invoke(main, list(args), obj=app)
        if code is not None:
            assert result.exit_code == code, result.output
        return result

    def json(self, *args: str, code: int = 0) -> Any:
        return json.loads(self.lab(*args, "--json", code=code).stdout)


def write(root: Path, name: str, file: Path, *, start: str = "handout", more: str = "") -> None:
    folder = root / name
    folder.mkdir(parents=True)
    (folder / "exercise.toml").write_text(EXERCISE.format(title=f"Title of {name}", start=start, more=more))
    (folder / "check.py").write_text(CHECK.replace("{file}", str(file)))
    (folder / "solution.sh").write_text(SOLUTION.replace("{file}", str(file)))
    (folder / "hints.md").write_text(HINTS)
    (folder / "README.md").write_text(README)


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    made = Bench(tmp_path)
    root = tmp_path / "exercises"
    write(root, "make_file", made.nodes / "one")
    write(root, "make_more", made.nodes / "two", start="after:make_file")
    write(root, "needs_kernel", made.nodes / "three", more='capabilities = ["kernel-version"]')
    (root / "index.toml").write_text(INDEX)
    monkeypatch.setattr("lab.paths.data_folder", lambda _: root)
    monkeypatch.setattr("lab.cluster.cluster.Cluster.wait", lambda *_args, **_named: ())
    return made


def test_a_learner_goes_through_an_exercise(bench: Bench) -> None:
    assert "next: lab show" in bench.lab("start", "make_file", "-y").stdout
    failed = bench.lab("check", code=1).stdout
    assert "0 of 2 checks hold" in failed
    assert "none\\x1b[2J" in failed
    assert "hint: lab hint make_file make" in failed
    (bench.nodes / "one").write_text(LOGIN_MAC)
    assert "Solved: all 2 checks hold." in bench.lab("check").stdout
    assert bench.json("exercises")["chapters"][0]["exercises"][0]["state"] == "solved"
    assert (
        "make_more: Title of make_more (5 minutes) starts from the present state" in bench.lab("next").stdout
    )
    assert bench.json("exercises")["chapters"][0]["exercises"][1]["current"] is True


def test_solve_types_what_the_checks_want(bench: Bench) -> None:
    bench.lab("start", "make_file", "-y")
    typed = bench.lab("solve")
    assert f"touch {bench.nodes / 'one'}" in typed.stdout
    assert f"echo {LOGIN_MAC} >" in typed.stdout
    assert typed.stdout.rstrip().endswith(LOGIN_MAC)
    assert bench.json("check")["solved"] is True
    assert bench.json("exercises")["chapters"][0]["exercises"][0]["state"] == "shown"


def test_solve_of_one_step_types_only_that(bench: Bench) -> None:
    bench.lab("solve", "make_file", "--step", "make")
    assert (bench.nodes / "one").read_text() == ""
    found = bench.json("check", "make_file", code=1)
    assert found["counts"] == {"passed": 1, "failed": 1, "blocked": 0, "broken": 0}


def test_solve_stops_at_the_first_line_that_goes_wrong(bench: Bench) -> None:
    script = bench.folder / "exercises" / "make_file" / "solution.sh"
    script.write_text(f"#: step make on sms as root\nls /nowhere\ntouch {bench.nodes / 'one'}\n")
    result = bench.lab("solve", "make_file", code=3)
    assert "make_file/solution.sh, line 2 (step make, root on sms): ended with status 2" in result.stderr
    assert "$ ls /nowhere" in result.stderr
    assert not (bench.nodes / "one").exists()


@pytest.mark.parametrize(
    ("line", "code"),
    [("#: expect-fail\nls /nowhere", 0), ("#: expect-fail\ntrue", 3), ("#: may-fail\nfalse", 0)],
)
def test_solve_knows_commands_that_are_meant_to_fail(bench: Bench, line: str, code: int) -> None:
    script = bench.folder / "exercises" / "make_file" / "solution.sh"
    script.write_text(f"#: step make on sms as root\n{line}\n")
    result = bench.lab("solve", "make_file", code=code)
    assert ("was expected to fail, but succeeded" in result.stderr) == (code != 0)


def test_solve_waits_for_a_condition(bench: Bench) -> None:
    script = bench.folder / "exercises" / "make_file" / "solution.sh"
    there = bench.nodes / "late"
    script.write_text(
        f"#: step make on sms as root\n(sleep 0.7; touch {there}) &\n"
        f"#: wait test -e {there} within 20\nls {there}\n"
    )
    assert "waiting at most 20 s for: " in bench.lab("solve", "make_file").stderr
    script.write_text("#: step make on sms as root\n#: wait test -e /nowhere within 1\ntrue\n")
    assert (
        "line 2 (step make, root on sms): did not become true within 1 s"
        in bench.lab("solve", "make_file", code=3).stderr
    )


def test_start_asks_or_refuses_before_anything_is_lost(bench: Bench) -> None:
    (bench.nodes / "mess").write_text("work")
    result = bench.lab("start", "make_file", code=2)
    assert "sms, login, c1, c2 will be lost" in result.stderr
    assert "--yes" in result.stderr
    assert (bench.nodes / "mess").exists()
    assert bench.backend.did == []


def test_start_makes_the_lab_anew_where_nothing_is_kept(bench: Bench) -> None:
    (bench.nodes / "mess").write_text("work")
    bench.lab("start", "make_file", "-y")
    assert not list(bench.nodes.iterdir())
    assert bench.backend.did[0] == "delete"


def test_start_goes_back_to_the_handout_that_the_backend_keeps(bench: Bench) -> None:
    bench.lab("snapshot", "handout")
    bench.backend.did.clear()
    (bench.nodes / "mess").write_text("work")
    bench.lab("start", "make_file", "-y")
    assert bench.backend.did == ["restore handout"]
    assert not list(bench.nodes.iterdir())


def test_start_of_a_later_exercise_has_the_earlier_ones_solved(bench: Bench) -> None:
    bench.lab("start", "make_more", "-y")
    assert (bench.nodes / "one").read_text().strip() == LOGIN_MAC
    assert not (bench.nodes / "two").exists()
    assert bench.json("check", code=1)["exercise"] == "make_more"


def test_start_with_keep_loses_nothing(bench: Bench) -> None:
    (bench.nodes / "mess").write_text("work")
    bench.lab("start", "make_more", "--keep")
    assert (bench.nodes / "mess").exists()
    assert bench.json("next")["exercise"] == "make_more"


def test_start_refuses_what_the_backend_cannot_do(bench: Bench) -> None:
    result = bench.lab("start", "needs_kernel", "-y", code=2)
    assert "needs_kernel needs kernel-version" in result.stderr


@pytest.fixture
def of_nobody(bench: Bench) -> Bench:
    """A lab whose root is nobody; one exercise needs a disk, and another begins where that one ends."""
    root = bench.folder / "exercises"
    (root / "index.toml").write_text(
        INDEX.replace('"needs_kernel"]', '"needs_disk", "after_disk", "last_one"]')
    )
    write(root, "needs_disk", bench.nodes / "four", more='capabilities = ["block-devices"]')
    write(root, "after_disk", bench.nodes / "five", start="after:needs_disk")
    write(root, "last_one", bench.nodes / "six")
    bench.backend.spec = replace(small_spec(), trust=Trust.NOBODY)
    return bench


def needs_of(bench: Bench) -> dict[str, str]:
    """The column NEEDS of the list of exercises."""
    found = [line.split() for line in bench.lab("exercises").stdout.splitlines()]
    return {words[0]: " ".join(words[2:-3]) for words in found if words and "_" in words[0]}


def test_a_lab_whose_root_is_nobody_offers_no_disk_on_the_way_either(of_nobody: Bench) -> None:
    for name in ("needs_disk", "after_disk"):
        result = of_nobody.lab("start", name, "-y", code=2)
        assert f"{name} needs block-devices, and root in a node of lab lab" in result.stderr
    assert of_nobody.backend.did == []


def test_the_list_of_exercises_says_what_a_lab_whose_root_is_nobody_does_not_offer(of_nobody: Bench) -> None:
    assert needs_of(of_nobody)["needs_disk"] == "block-devices (not here)"
    assert needs_of(of_nobody)["after_disk"] == "block-devices (not here)"
    assert needs_of(of_nobody)["last_one"] == "-"
    exercises = of_nobody.json("exercises")["chapters"][-1]["exercises"][-3:]
    assert [one["withheld"] for one in exercises] == [["block-devices"], ["block-devices"], []]
    of_nobody.backend.spec = small_spec()
    assert needs_of(of_nobody)["needs_disk"] == "block-devices"
    assert needs_of(of_nobody)["after_disk"] == "-"


def test_next_leaves_out_what_a_lab_whose_root_is_nobody_does_not_offer(of_nobody: Bench) -> None:
    of_nobody.lab("start", "make_more", "-y")
    (of_nobody.nodes / "two").write_text(LOGIN_MAC)
    of_nobody.lab("check")
    found = of_nobody.lab("next")
    assert "next: lab start last_one" in found.stdout
    assert "does not offer what they need: needs_disk, after_disk" in found.stderr
    told = {"schema": 1, "exercise": "last_one", "ready": False, "left_out": ["needs_disk", "after_disk"]}
    assert of_nobody.json("next") == told


def test_an_exercise_that_needs_software_begins_where_the_lab_was_made_with_it(bench: Bench) -> None:
    root = bench.folder / "exercises"
    (root / "index.toml").write_text(INDEX.replace('"needs_kernel"]', '"needs_hub", "last_one"]'))
    write(root, "needs_hub", bench.nodes / "four", more='software = ["jupyter"]')
    write(root, "last_one", bench.nodes / "five")
    assert needs_of(bench)["needs_hub"] == "jupyter (not here)"
    refused = bench.lab("start", "needs_hub", "-y", code=2).stderr
    assert "needs_hub needs Jupyter on shared storage" in refused
    assert "lab up -l lab --set jupyter=true" in refused
    assert bench.backend.did == []
    bench.backend.spec = replace(small_spec(), jupyter=True)
    assert needs_of(bench)["needs_hub"] == "jupyter"
    assert "next: lab show" in bench.lab("start", "needs_hub", "-y").stdout


def test_a_backend_whose_machines_have_kernels_of_their_own_offers_it_to_nobody(of_nobody: Bench) -> None:
    """What is refused depends on what the backend can do, and on nothing else."""
    of_nobody.backend.rights_needed_for = frozenset()
    assert needs_of(of_nobody)["needs_disk"] == "block-devices"
    assert "next: lab show" in of_nobody.lab("start", "needs_disk", "-y").stdout


@pytest.mark.parametrize(
    ("backend", "lacking"),
    [(DockerBackend, {"block-devices"}), (LibvirtBackend, set()), (FakeBackend, set())],
)
def test_each_backend_says_what_takes_rights_on_the_host(
    backend: type[Lifecycle], lacking: set[str], tmp_path: Path
) -> None:
    made = FakeBackend(tmp_path) if backend is FakeBackend else backend()
    assert made.rights_needed_for == lacking
    assert made.rights_needed_for <= set(CAPABILITIES)


def test_without_a_lab_the_error_says_how_to_get_one(bench: Bench) -> None:
    bench.backend.spec = None
    for words in (["start", "make_file", "-y"], ["check", "make_file"], ["solve", "make_file"]):
        result = bench.lab(*words, code=2)
        assert "there is no lab called lab" in result.stderr
        assert "lab up" in result.stderr


def test_without_an_exercise_the_error_says_how_to_begin(bench: Bench) -> None:
    for words in (["check"], ["show"], ["hint"], ["reset", "-y"]):
        assert "lab start make_file" in bench.lab(*words, code=2).stderr


def test_a_typo_gets_the_nearest_name(bench: Bench) -> None:
    assert "did you mean make_file?" in bench.lab("check", "make_fiel", code=2).stderr


def test_reset_restores_and_forgets(bench: Bench) -> None:
    bench.lab("start", "make_file", "-y")
    bench.lab("solve")
    bench.lab("check")
    assert "is at its start again" in bench.lab("reset", "-y").stdout
    assert bench.json("exercises")["chapters"][0]["exercises"][0]["state"] == "begun"
    bench.lab("check", code=1)
    bench.lab("reset", "make_file", "-y")
    bench.lab("check", code=1)


def test_reset_of_a_node_touches_that_node_only(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    were_reset: list[str] = []

    def reset(_self: Cluster, name: str) -> tuple[Reading, ...]:
        were_reset.append(name)
        return left

    left: tuple[Reading, ...] = ()
    monkeypatch.setattr("lab.cluster.cluster.Cluster.reset", reset)
    assert "c1 is ready again" in bench.lab("reset", "c1", "-y").stdout
    assert were_reset == ["c1"]
    left = (Reading("c1", "in Slurm", ProbeResult.NO, "idle+drain: NHC", Expectation.LEFT),)
    assert "c1 is up again, in Slurm idle+drain: NHC" in bench.lab("reset", "c1", "-y").stdout
    assert "'c9' is neither" in bench.lab("reset", "c9", "-y", code=2).stderr


def test_hints_grow_and_follow_the_steps(bench: Bench) -> None:
    bench.lab("start", "make_file", "-y")
    assert "Nudge." in bench.lab("hint").stdout
    second = bench.lab("hint").stdout
    assert "hint 2 of 2" in second
    assert "Answer: touch." in second
    assert "There are no more hints" in bench.lab("hint").stdout
    again = bench.lab("hint", "--again").stdout
    assert "Nudge." in again
    assert "Answer" in again
    (bench.nodes / "one").write_text("")
    bench.lab("check", code=1)
    assert LOGIN_MAC in bench.lab("hint").stdout  # the first step holds, so this one is for the second
    assert "Nudge." not in bench.lab("hint", "make_more", "fill").stdout
    assert "no step 'fil'" in bench.lab("hint", "make_file", "fil", code=2).stderr
    assert "Answer" in bench.lab("hint", "make").stdout


def test_show_puts_the_labs_values_in(bench: Bench) -> None:
    text = bench.lab("show", "make_file").stdout
    assert f"Then `{LOGIN_MAC}`." in text
    assert "```sh sms" in text


def test_show_works_before_there_is_a_lab(bench: Bench) -> None:
    bench.backend.spec = None
    text = bench.lab("show", "make_file").stdout
    assert "{{" not in text
    assert "52:54:00" in text


def test_on_a_terminal_commands_stay_in_one_piece(capsys: pytest.CaptureFixture[str]) -> None:
    exercise = load(data_folder("exercises")).get("login_node")
    render(exercise.readme(), {"NO_COLOR": "1"})
    lines = capsys.readouterr().out.splitlines()
    commands = [
        command for block in exercise.solution() for command in block.commands if "provision set" in command
    ]
    assert commands
    assert all(command in lines for command in commands)
    assert "  on the host:" in lines
    assert not any(line.startswith("```") for line in lines)


def test_next_at_the_end_says_so(bench: Bench) -> None:
    bench.lab("start", "needs_kernel", "--keep", code=2)
    assert "make_file" in bench.lab("next").stdout
    for name in ("make_file", "make_more"):
        bench.lab("start", name, "-y")
        assert "is not solved yet" in bench.lab("next").stdout
        bench.lab("solve")
    assert "next: lab start needs_kernel" in bench.lab("next").stdout


def test_progress_is_shown_and_exported(bench: Bench) -> None:
    bench.lab("start", "make_file", "-y")
    bench.lab("hint")
    bench.lab("check", code=1)
    line = next(line for line in bench.lab("progress").stdout.splitlines() if line.startswith("make_file"))
    assert line.split()[:5] == ["make_file", "begun", "0/2", "1", "1"]
    assert bench.json("progress")["labs"]["lab"]["current"] == "make_file"
    rows = list(csv.DictReader(io.StringIO(bench.lab("progress", "--csv").stdout)))
    assert rows[0]["hints_taken"] == "1"
    assert "cannot be combined" in bench.lab("progress", "--csv", "--json", code=2).stderr


def test_exercises_are_listed_for_people(bench: Bench) -> None:
    bench.lab("start", "make_file", "-y")
    text = bench.lab("exercises").stdout
    assert "Chapter one" in text
    assert any(line.split()[:3] == ["*", "make_file", "begun"] for line in text.splitlines())
    assert "kernel-version" in text


def test_nothing_judged_is_not_a_pass(bench: Bench) -> None:
    (bench.folder / "exercises" / "make_file" / "check.py").write_text("")
    assert "Nothing was checked" in bench.lab("check", "make_file", code=5).stdout


def test_a_broken_check_is_the_labs_fault(bench: Bench) -> None:
    (bench.folder / "exercises" / "make_file" / "check.py").write_text(
        "from lab.checks import check\n"
        "@check(step='make')\ndef bad(c):\n    'Bad.'\n    raise KeyError('secret')\n"
    )
    result = bench.lab("check", "make_file", code=3)
    assert "the lab's fault, not yours" in result.stdout
    assert "Traceback" not in result.output
    bench.environ["LAB_DEBUG"] = "1"
    assert "Traceback" in bench.lab("check", "make_file", code=3).stderr
