"""What may go wrong in a rollout, on a real Slurm and real nodes, each as it happens on a site.

Needs a container engine and some minutes. tests/integration/test_rollout.py kills rollout and resumes it.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.integration import rolling
from tests.integration.conftest import Lab, wait_until
from tests.integration.rolling import (
    BOOT_ID,
    boots,
    job_on,
    nodes,
    pack,
    start,
    status,
    told,
    wait_for,
    wait_for_end,
)

pytestmark = pytest.mark.engine

SHAPE = [
    word
    for group, count in (("login", 0), ("c", 2), ("g", 0), ("client", 0), ("outside", 0))
    for word in ("--set", f"{group}.count={count}")
]
SILENT = 8086
"""A port of the SMS's whose server takes what comes and never answers."""
BOTH = ("--canary", "0", "--max-unavailable", "2", "--max-failures", "2")


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    """A lab of an SMS and two nodes."""
    found = Lab(f"faults{os.getpid() % 100000}")
    try:
        found.command("up", *SHAPE)
        yield found
    finally:
        found.command("down", "-y")


@pytest.fixture(autouse=True)
def ready(lab: Lab) -> Iterator[None]:
    """Slurm can reboot nodes; afterwards all is as it was."""
    rolling.prepare(lab)
    yield
    lab.on("sms", "systemctl stop silent samples human", check=False)
    rolling.tidy(lab)


@contextmanager
def always_drained(lab: Lab, node: str) -> Iterator[None]:
    """While the body runs, no look at a node, twenty a second, may find it without its drain."""
    loop = f"while sleep 0.05; do scontrol -o show node {node} | grep -o ' State=[^ ]*'; done"
    lab.on(
        "sms",
        f'systemd-run -q --collect --unit=samples -p StandardOutput=truncate:/root/samples sh -c "{loop}"',
    )
    yield
    lab.on("sms", "systemctl stop samples")
    seen = lab.on("sms", "sort /root/samples | uniq -c")
    assert seen.strip(), "nothing was looked at"
    without = [line for line in seen.splitlines() if "DRAIN" not in line]
    assert not without, seen


def drain(lab: Lab, node: str) -> None:
    lab.on("sms", f"scontrol update nodename={node} state=drain reason='fan noise'")


def why(lab: Lab, node: str) -> str:
    """The reason of a node that is out of service; empty if it is in service."""
    return lab.on("sms", f"sinfo -hRn {node} -o %E").strip()


def test_a_drain_of_somebodys_stands_at_every_moment_and_a_wrong_image_is_kept_out(lab: Lab) -> None:
    """c1 returns with the old image; c2 is drained by somebody while it waits for its job."""
    before = boots(lab)
    pack(lab)
    with job_on(lab, "c2"):
        start(lab, secrets.token_hex(20), *BOTH)  # the image was never activated
        wait_for(lab, c2="requested")
        drain(lab, "c2")
        with always_drained(lab, "c2"):
            wait_for(lab, c1="failed", c2="left")
            wait_for_end(lab, "incomplete")
    notes = nodes(lab, "note")
    assert "it returned with another image: commit is " in notes["c1"]
    assert notes["c2"] == "drained by somebody meanwhile"
    assert "drained" in lab.states()["c1"]
    assert "did not pass" in why(lab, "c1")
    wait_until(lambda: lab.states()["c2"] == "drained", 20, "c2 stays drained", lab.states)
    assert why(lab, "c2") == "fan noise"
    assert boots(lab)["c2"] == before["c2"]


def test_an_abort_withdraws_what_waits_and_returns_the_node(lab: Lab) -> None:
    before = boots(lab)
    with job_on(lab, "c1"), job_on(lab, "c2", "second"):
        start(lab, secrets.token_hex(20), *BOTH)
        wait_for(lab, c1="requested", c2="requested")
        lab.on("sms", "rollout abort")
        wait_for_end(lab, "aborted")
        shown = lab.on("sms", "scontrol show node c1,c2")
        assert "REBOOT_REQUESTED" not in shown
        assert "DRAIN" not in shown
    assert boots(lab) == before


def test_a_drain_of_somebodys_while_the_node_boots_is_put_back(lab: Lab) -> None:
    before, commit = boots(lab), pack(lab)
    human = (
        "until scontrol show node c1 | grep -q REBOOT_ISSUED; do sleep 0.05; done; "
        "scontrol update nodename=c1 state=drain reason=fan"
    )
    lab.on("sms", f"systemd-run -q --collect --unit=human sh -c '{human}'")
    start(lab, commit, *BOTH)
    wait_for_end(lab, "complete")
    wait_until(lambda: lab.states()["c1"] == "drained", 20, "c1 is drained again", lab.states)
    assert why(lab, "c1") == "fan"
    assert lab.states()["c2"] == "idle"
    assert not before.items() & boots(lab).items()


def test_a_node_that_never_returns_and_a_silent_metrics_host_are_failures_that_a_retry_mends(
    lab: Lab,
) -> None:
    commit = pack(lab)
    lab.on("sms", f"systemd-run -q --collect --unit=silent nc.openbsd -lk {SILENT}")
    health = f"test $(hostname) != c2 || curl -s http://sms:{SILENT}/write; true"
    start(lab, commit, *BOTH, "--deadline", "15", "--health", health, "--probe-timeout", "4")
    wait_for(lab, c1="booting")
    lab.command("power", "off", "--hard", "c1")
    wait_for_end(lab, "stopped")
    notes = nodes(lab, "note")
    assert notes["c1"].startswith(("it has not returned", "it does not answer")), notes
    assert "its health check failed (124)" in notes["c2"]
    assert lab.states()["c2"] == "drained"
    lab.command("power", "on", "c1")
    lab.on("sms", "systemctl stop silent")
    wait_until(lambda: lab.states()["c1"] == "idle", 60, "c1 is back", lab.states)
    again = boots(lab)
    lab.on("sms", "rollout resume --retry --quiet", timeout=120)
    assert set(nodes(lab, "phase").values()) == {"current"}
    assert boots(lab) == again, "what has turned out to be right needs no further reboot"
    wait_until(lambda: lab.states()["c2"] == "idle", 20, "c2 is in service again", lab.states)


def test_slurmctld_is_away_at_the_mark(lab: Lab) -> None:
    """The node boots and returns while nobody can say so."""
    before, commit = boots(lab), pack(lab)
    start(lab, commit, "--max-unavailable", "1", "--order", "name")
    wait_for(lab, c1="booting")
    lab.on("sms", "systemctl stop slurmctld")

    def booted() -> bool:
        return lab.on("c1", BOOT_ID, check=False).strip() not in ("", before["c1"])

    wait_until(booted, 60, "c1 boots")
    wait_until(lambda: "Slurm does not answer" in told(lab), 30, "rollout says so", lambda: told(lab))
    assert nodes(lab, "phase")["c1"] == "booting"
    lab.on("sms", "systemctl start slurmctld")
    wait_for_end(lab, "complete", 120)
    assert set(nodes(lab, "phase").values()) == {"done"}
    assert not before.items() & boots(lab).items()


def test_the_sms_reboots_in_the_middle(lab: Lab) -> None:
    """Its service goes on by itself; the job on c1 notices nothing."""
    before, commit = boots(lab), pack(lab)
    with job_on(lab, "c1"):
        start(lab, commit, "--max-unavailable", "1")
        wait_for(lab, c2="done", c1="requested")
        sms = lab.on("sms", BOOT_ID).strip()
        lab.on("sms", "systemctl reboot", check=False)

        def rebooted() -> bool:
            return lab.on("sms", BOOT_ID, check=False).strip() not in ("", sms)

        wait_until(rebooted, 60, "the SMS boots")
        wait_until(
            lambda: status(lab).get("state") == "running", 90, "it goes on by itself", lambda: told(lab)
        )
        wait_until(lambda: lab.states()["c1"].startswith("draining"), 60, "c1 waits for its job", lab.states)
    wait_for_end(lab, "complete", 120)
    assert set(nodes(lab, "phase").values()) == {"done"}
    assert not before.items() & boots(lab).items()
    assert lab.on("sms", "systemctl show rollout -p Result").strip() == "Result=success"
