"""Where the runner keeps repositories, checkouts and results, and which names it takes."""

from __future__ import annotations

import re
import socket

GIT = "/srv/git"
BUILDS = "/var/lib/runner/builds"
RESULTS = "/var/lib/runner/results"
EXAMPLE = "/usr/share/runner/example"
RUN = "/run/runner"
LOCK = f"{RUN}/lock"
SMS = f"{RUN}/sms"
"""The address of the SMS, which the chassis writes."""
TREES = "/var/lib/nodeimage/roles"
DELIVERY_KEY = "/etc/runner/delivery_key"
CONTAINER_KEY = "/etc/runner/container_key"
GIT_KEYS = "/etc/runner/git_keys"

NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")
"""Names of repositories and of containers."""
ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LANG": "C.UTF-8",
}
"""All that git and pipelines get of ours: nothing that a push could set."""


class RunnerError(Exception):
    """What failed, the evidence, and the next command to type."""

    def __init__(self, message: str, *, evidence: str = "", hint: str = "") -> None:
        super().__init__(message)
        self.message, self.evidence, self.hint = message, evidence, hint


def repository(name: str) -> str:
    """The folder of a repository. Raises RunnerError for a name that could be a path or an option."""
    if not NAME.fullmatch(name):
        raise RunnerError(
            f"{name!r} is no name of a repository", evidence="lower-case letters, digits, dashes, underscores"
        )
    return f"{GIT}/{name}.git"


def url(number: int) -> str:
    """Where the lab finds the results of a pipeline."""
    return f"http://{socket.gethostname()}/{number}/"
