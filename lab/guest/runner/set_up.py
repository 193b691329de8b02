"""`set-up`, at each boot: gets the runner's keys from the SMS, and makes the first repository."""

from __future__ import annotations

import http.client
import io
import os
import tarfile
import time
from collections.abc import Callable

from lab.guest.runner import results
from lab.guest.runner.checkout import git
from lab.guest.runner.places import (
    CONTAINER_KEY,
    DELIVERY_KEY,
    EXAMPLE,
    GIT_KEYS,
    SMS,
    RunnerError,
    repository,
)
from lab.guest.system import System

KEYS = {
    "host_key": ("/etc/ssh/ssh_host_ed25519_key", 0o600),
    "host_key.pub": ("/etc/ssh/ssh_host_ed25519_key.pub", 0o644),
    "known_hosts": ("/etc/ssh/ssh_known_hosts", 0o644),
    "root_keys": ("/root/.ssh/authorized_keys", 0o600),
    "git_keys": (GIT_KEYS, 0o644),
    "delivery_key": (DELIVERY_KEY, 0o600),
    "signing_key": ("/etc/nodeimage/signing_key", 0o600),
}
"""What the SMS sends (lab/guest/setup/runner.py), and where it lies here."""
PATH = "/WW/runner"
READY = "/run/runner/ready"
FIRST = "compute"


def run(system: System, *, sleep: Callable[[float], None] = time.sleep) -> None:
    """Sets the runner up, and waits for an SMS that boots later."""
    address = system.text(SMS).strip()
    while (data := fetch(address)) is None:
        sleep(1)
    install(system, data)
    if not system.exists(CONTAINER_KEY):
        key = system.path(CONTAINER_KEY)
        _must(system, ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "runner", "-f", key])
    if not system.exists(repository(FIRST)):
        create(system, FIRST, example=True)
    results.write_list(system)
    _must(system, ["systemctl", "restart", "ssh.service"])
    system.write(READY, b"ok\n")


def fetch(address: str) -> bytes | None:
    """The keys, which the SMS gives only to root on the runner: the port is below 1024. None: not yet."""
    port = 200 + int.from_bytes(os.urandom(2), "big") % 800
    asked = http.client.HTTPConnection(address, 80, timeout=5, source_address=("", port))
    try:
        asked.request("GET", PATH)
        answer = asked.getresponse()
        data = answer.read()
    except (OSError, http.client.HTTPException):
        return None
    finally:
        asked.close()
    return data if answer.status == 200 else None


def install(system: System, data: bytes) -> None:
    """Writes the keys to their places; an unknown one is none of ours."""
    system.make_dir("/root/.ssh", mode=0o700)
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        for member in archive:
            known, source = KEYS.get(member.name), archive.extractfile(member)
            if known is not None and source is not None:
                system.write(known[0], source.read(), mode=known[1])


def create(system: System, name: str, *, example: bool = False) -> str:
    """Makes a bare repository that the lab reaches by ssh; with `example`, it has a role and its tests."""
    place = repository(name)
    if system.exists(place):
        hint = f"git clone git@HOST:{name}.git"
        raise RunnerError(f"there is a repository {name} already", evidence=place, hint=hint)
    real = system.path(place)
    system.make_dir(place)
    git(system, real, "init", "--bare", "--quiet")
    if example:
        tree = f"--work-tree={system.path(EXAMPLE)}"
        git(system, real, tree, "add", "--all")
        git(system, real, tree, "commit", "--quiet", "--message", "A role, its configuration and its tests")
    _must(system, ["chown", "-R", "git:git", real])
    return place


def _must(system: System, words: list[str]) -> None:
    done = system.run(words)
    if done.status:
        raise RunnerError(
            f"{words[0]} failed", evidence=done.err.decode(errors="replace").strip(), hint=" ".join(words)
        )
