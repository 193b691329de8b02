"""What a Hub's next start takes: the options of its job's script, as sbatch reads them."""

from __future__ import annotations

import json

import pytest

from lab.facts.fact import FactError
from lab.facts.portal import HubSettings, Server, next_start, servers

HEAD = "#!/bin/bash\n"


@pytest.mark.parametrize(
    ("script", "found"),
    [
        ("#SBATCH --qos=a --account=b\n", {"qos": "a", "account": "b"}),
        ("#SBATCH -q a -A b\n", {"qos": "a", "account": "b"}),
        ("#SBATCH -qa\n#SBATCH --account b\n", {"qos": "a", "account": "b"}),
        ("#SBATCH --qos=a\n#SBATCH --qos=c\n", {"qos": "c"}),
        ("#SBATCH --comment='two words' # --qos=a\n", {"comment": "two words"}),
        ("# no option\n\n#SBATCH --time=1:00:00\n", {"time": "1:00:00"}),
        ("set -eu\n#SBATCH --qos=a\n", {}),
        ("##SBATCH --qos=a\n", {}),
    ],
)
def test_options_are_those_that_sbatch_reads(script: str, found: dict[str, str]) -> None:
    assert HubSettings("", {}, HEAD + script).options() == found


def test_settings_are_read_below_whatever_else_was_printed() -> None:
    told = {"problem": "", "settings": {"JupyterHub.hub_ip": "172.16.0.2"}, "script": HEAD}
    found = next_start("").parse(0, f"a warning\n{json.dumps(told)}\n")
    assert found.get("JupyterHub.hub_ip", "127.0.0.1") == "172.16.0.2"
    assert found.get("JupyterHub.port", "8081") == "8081"
    with pytest.raises(FactError):
        next_start("").parse(0, "nothing of it")
    with pytest.raises(FactError):
        next_start("").parse(1, "no such file")


def test_servers_are_listed_with_whether_they_answer() -> None:
    found = servers.parse(0, "user1 ready /user/user1/\nuser2 not ready /user/user2/\n")
    assert found == (Server("user1", ready=True), Server("user2", ready=False))
    assert servers.parse(0, "") == ()
