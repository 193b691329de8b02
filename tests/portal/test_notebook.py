"""One notebook by `docker run` alone: how quick it is, how it ends, and what it says when it cannot work."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.backends.docker.engine import image as tagged
from tests.portal.page import (
    FRESH,
    LABEL,
    NAME,
    SLURM,
    Notebook,
    Page,
    docker,
    inside,
    notebook,
    remove_all,
    token,
    until,
)


@pytest.fixture(autouse=True)
def _removed() -> Iterator[None]:
    yield
    remove_all()


def ready(one: Notebook, seconds: float = 60) -> float:
    """Seconds until the page answered, by its own log."""
    found = until(lambda: re.search(r"ready after ([0-9.]+) s", one.log()), seconds, f"ready: {one.log()}")
    return float(found[1])


def squeue_says(one: Notebook, sentence: str, seconds: float = 30) -> None:
    """The page's squeue fails with this sentence, and the log has it; never an empty table."""
    end, done = time.monotonic() + seconds, one.squeue()
    while sentence not in done.stderr and time.monotonic() < end:
        time.sleep(0.2)
        done = one.squeue()
    assert sentence in done.stderr, f"{done}\n{one.log()}"
    assert (done.returncode != 0, done.stdout) == (True, "")
    until(lambda: sentence in one.log(), 20, f"{sentence!r} in the log: {one.log()}")


@pytest.mark.quick
def test_it_is_small_and_ends_when_it_is_asked_to(page: Page) -> None:
    taken = []
    for _ in range(2):
        one = notebook(page.release, secrets=token("user1"))
        taken.append(ready(one))
    until(lambda: one.health() == FRESH, 30, "a fresh configuration")
    used = docker("stats", "--no-stream", "--format", "{{.MemUsage}}", one.name).stdout.split()[0]
    size = int(docker("image", "inspect", "-f", "{{.Size}}", tagged(f"slurm-jupyter-{page.release}")).stdout)
    begin = time.monotonic()
    docker("stop", "-t", "5", one.name)
    stopped = time.monotonic() - begin
    code = docker("inspect", "-f", "{{.State.ExitCode}}", one.name).stdout.strip()
    print(f"answers after {min(taken)} s, stops in {stopped:.1f} s, idle {used}, image {size / 1e6:.0f} MB")
    assert code == "0", "a killed one ends with 137"
    assert size <= 450e6
    assert float(used.removesuffix("MiB")) <= 100


def test_started_as_root_it_becomes_the_user(page: Page) -> None:
    one = notebook(page.release, hardened=False, secrets=token("user2"), user="user2:1002:1002")
    ready(one)
    owners = docker("exec", one.name, "sh", "-c", "cat /proc/[0-9]*/status | grep ^Uid: | sort -u").stdout
    assert "Uid:\t1002\t1002\t1002\t1002" in owners
    running = docker("top", one.name, "-eo", "pid,uid,args").stdout.splitlines()[1:]
    assert {line.split()[1] for line in running} == {"1002"}
    until(lambda: one.health() == FRESH, 30, "a fresh configuration")
    done = docker("exec", "-u", "1002", one.name, "/usr/lib/slurm-jupyter/bin/squeue", "-h", check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("-e", "SLURM_USER="), "SLURM_USER does not name the user"),
        (("-e", "SLURM_CONTROLLER="), "no controller in SLURM_CONTROLLER"),
        ((), "no token: none of"),
        (("-e", "SLURM_JWT_FILE=/a", "--user", "1002:1002"), "runs as 1002, and SLURM_USER says 1001"),
        (("-e", "SLURM_JWT_FILE=/a", "-e", "HOME=/nonexistent"), "/nonexistent cannot be written"),
        (("-e", "SLURM_JWT_FILE=/a", "-e", "JUPYTER_TOKEN=1234"), "JUPYTER_TOKEN has less than"),
        (("-e", "SLURM_JWT_FILE=/a", "--tmpfs", "/run/slurm:ro,mode=755"), "cannot be filled"),
    ],
)
def test_what_cannot_start_says_why(page: Page, words: tuple[str, ...], sentence: str) -> None:
    one = notebook(page.release, *words)
    until(
        lambda: docker("inspect", "-f", "{{.State.Running}}", one.name).stdout.strip() == "false", 20, "end"
    )
    assert docker("inspect", "-f", "{{.State.ExitCode}}", one.name).stdout.strip() == "2"
    errors = [line for line in one.log().splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert sentence in errors[0]


def test_a_port_that_is_taken_is_said(page: Page) -> None:
    first = notebook(page.release, secrets=token("user1"))
    ready(first)
    one = notebook(page.release, network=f"container:{first.name}", secrets=token("user1"))
    until(lambda: "cannot have port 8888" in one.log(), 20, "the sentence")


@pytest.mark.quick
def test_an_expired_token_says_renew_and_never_no_jobs(page: Page, tmp_path: Path) -> None:
    """And a new one counts at once: the file is read for each command."""
    file = tmp_path / "token"
    tmp_path.chmod(0o755)
    file.write_text(token("user1", 5)["SLURM_JWT"])
    words = ("-v", f"{tmp_path}:/token:ro", "-e", "SLURM_JWT_FILE=/token/token", "-p", "127.0.0.1::8888")
    one = notebook(page.release, *words, "-e", "JUPYTER_LISTEN=0.0.0.0")
    ready(one)
    squeue_says(one, "your Slurm token expired at")
    assert "renew it" in one.squeue().stderr
    port = docker("port", one.name, "8888").stdout.strip().rpartition(":")[2]
    code = one.program("url").stdout.strip().rpartition("=")[2]
    answer = Page(f"http://127.0.0.1:{port}/lab?token={code}", page.release).ask("GET", "squeue")
    assert (answer.status, answer.content["data"]["rows"]) == (500, [])
    assert "expired" in answer.content["errorMessage"]
    assert "renew it" in answer.content["errorMessage"]
    file.write_text(token("user1")["SLURM_JWT"])
    until(lambda: one.squeue().returncode == 0, 20, "the new token counts")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("nonsense", "holds no Slurm token: renew it"),
        ("", "holds no Slurm token"),
        (None, "there is no Slurm token"),
    ],
)
def test_a_bad_token_is_said(page: Page, tmp_path: Path, text: str | None, sentence: str) -> None:
    tmp_path.chmod(0o755)
    if text is not None:
        (tmp_path / "token").write_text(text)
    one = notebook(page.release, "-v", f"{tmp_path}:/token:ro", "-e", "SLURM_JWT_FILE=/token/token")
    squeue_says(one, sentence)


def test_anothers_token_and_a_forged_one_are_said(page: Page) -> None:
    squeue_says(notebook(page.release, secrets=token("user2")), "is user2's, and this notebook is user1's")
    good = token("user1")["SLURM_JWT"]
    forged = {"SLURM_JWT": f"{good.rpartition('.')[0]}.{'A' * 43}"}
    squeue_says(notebook(page.release, secrets=forged), "renew it")


def test_a_controller_that_is_away_is_said_and_comes_back(page: Page) -> None:
    one = notebook(page.release, controller="nowhere.invalid", secrets=token("user1"))
    squeue_says(one, "nowhere.invalid")
    other = notebook(page.release, secrets=token("user1"))
    until(lambda: other.health() == FRESH, 30, "a fresh configuration")
    docker("network", "disconnect", f"rackling_portal-{NAME}", other.name)
    until(lambda: "Slurm's controller does not answer" in other.squeue().stderr, 60, "the sentence")
    docker("network", "connect", f"rackling_portal-{NAME}", other.name)
    until(lambda: other.squeue().returncode == 0, 60, "the controller is back")


def test_another_release_is_said_or_served(page: Page) -> None:
    """An older client is served by a newer controller; a newer client is not by an older one."""
    if page.release == "trixie":
        one = notebook("forky", secrets=token("user1"))
        squeue_says(one, "another Slurm release: 24.11, and this image of 26.05: take slurm-jupyter-trixie")
    else:
        one = notebook("trixie", secrets=token("user1"))
        until(lambda: one.squeue().returncode == 0, 30, "an older client is served")


def test_with_a_munge_key_it_is_said_what_that_means(page: Page) -> None:
    """The second way: the key as Kubernetes mounts it, a link to a link."""
    volume = f"{LABEL}-key"
    docker("volume", "rm", "-f", volume)
    docker("volume", "create", "--label", LABEL, volume)
    try:
        links = "ln -s ..1 /k/..data && ln -s ..data/munge.key /k/munge.key"
        script = f"mkdir /k/..1 && cat >/k/..1/munge.key && {links}"
        key = inside(SLURM, "base64", "-w0", "/etc/munge/munge.key")
        fill = ("run", "--rm", "--pull=never", "-e", "KEY", "-v", f"{volume}:/k", "--entrypoint", "sh")
        docker(*fill, tagged(f"slurm-jupyter-{page.release}"), "-c", f"echo $KEY | base64 -d | ( {script} )",
               secrets={"KEY": key})  # fmt: skip
        words = (
            "-v",
            f"{volume}:/k:ro",
            "-e",
            "MUNGE_KEY_FILE=/k/munge.key",
            "--tmpfs",
            "/run/munge:mode=755,uid=1001",
        )
        one = notebook(page.release, *words)
        until(lambda: one.health() == FRESH, 30, f"fresh: {one.log()}")
        assert "can be any user of the cluster" in one.log()
        done = one.squeue()
        assert (done.returncode, done.stderr) == (0, "")
        docker("rm", "-fv", one.name)
    finally:
        docker("volume", "rm", "-f", volume)


def test_docker_sees_whether_the_page_answers(page: Page) -> None:
    one = notebook(page.release, "--health-interval", "1s", secrets=token("user1"))
    state = ("inspect", "-f", "{{.State.Health.Status}}", one.name)
    until(lambda: docker(*state).stdout.strip() == "healthy", 60, "healthy")
