"""Facts about the portal, from the node that runs the Hub: what its next start takes, and its servers."""

from __future__ import annotations

import base64
import inspect
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lab.facts import hub_settings
from lab.facts.fact import Fact, FactError, require_success
from lab.hostile_json import read_json

CONF = "/etc/jupyterhub/jupyterhub_config.py"
PYTHON = "/opt/ohpc/pub/software/jupyter/6.1.1/bin/python3"
LIBRARIES = "LD_LIBRARY_PATH=/opt/ohpc/pub/software/jupyter/6.1.1/lib"


@dataclass(frozen=True)
class HubSettings:
    """What a Hub that starts with a configuration would do; `problem` if it would not start."""

    problem: str
    settings: Mapping[str, str]  # CLASS.NAME to what the configuration sets, as text
    script: str  # of a server's job, as sbatch would get it for user1

    def get(self, name: str, default: str = "") -> str:
        """Returns what the configuration sets for CLASS.NAME."""
        return self.settings.get(name, default)

    def options(self) -> Mapping[str, str]:
        """Returns the options of the job's script by their long names: `--qos=a` and `-q a` are `qos`.

        sbatch reads none below the first command (sbatch(1)).
        """
        found: dict[str, str] = {}
        for line in self.script.splitlines():
            if line.startswith("#SBATCH"):
                found |= _options(shlex.split(line.removeprefix("#SBATCH"), comments=True))
            elif line.strip() and not line.startswith("#"):
                break
        return found


@dataclass(frozen=True)
class Server:
    """One user's server as the Hub knows it."""

    user: str
    ready: bool


SHORT = {"-A": "account", "-q": "qos", "-p": "partition", "-t": "time"}


def _options(words: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for number, word in enumerate(words):
        name, equals, value = word.partition("=")
        following = words[number + 1] if number + 1 < len(words) else ""
        if name.startswith("--"):
            found[name[2:]] = value if equals else following
        elif word[:2] in SHORT:
            found[SHORT[word[:2]]] = word[2:].lstrip("=") or following
    return found


def next_start(text: str) -> Fact[HubSettings]:
    """What a Hub does that starts with this text as its configuration."""
    coded = base64.b64encode(text.encode()).decode()
    source = shlex.quote(inspect.getsource(hub_settings))
    return Fact(f"{LIBRARIES} {PYTHON} -I -c {source} {coded}", _settings, f"cat {CONF}")


def _settings(status: int, output: str) -> HubSettings:
    require_success(PYTHON, status, output)
    try:
        found: dict[str, Any] = read_json(output[output.rindex('{"problem"') :])
    except ValueError as error:
        raise FactError("the Hub's Python printed no JSON", status, output) from error
    return HubSettings(str(found["problem"]), dict(found["settings"]), str(found["script"]))


def _servers(status: int, output: str) -> tuple[Server, ...]:
    require_success("hub-server list", status, output)
    rows = [line.split() for line in output.splitlines() if line.strip()]
    return tuple(Server(row[0], row[1] == "ready") for row in rows)


servers: Fact[tuple[Server, ...]] = Fact("hub-server list", _servers)
