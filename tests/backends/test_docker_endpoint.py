"""The engine that we find is the one that the command `docker` finds, in every way to name one."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from lab.backends.docker.endpoint import resolve

VARIABLES = ("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_TLS", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH")


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of Docker's settings with two contexts, made by `docker` itself; `far` is the one in use."""
    folder = tmp_path_factory.mktemp("docker")
    for name, host in (
        ("near", "host=unix:///run/near.sock"),
        ("far", "host=tcp://far:9,skip-tls-verify=true"),
    ):
        docker({}, folder, "context", "create", name, "--docker", host)
    docker({}, folder, "context", "use", "far")
    return folder


def docker(environ: dict[str, str], folder: Path, *words: str) -> str:
    others = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    done = subprocess.run(
        ["docker", *words],
        env={**others, "DOCKER_CONFIG": str(folder), **environ},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return done.stdout.strip()


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"DOCKER_CONTEXT": "near"},
        {"DOCKER_CONTEXT": "default"},
        {"DOCKER_HOST": "unix:///run/other.sock"},
        {"DOCKER_HOST": "unix:///run/other.sock", "DOCKER_CONTEXT": "near"},
        {"DOCKER_HOST": "tcp://elsewhere"},
        {"DOCKER_HOST": "elsewhere"},
        {"DOCKER_HOST": "ssh://me@elsewhere"},
        {"DOCKER_TLS": "1"},
    ],
    ids=str,
)
def test_we_find_the_engine_that_docker_finds(settings: Path, environ: dict[str, str]) -> None:
    theirs = docker(environ, settings, "context", "inspect", "--format", "{{.Endpoints.docker.Host}}")
    assert resolve({"DOCKER_CONFIG": str(settings), **environ}).host == theirs
