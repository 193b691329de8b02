"""submitit and dask-jobqueue run a job each: a client with a token, and one /home for it and the node."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.slurm import engine
from tests.slurm.engine import Container, docker, start, told, until, wait_ready

HERE = Path(__file__).parent
HOME = "/home/user1"
PROGRAMS = {"submitit": "submit_with_submitit.py", "dask": "submit_with_dask.py"}


def install(target: Path, python: str) -> None:
    """Puts the pinned packages into a folder, as wheels for another Python than ours."""
    pins = HERE / ("python-clients-3.9.txt" if python == "3.9" else "python-clients.txt")
    wheels = ["--only-binary=:all:", "--platform=manylinux_2_28_x86_64", "--platform=manylinux2014_x86_64"]
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", f"--python-version={python}"]
    done = subprocess.run(
        [*command, *wheels, f"--target={target}", "-r", str(pins)],
        capture_output=True, timeout=240, check=False,
    )  # fmt: skip
    assert done.returncode == 0, told(done)


@pytest.fixture(scope="module")
def submitter(network: str, release: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Container]:
    """A client whose /home, with a virtual environment in it, is the node's too."""
    home = engine.volume(f"slurm-home-{release}")
    shared = ["--network", network, "-v", f"{home}:/home"]
    made = [start("jobs", release, "slurm-single-node", "--hostname", f"jobs-{release}", *shared)]
    try:
        wait_ready(made[0])
        words = ["-e", f"SLURM_CONTROLLER=jobs-{release}", "-e", "SLURM_USER=user1:1001:1001", *shared]
        secrets = {"SLURM_JWT": made[0].token("user1", 3600)}
        command = ["sleep", "infinity"]
        made.append(start("submitter", release, "slurm-client", *words, command=command, secrets=secrets))
        client = made[1]
        until(
            lambda: client.run("test", "-e", "/run/slurm/conf/slurm.conf", check=False).returncode == 0,
            30, "fetched", client.log,
        )  # fmt: skip
        version = 'import sys; print("%d.%d" % sys.version_info[:2])'
        python = client.out("python3", "-c", version)
        packages = tmp_path_factory.mktemp("packages")
        install(packages, python)
        client.run("python3", "-m", "venv", "--without-pip", f"{HOME}/venv", user=engine.USER_UID)
        docker("cp", f"{packages}/.", f"{client.name}:{HOME}/venv/lib/python{python}/site-packages")
        yield client
    finally:
        for container in reversed(made):
            engine.remove(container)
        docker("volume", "rm", home, check=False)


@pytest.mark.quick
@pytest.mark.parametrize("package", PROGRAMS)
def test_it_runs_a_job(submitter: Container, package: str) -> None:
    program = (HERE / PROGRAMS[package]).read_bytes()
    script = f"cd {HOME} && exec timeout 120 venv/bin/python -"
    done = submitter.run("sh", "-c", script, user=engine.USER_UID, stdin=program, check=False)
    assert (done.returncode, done.stdout.split()) == (0, [b"1024"]), told(done)
