"""Containers of the proof, driven with the engine's own command; secrets go by environment or stdin."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from lab.backends.docker.engine import image as tagged

LABEL = "rackling.slurm-proof"
NETWORK = "slurm-proof"  # internal: nothing in it reaches the host's networks or is reached from them
SUBNET = "198.51.100.0/24"  # of documentation's: nobody has it
RELEASES = {"bullseye": "20.11", "bookworm": "22.05", "trixie": "24.11", "forky": "26.05"}
STATE = "/var/lib/slurm-single-node"
SLURM_UID = 64030  # Debian's account of Slurm, the same in every release
USER_UID = 1001


def docker(
    *words: str,
    check: bool = True,
    stdin: bytes = b"",
    secrets: dict[str, str] | None = None,
    timeout: float = 120,
) -> subprocess.CompletedProcess[bytes]:
    """Runs the engine's command; `secrets` are in its environment, for `-e NAME` without a value."""
    done = subprocess.run(
        ["docker", *words],
        input=stdin,
        capture_output=True,
        timeout=timeout,
        check=False,
        env={**os.environ, **(secrets or {})},
    )
    if check:
        assert done.returncode == 0, f"docker {' '.join(words)}: {done.returncode}\n{told(done)}"
    return done


def told(done: subprocess.CompletedProcess[bytes]) -> str:
    """Everything a process said."""
    return (done.stdout + done.stderr).decode(errors="replace")


def image(kind: str, release: str) -> str:
    return tagged(f"{kind}-{release}")


@dataclass(frozen=True)
class Container:
    """One running container, by its name."""

    name: str
    release: str

    def run(
        self,
        *words: str,
        user: str | int = 0,
        check: bool = True,
        stdin: bytes = b"",
        secrets: dict[str, str] | None = None,
    ) -> subprocess.CompletedProcess[bytes]:
        """Runs a program in the container."""
        names = [word for key in secrets or {} for word in ("-e", key)]
        return docker(
            "exec",
            "-i",
            "-u",
            str(user),
            *names,
            self.name,
            *words,
            check=check,
            stdin=stdin,
            secrets=secrets,
        )

    def out(self, *words: str, user: str | int = 0) -> str:
        """What a program in the container printed."""
        return self.run(*words, user=user).stdout.decode().strip()

    def log(self) -> str:
        return told(docker("logs", self.name))

    def put(self, path: str, content: bytes, mode: str = "644") -> None:
        """Writes a file in the container; the path may have any characters."""
        script = 'mkdir -p "$(dirname "$1")" && cat >"$1" && chmod "$2" "$1"'
        self.run("sh", "-c", script, "put", path, mode, stdin=content)

    def files(self, folder: str) -> dict[str, str]:
        """Digest of each file below a folder, by its path in it."""
        listed = self.run("sh", "-c", 'cd "$1" && find . -type f -exec sha256sum -z {} +', "files", folder)
        pairs = [
            line.split("  ./", 1)
            for line in listed.stdout.decode(errors="surrogateescape").split("\0")
            if line
        ]
        return {name: digest for digest, name in pairs}

    def token(self, user: str, lifespan: int = 600) -> str:
        """A JSON web token for a user, from this container's slurmctld."""
        told = self.out("scontrol", "token", f"username={user}", f"lifespan={lifespan}")
        return told.removeprefix("SLURM_JWT=")


def start(
    name: str,
    release: str,
    kind: str,
    *words: str,
    command: Sequence[str] = (),
    secrets: dict[str, str] | None = None,
) -> Container:
    """Starts a container of the proof in the background."""
    full = f"slurm-{name}-{release}"
    docker("rm", "-fv", full, check=False)
    names = [word for key in secrets or {} for word in ("-e", key)]
    docker(
        "run",
        "-d",
        "--pull=never",
        "--label",
        LABEL,
        "--name",
        full,
        *names,
        *words,
        image(kind, release),
        *command,
        secrets=secrets,
    )
    return Container(full, release)


def wait_ready(container: Container, seconds: float = 120) -> None:
    """Waits until the container says that it is ready; its log is the evidence when it does not."""
    until(
        lambda: "slurm-single-node: ready after" in container.log(),
        seconds,
        "ready",
        container.log,
        stops=lambda: not running(container),
    )


def running(container: Container) -> bool:
    return docker("inspect", "-f", "{{.State.Running}}", container.name).stdout.strip() == b"true"


def until(
    what: Callable[[], bool],
    seconds: float,
    awaited: str,
    evidence: Callable[[], object],
    stops: Callable[[], bool] = lambda: False,
) -> None:
    """Looks until it is so; fails with the evidence when time is up, or at once when it never will be."""
    end = time.monotonic() + seconds
    while not what():
        if time.monotonic() > end or stops():
            pytest.fail(f"not within {seconds:.0f} s: {awaited}\n{evidence()}")
        time.sleep(0.2)


def remove(container: Container) -> None:
    """Removes a container and the volumes that only it had."""
    docker("rm", "-fv", container.name, check=False)


def sweep() -> None:
    """Removes whatever an earlier proof left."""
    for name in docker("ps", "-aq", "--filter", f"label={LABEL}").stdout.decode().split():
        docker("rm", "-fv", name, check=False)
    for name in docker("volume", "ls", "-q", "--filter", f"label={LABEL}").stdout.decode().split():
        docker("volume", "rm", name, check=False)
    docker("network", "rm", NETWORK, check=False)


def volume(name: str) -> str:
    """A new, empty volume of the proof."""
    docker("volume", "rm", "-f", name)
    docker("volume", "create", "--label", LABEL, name)
    return name


def folder(path: Path, files: dict[str, bytes]) -> Path:
    """Writes files to be mounted as /config."""
    for name, content in files.items():
        target = path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    return path
