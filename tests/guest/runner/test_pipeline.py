"""A push runs the pipeline of the pushed commit, shows it as it goes, and keeps what came of it."""

from __future__ import annotations

import io
import os
import threading
import time
from pathlib import Path

import pytest

from lab.guest.runner import checkout, pipeline
from lab.guest.runner.places import RunnerError
from tests.guest.runner.bed import Bed


def test_a_push_shows_the_pipeline_and_says_how_it_ended(bed: Bed) -> None:
    commit = bed.commit("echo building")
    seen = bed.push().splitlines()
    assert seen[0].startswith(f"pipeline 1 of compute: main {commit[:12]}, http://")
    assert seen[1] == "building"
    assert seen[2].startswith("pipeline 1 passed after ")
    result = bed.result(1)
    assert (result.outcome, result.commit, result.ref, result.author) == ("passed", commit, "main", "a")
    assert bed.kept(1, "log.txt").read_text().splitlines() == seen


def test_a_failed_job_is_named_where_the_push_ends_and_in_the_record(bed: Bed) -> None:
    bed.commit("echo 'Some  FAIL  text'; echo ' FAIL  test-tree  '; exit 1")
    assert "\npipeline 1 failed in test-tree after " in bed.push()
    assert (bed.result(1).outcome, bed.result(1).failed) == ("failed", ["test-tree"])


def test_what_is_not_committed_is_not_built(bed: Bed) -> None:
    bed.commit("cat about; git status --porcelain", about="committed\n")
    (bed.work / "about").write_text("edited\n")
    assert "\ncommitted\n" in bed.push()
    build = bed.root / "var/lib/runner/builds/compute"
    (build / "about").write_text("somebody was here\n")
    (build / "left").write_text("over\n")
    bed.commit("cat about; ls", about="again\n")
    seen = bed.push().splitlines()
    assert seen[1:4] == ["again", "about", "pipeline.sh"]


def test_the_commit_is_built_that_was_pushed_though_its_branch_has_moved_on(bed: Bed) -> None:
    first = bed.commit("git rev-parse HEAD; git symbolic-ref HEAD")
    bed.push()
    second = bed.commit("false")
    bed.git(bed.work, "push", "--quiet", "origin", "HEAD:refs/heads/main")
    out = io.StringIO()
    pipeline.receive(bed.system, str(bed.bare), [f"{second} {first} refs/heads/main"], out)
    assert out.getvalue().splitlines()[1:3] == [first, "refs/heads/main"]


def test_a_tag_is_a_variable_as_on_gitlab(bed: Bed) -> None:
    bed.commit('echo "$@"; git describe --tags --exact-match')
    bed.git(bed.work, "tag", "-m", "a release", "v1.2")
    assert bed.push("v1.2:refs/tags/v1.2").splitlines()[1:3] == ["--variable=CI_COMMIT_TAG=v1.2", "v1.2"]
    assert "CI_COMMIT_TAG" not in bed.push()


def test_a_commit_without_a_pipeline_and_a_removed_branch_do_nothing(bed: Bed) -> None:
    bed.commit("true")
    bed.git(bed.work, "rm", "--quiet", ".gitlab-ci.yml")
    bed.git(bed.work, "commit", "--quiet", "--message", "none")
    assert bed.push().endswith("has no .gitlab-ci.yml, so nothing is done\n")
    assert checkout.pushes("compute", [f"{'a' * 40} {'0' * 40} refs/heads/main\n"]) == ([], [])
    assert not bed.kept(1, "").exists()


@pytest.mark.parametrize(
    "name", ["$(touch$IFS/tmp/x)", "a;reboot", "`id`", "-rf", "x'y", "a\u202eb", "a\x9bb", "x" * 300]
)
def test_a_name_that_a_shell_could_obey_has_no_pipeline_and_is_shown_harmlessly(bed: Bed, name: str) -> None:
    out = io.StringIO()
    commit = bed.commit("echo never")
    bed.git(bed.work, "push", "--quiet", "origin", "HEAD:refs/heads/main")
    pipeline.receive(bed.system, str(bed.bare), [f"{'0' * 40} {commit} refs/heads/{name}"], out)
    assert out.getvalue().startswith("no pipeline for refs/heads/")
    assert "never" not in out.getvalue()
    assert out.getvalue().rstrip("\n").isprintable()


def test_what_a_pipeline_prints_steers_no_terminal(bed: Bed) -> None:
    bed.commit(r"printf '\033]0;title\007\033[2Jplain\302\233\n'")
    assert bed.push().splitlines()[1] == "plain"
    assert "\x1b" not in bed.kept(1, "log.txt").read_text()


def test_author_and_subject_are_text_that_was_pushed(bed: Bed) -> None:
    bed.commit("true")
    bed.git(
        bed.work,
        "commit",
        "--quiet",
        "--amend",
        "--author",
        "a & \x1b[31mb <x@y>",
        "--message",
        "<script>alert(1)</script>",
    )
    bed.push()
    page = bed.kept(1, "index.html").read_text() + bed.kept(1, "../index.html").read_text()
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "a &amp; b" in page
    assert "<script" not in page
    assert "\x1b" not in page


def test_only_one_pipeline_runs_and_the_second_push_waits_and_says_so(bed: Bed, tmp_path: Path) -> None:
    gate, order = tmp_path / "gate", tmp_path / "order"
    os.mkfifo(gate)
    bed.commit(f"echo 1 >>{order}; cat {gate}; echo 1 >>{order}")
    one = threading.Thread(target=bed.push)
    one.start()
    end = time.monotonic() + 20
    while not order.exists() and time.monotonic() < end:
        time.sleep(0.01)
    commit = bed.commit(f"echo 2 >>{order}")
    seen: list[str] = []
    two = threading.Thread(target=lambda: seen.append(bed.push()))
    two.start()
    two.join(0.5)
    assert two.is_alive()
    gate.write_text("")
    one.join(20)
    two.join(20)
    assert order.read_text().split() == ["1", "1", "2"]
    lines = seen[0].splitlines()
    assert lines[0].startswith("another pipeline runs: compute, main ")
    assert lines[0].endswith("; this one waits")
    assert lines[1].startswith(f"pipeline 2 of compute: main {commit[:12]}")


class Gone(io.StringIO):
    """The standard output of a hook whose pusher has gone away."""

    def write(self, text: str) -> int:
        """Fails as a pipe without a reader does."""
        raise BrokenPipeError


def test_a_pusher_who_goes_away_stops_nothing(bed: Bed) -> None:
    commit = bed.commit("echo all of it")
    bed.git(bed.work, "push", "--quiet", "origin", "HEAD:refs/heads/main")
    pipeline.receive(bed.system, str(bed.bare), [f"{'0' * 40} {commit} refs/heads/main"], Gone())
    assert bed.result(1).outcome == "passed"
    assert "all of it" in bed.kept(1, "log.txt").read_text()


def test_a_program_that_is_missing_is_an_error_and_no_success(
    bed: Bed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "INTERPRETER", ("/nonexistent/gitlab-ci-local",))
    bed.commit("true")
    seen = bed.push()
    assert "pipeline 1 could not run after" in seen
    assert bed.result(1).outcome == "error"


@pytest.mark.parametrize("path", ["/etc", "/srv/git/../../etc/x.git", "/srv/git/compute", "compute.git"])
def test_only_repositories_of_the_runner_receive(bed: Bed, path: str) -> None:
    with pytest.raises(RunnerError, match="is no repository of this runner"):
        pipeline.receive(bed.system, path, [], io.StringIO())
