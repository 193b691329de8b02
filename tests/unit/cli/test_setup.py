"""`lab setup` on the fake backend: images, lab, proof on a throw-away lab, and what it says to type next."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Sequence
from pathlib import Path

import pytest

from lab.cli import setup
from lab.course.proof import PROOF_LAB
from lab.errors import LabError
from tests.unit.cli.test_exercises import INDEX, write
from tests.unit.cli.test_main import Desk, desk

__all__ = ["desk"]  # the fixture
ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """How often the images were built; the engine for it is left out."""
    calls: list[str] = []

    class Images:
        @staticmethod
        def build(names: Sequence[str], *_: object, force: bool) -> None:
            calls.append(f"{' '.join(names)}{force}")

    monkeypatch.setattr("lab.images.provider.images_of", lambda _: Images)
    return calls


@pytest.fixture
def newcomer(desk: Desk, built: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """Somebody whose engine answers, and who has neither images nor a lab."""
    assert built == []
    root = tmp_path / "exercises"
    write(root, "make_file", tmp_path / "one")
    (root / "index.toml").write_text(INDEX.replace(', "make_more", "needs_kernel"', ""))
    monkeypatch.setattr("lab.paths.data_folder", lambda _: root)
    return desk


def labs(desk: Desk) -> list[str]:
    """Which labs were made and removed; the proof's is made after the learner's."""
    calls = [call for call in desk.backend.calls if call.startswith(("apply create", "delete"))]
    names = iter(("lab", PROOF_LAB))
    return [call if call.startswith("delete") else f"create {next(names)}" for call in calls]


def test_it_builds_brings_up_proves_and_says_what_to_type(newcomer: Desk, built: list[str]) -> None:
    done = newcomer("setup", "-y")
    assert done.exit_code == 0, done.output
    assert built == ["False"]
    assert labs(newcomer) == ["create lab", f"create {PROOF_LAB}", f"delete {PROOF_LAB}"]
    said = [line.partition("] ")[2] or line for line in done.stderr.splitlines()]
    steps = [
        "building the node images: minutes the first time, a second when nothing has changed",
        "bringing the lab up",
        f"proving the first exercise, make_file, on a throw-away lab: {PROOF_LAB}",
        "checking make_file before anyone has solved it: it must not pass",
        "typing the solution of make_file",
        "checking make_file again: it must pass",
        f"removing the throw-away lab {PROOF_LAB}",
        "proven: make_file fails unsolved and passes solved",
    ]
    assert [line for line in said if line in steps] == steps
    assert "0 of 2 checks hold" in done.stdout
    assert "Solved: all 2 checks hold." in done.stdout
    assert "\nYour first exercise: Title of make_file. Type:\n\n    " in done.stdout
    assert " start make_file\n" in done.stdout


def test_the_proof_is_not_the_learners_progress(newcomer: Desk) -> None:
    assert newcomer("setup", "-y").exit_code == 0
    assert newcomer.json("exercises")["chapters"][0]["exercises"][0]["state"] == "new"


def test_without_a_terminal_and_without_y_there_is_no_proof(newcomer: Desk) -> None:
    assert newcomer("setup").exit_code == 0
    assert labs(newcomer) == ["create lab"]


@pytest.mark.parametrize(("answer", "proven"), [("\n", False), ("n\n", False), ("y\n", True)])
def test_on_a_terminal_it_offers_the_proof(newcomer: Desk, answer: str, proven: bool) -> None:
    newcomer.someone = True
    done = newcomer("setup", answer=answer)
    assert done.exit_code == 0, done.output
    assert "Watch the first exercise being solved on a throw-away lab?" in done.stderr
    assert (f"create {PROOF_LAB}" in labs(newcomer)) is proven


def test_no_proof_is_never_asked_about(newcomer: Desk) -> None:
    newcomer.someone = True
    done = newcomer("setup", "-y", "--no-proof")
    assert "Watch" not in done.stderr
    assert labs(newcomer) == ["create lab"]


def test_json_is_one_object_and_nothing_else(newcomer: Desk) -> None:
    done = newcomer("setup", "-y", "--json")
    told = json.loads(done.stdout)
    command = told.pop("next")
    assert command.endswith(" start make_file")
    assert told == {"schema": 1, "lab": "lab", "backend": "docker", "exercise": "make_file", "proven": True}


def test_a_lab_of_another_name_is_named_in_what_to_type(newcomer: Desk) -> None:
    assert " start make_file -l other\n" in newcomer("setup", "-l", "other").stdout


def test_an_exercise_that_passes_unsolved_fails_the_proof(newcomer: Desk, tmp_path: Path) -> None:
    check = tmp_path / "exercises" / "make_file" / "check.py"
    text = (
        'from lab.checks import ClusterView, check\n\n@check(step="make")\ndef f(c: ClusterView) -> None:\n'
    )
    check.write_text(f'{text}    """So."""\n')
    done = newcomer("setup", "-y")
    assert done.exit_code == 3
    assert "make_file did not fail although nobody has solved it" in done.stderr
    assert "1 of 1" in done.stderr, "the evidence is the report"
    assert "hint: lab doctor" in done.stderr
    assert labs(newcomer)[-1] == f"delete {PROOF_LAB}"
    assert list(newcomer.backend.found) == ["lab"]


def test_a_solution_that_does_not_solve_fails_the_proof(newcomer: Desk, tmp_path: Path) -> None:
    script = tmp_path / "exercises" / "make_file" / "solution.sh"
    script.write_text("#: step make on sms as root\ntrue\n")
    done = newcomer("setup", "-y")
    assert done.exit_code == 3
    assert "make_file did not pass although its solution has been typed" in done.stderr
    assert list(newcomer.backend.found) == ["lab"]


def test_a_throw_away_lab_of_a_killed_run_is_replaced(newcomer: Desk) -> None:
    newcomer("up", "-l", PROOF_LAB)
    assert newcomer("setup", "-y").exit_code == 0
    assert list(newcomer.backend.found) == ["lab"]


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGINT, 130)]
)
def test_a_proof_that_is_ended_leaves_no_throw_away_lab(
    newcomer: Desk, monkeypatch: pytest.MonkeyPatch, number: int, code: int
) -> None:
    def judge(*_: object, **__: object) -> None:
        os.kill(os.getpid(), number)

    monkeypatch.setattr("lab.course.judging.judge", judge)
    before = signal.getsignal(signal.SIGTERM)
    done = newcomer("setup", "-y")
    assert done.exit_code == code
    assert list(newcomer.backend.found) == ["lab"]
    assert signal.getsignal(signal.SIGTERM) == before
    assert number != signal.SIGINT or "interrupted: the lab is up" in done.stderr


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_build_whose_terminal_is_closed_ends_what_it_started(
    newcomer: Desk, monkeypatch: pytest.MonkeyPatch, number: int, code: int
) -> None:
    ended: list[str] = []

    class Images:
        @staticmethod
        def build(*_: object, force: bool) -> None:
            del force
            try:
                os.kill(os.getpid(), number)
            finally:
                ended.append("the programs of the build")

    monkeypatch.setattr("lab.images.provider.images_of", lambda _: Images)
    before = signal.getsignal(number)
    assert newcomer("images", "build").exit_code == code
    assert ended == ["the programs of the build"]
    assert signal.getsignal(number) == before


def test_a_lab_that_cannot_be_removed_does_not_hide_why_the_proof_failed(
    newcomer: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise LabError("the engine went away")

    monkeypatch.setattr(newcomer.backend, "delete", refuse)
    (tmp_path / "exercises" / "make_file" / "solution.sh").write_text("#: step make on sms as root\ntrue\n")
    done = newcomer("setup", "-y")
    assert "make_file did not pass" in done.stderr
    assert f"type: lab down -l {PROOF_LAB} -y" in done.stderr


def test_a_cluster_without_the_exercises_nodes_is_not_proven(newcomer: Desk, tmp_path: Path) -> None:
    text = tmp_path / "exercises" / "make_file" / "exercise.toml"
    text.write_text(text.read_text().replace("[[steps]]", 'capabilities = ["kernel-version"]\n[[steps]]', 1))
    newcomer.backend.missing = frozenset({"kernel-version"})
    done = newcomer("setup", "-y")
    assert done.exit_code == 0, done.output
    assert "no proof: make_file needs kernel-version" in done.stderr
    assert labs(newcomer) == ["create lab"]


def test_it_asks_before_work_is_lost_with_y_too(newcomer: Desk) -> None:
    newcomer("up", "--set", "c.count=3")
    done = newcomer("setup", "-y", LAB_SET="c.count=2")
    assert done.exit_code == 2
    assert "will be lost" in done.stderr
    assert "hint: lab up -l lab" in done.stderr
    assert newcomer.backend.found["lab"].power["c3"].value == "on"


def silent_engine(desk: Desk, monkeypatch: pytest.MonkeyPatch, evidence: str) -> None:
    def refuse() -> None:
        raise LabError("Docker's engine does not answer", evidence=evidence, hint="something else")

    monkeypatch.setattr(desk.backend, "labs", refuse)


def test_without_an_engine_a_checkout_names_quickstart(
    newcomer: Desk, built: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    silent_engine(newcomer, monkeypatch, "no such file")
    done = newcomer("setup", "-y")
    assert done.exit_code == 3
    assert "Docker's engine does not answer" in done.stderr
    assert f"hint: {ROOT / 'quickstart'}\n" in done.stderr
    newcomer.folder = ROOT
    assert "hint: ./quickstart\n" in newcomer("setup").stderr
    assert built == []


@pytest.mark.parametrize(
    ("evidence", "hint"),
    [
        ("no such file", "sudo apt-get install docker.io mmdebstrap debian-archive-keyring uidmap"),
        ("[Errno 13] Permission denied", "sudo usermod -aG docker "),
    ],
)
def test_without_an_engine_an_installed_package_names_debians(
    newcomer: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, evidence: str, hint: str
) -> None:
    monkeypatch.setattr("lab.paths.PACKAGE", tmp_path / "site-packages" / "lab")
    silent_engine(newcomer, monkeypatch, evidence)
    assert f"hint: {hint}" in newcomer("setup").stderr


def test_a_login_that_predates_the_membership_is_not_told_to_install(
    newcomer: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> None:
        raise LabError("no answer", evidence="Permission denied", hint="newgrp docker   (later)")

    monkeypatch.setattr(newcomer.backend, "labs", refuse)
    assert "hint: newgrp docker   (later)\n" in newcomer("setup").stderr


@pytest.mark.parametrize("backend", sorted(setup.PACKAGES))
def test_quickstart_installs_the_same_packages(backend: str) -> None:
    script = (ROOT / "quickstart").read_text(encoding="utf-8")
    assert [name for name in setup.PACKAGES[backend].split() if name not in script] == []


def test_a_new_member_of_the_group_learns_of_newgrp(newcomer: Desk) -> None:
    assert "newgrp docker" in newcomer("setup", RACKLING_JOINED_DOCKER="yes").stdout
    assert "newgrp docker" not in newcomer("setup").stdout


def test_it_is_called_as_path_finds_it(
    newcomer: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "here" / "venv"
    (home / "bin").mkdir(parents=True)
    program = home / "bin" / "lab"
    program.touch(mode=0o755)
    monkeypatch.setattr("sys.prefix", str(home))
    unknown = newcomer("setup", PATH="/nowhere").stdout
    assert "\n    venv/bin/lab start make_file\n" in unknown
    assert f". {home}/bin/activate" in unknown
    known = newcomer("setup", PATH=str(home / "bin")).stdout
    assert "\n    lab start make_file\n" in known
    assert "activate" not in known
