"""The only access to Docker's engine: a client that is created on first use, and errors users can act on."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeAlias

from lab.backends.docker.endpoint import Endpoint, resolve
from lab.backends.docker.no_answer import NOT_REACHED, no_answer_hint
from lab.backends.editions import edition
from lab.backends.object_names import PREFIX, object_name
from lab.errors import LabError

if TYPE_CHECKING:
    from docker import APIClient

    from lab.backends.docker.peek import Peek

LAB = f"{PREFIX}.lab"
PART = f"{PREFIX}.part"  # "node", "switch", "volume", "spec", "restoring", "booting", "snapshot" or "state"
NODE = f"{PREFIX}.node"
SPEC = f"{PREFIX}.spec"
CREATED = f"{PREFIX}.created"
OWNER = f"{PREFIX}.owner"
PROFILE = f"{PREFIX}.profile"  # digest of what a container was made from
SNAPSHOT = f"{PREFIX}.snapshot"
IMAGE = f"{PREFIX}.image"  # tag of the image that a build made, also of what was made from it since
VOLUMES = f"{PREFIX}.volumes"  # of an image: where its chassis has the lab's volumes
BOOT = f"{PREFIX}.boot"  # what a command has begun (lab.model, PendingBoot)
BASE = f"{PREFIX}.base"  # the image that a start state was built on
LOCKED = f"{PREFIX}.locked"  # of a lock's volume, which has no other of these: the lab
HOLDER = f"{PREFIX}.holder"  # of a lock's volume: the process (lab.lock_holder, Holder)
POWERED = f"{PREFIX}.powered"  # names of the nodes that were on when a snapshot was taken

API_VERSION = "1.41"  # the first with a private cgroup namespace, and what Debian 12's engine speaks
ANSWER_SECONDS = 120  # how long the engine may be silent during one request, on a quiet host
Engine: TypeAlias = "APIClient | Peek"
"""Code that only reads from the engine or runs a command in a container accepts either."""


def image(name: str) -> str:
    """The tag of one of our images, in this edition."""
    return f"{PREFIX}/{name}:{edition()}"


def connect(endpoint: Endpoint | None = None, timeout: int = ANSWER_SECONDS) -> APIClient:
    """Returns a client of the engine that the user's `docker` talks to; LabError when none answers."""
    import docker
    import requests

    from lab.backends.docker.sdk import Client

    endpoint = endpoint or resolve(os.environ)
    try:
        client = Client(endpoint, API_VERSION, timeout)
        try:
            client.ping()
        except BaseException:
            client.close()
            raise
    except (docker.errors.DockerException, requests.exceptions.RequestException) as problem:
        raise LabError(
            "Docker's engine does not answer",
            evidence=f"{endpoint.shown}: {str(problem).splitlines()[0]}",
            hint=no_answer_hint(str(problem)) if endpoint.socket else NOT_REACHED,
        ) from problem
    return client


@contextmanager
def translate_errors(what: str, hint: str = "lab doctor") -> Iterator[None]:
    """Turns an engine's refusal into a LabError that says what was being done."""
    try:
        yield
    except Exception as problem:
        if told := _told(problem, what, hint):
            raise told from problem
        raise


def _told(problem: Exception, what: str, hint: str) -> LabError | None:
    """Translates what the SDK raised; None for everything else.

    If the SDK is not loaded, nothing can have raised its errors: `Peek` never loads it.
    """
    if "docker" not in sys.modules:
        return None
    import docker
    import requests

    if isinstance(problem, docker.errors.APIError):
        evidence = str(problem.explanation or problem)
        return LabError(f"Docker refused: {what}", evidence=evidence, hint=hint)
    if isinstance(problem, requests.exceptions.RequestException):
        return LabError(f"Docker's engine went away: {what}", evidence=str(problem), hint=hint)
    return None


def lab_filter(lab: str | None, **labels: str) -> dict[str, list[str]]:
    """The engine's filter for a lab's objects (None: every lab's) with these further labels."""
    wanted = [LAB if lab is None else f"{LAB}={lab}"]
    wanted += [f"{PREFIX}.{key}={value}" for key, value in labels.items()]
    return {"label": wanted}


def container_name(lab: str, part: str) -> str:
    """The name of a lab's container: its node's, or `switch`."""
    return object_name(lab, part)


def volume_name(lab: str, use: str) -> str:
    """The name of a lab's volume for one use."""
    return f"{PREFIX}-{lab}-{use}"
