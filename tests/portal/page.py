"""The page as a browser sees it: cookies and the panel's endpoints; containers by Docker's command."""

from __future__ import annotations

import http.cookiejar
import json
import os
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from lab.backends.docker.engine import image as tagged

NAME = "proof"
LABEL = "rackling.portal-proof"
FRESH = "the page answers; token and configuration are fresh"
"""What health says when all is well."""
SLURM, PAGE = f"rackling_portal-{NAME}-slurm", f"rackling_portal-{NAME}-jupyter"
HARDENED = (
    "--user", "1001:1001", "--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges",
    "--tmpfs", "/tmp", "--tmpfs", "/run/slurm:mode=700,uid=1001",
    "--tmpfs", "/home/user1:mode=700,uid=1001",
)  # fmt: skip


def docker(
    *words: str, check: bool = True, secrets: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Runs the engine's command; `secrets` are in its environment, for `-e NAME` without a value."""
    env = {**os.environ, **(secrets or {})}
    done = subprocess.run(
        ["docker", *words], capture_output=True, text=True, check=False, timeout=120, env=env
    )
    assert not check or done.returncode == 0, f"docker {' '.join(words)}: {done.stdout}{done.stderr}"
    return done


def inside(container: str, *words: str, user: str = "0") -> str:
    """What a program in a container printed."""
    return docker("exec", "-u", user, container, *words).stdout.strip()


def remove_all() -> None:
    """Removes the notebooks that a test has started."""
    for one in docker("ps", "-aq", "--filter", f"label={LABEL}").stdout.split():
        docker("rm", "-fv", one, check=False)


def until(what: Callable[[], Any], seconds: float, awaited: str) -> Any:
    """Looks until there is something; its last word is the evidence when time is up."""
    end = time.monotonic() + seconds
    while not (found := what()):
        if time.monotonic() > end:
            pytest.fail(f"not within {seconds:.0f} s: {awaited}; {found!r}")
        time.sleep(0.1)
    return found


@dataclass(frozen=True)
class Answer:
    """An answer of the page."""

    status: int
    content: dict[str, Any]


class Page:
    """A browser with cookies that has opened an address."""

    def __init__(self, address: str, release: str) -> None:
        self.base, _, _ = address.partition("/lab?")
        self.release = release
        self.jar = http.cookiejar.CookieJar()
        self._opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPCookieProcessor(self.jar)
        )
        with self._opener.open(address, timeout=30) as opened:
            assert b"jupyter-config-data" in opened.read()
            assert opened.geturl() == address, "it asks to sign in"

    def ask(self, method: str, path: str, body: object = None) -> Answer:
        """Asks an endpoint of the panel as its script does."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(  # noqa: S310 - of loopback
            f"{self.base}/jupyterlab_slurm/{path}", data, method=method
        )
        request.add_header("Content-Type", "application/json")
        for cookie in self.jar:
            if cookie.name == "_xsrf":
                request.add_header("X-XSRFToken", cookie.value or "")
        try:
            with self._opener.open(request, timeout=70) as reply:
                return Answer(reply.status, json.loads(reply.read()))
        except urllib.error.HTTPError as refused:
            with refused:
                return Answer(refused.code, json.loads(refused.read()))

    def queue(self) -> dict[str, list[str]]:
        """The panel's table by job number."""
        answer = self.ask("GET", "squeue")
        assert answer.status == 200, answer
        return {row[0]: row for row in answer.content["data"]["rows"]}

    def submit(self, text: str) -> str:
        """Writes a script into the user's home and submits it: the job's number."""
        write = ("python3", "-c", "import sys; open('job.sh', 'w').write(sys.argv[1])", text)
        docker("exec", "-w", "/home/user1", PAGE, *write)
        done = self.ask("POST", "sbatch", {"inputPath": "/home/user1/job.sh", "outputPath": "/home/user1"})
        assert done.content["success"], done
        return str(done.content["data"]["jobId"])


@dataclass(frozen=True)
class Notebook:
    """A notebook's container of its own, started by `docker run` alone."""

    name: str

    def log(self) -> str:
        done = docker("logs", self.name)
        return done.stdout + done.stderr

    def health(self) -> str:
        return docker("exec", self.name, "/usr/lib/slurm-jupyter/health", check=False).stdout.strip()

    def squeue(self) -> subprocess.CompletedProcess[str]:
        """As the panel calls it."""
        return self.program("panel/squeue")

    def program(self, name: str, *words: str) -> subprocess.CompletedProcess[str]:
        return docker("exec", self.name, f"/usr/lib/slurm-jupyter/{name}", *words, check=False)


def notebook(
    release: str,
    *words: str,
    hardened: bool = True,
    controller: str = "slurm",
    user: str = "user1:1001:1001",
    network: str = f"rackling_portal-{NAME}",
    secrets: dict[str, str] | None = None,
) -> Notebook:
    """Starts a notebook on the portal's network."""
    name = f"portal-proof-{time.monotonic_ns()}"
    names = [word for key in secrets or {} for word in ("-e", key)]
    docker(
        "run", "-d", "--pull=never", "--label", LABEL, "--name", name, "--network", network,
        "-e", f"SLURM_CONTROLLER={controller}", "-e", f"SLURM_USER={user}", *names,
        *(HARDENED if hardened else ()), *words, tagged(f"slurm-jupyter-{release}"),
        secrets=secrets,
    )  # fmt: skip
    return Notebook(name)


def token(user: str, lifespan: int = 600) -> dict[str, str]:
    """A token of Slurm's own for a user, as an environment."""
    told = inside(SLURM, "scontrol", "token", f"username={user}", f"lifespan={lifespan}")
    return {"SLURM_JWT": told.removeprefix("SLURM_JWT=")}
