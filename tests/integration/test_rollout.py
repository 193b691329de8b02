"""rollout on a real Slurm: two nodes boot a new image under a job; it is killed and resumed once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integration import rolling
from tests.integration.conftest import Lab, wait_until
from tests.integration.rolling import NODES, boots, job_on, nodes, pack, start, status, wait_for


@pytest.fixture(autouse=True)
def ready(lab: Lab) -> Iterator[None]:
    """Slurm can reboot nodes; afterwards all is as it was."""
    rolling.prepare(lab)
    yield
    rolling.tidy(lab)


def test_two_nodes_roll_in_waves_under_a_job(lab: Lab) -> None:
    before, commit = boots(lab), pack(lab)
    words = ("--max-unavailable", "1", "--floor", "partition:*=1")
    with job_on(lab, "c1"):
        start(lab, commit, *words)
        wait_for(lab, c2="done", c1="requested")  # c2, which is idle, goes first; c1 waits for its job
        lab.on("sms", "systemctl kill -s KILL rolling")
        wait_until(lambda: status(lab).get("state") == "no process", 10, "rollout is dead")
        assert "REBOOT_REQUESTED" in lab.on("sms", "scontrol show node c1"), "Slurm keeps the request"
    lab.on("sms", "rollout resume --quiet", timeout=120)
    assert set(nodes(lab, "phase").values()) == {"done"}
    assert not before.items() & boots(lab).items()
    for node in NODES:
        assert f"commit={commit}" in lab.on(node, "cat /etc/image-release")
        assert lab.states()[node] == "idle"
    start(lab, commit, *words)
    wait_for(lab, c1="current", c2="current")  # nobody reboots what runs the image already
