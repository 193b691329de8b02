"""rollout on a real Slurm: two nodes boot a new image in waves under a job; it is killed and resumed once."""

from __future__ import annotations

import json
import secrets
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab import standalone
from tests.integration.conftest import Lab, wait_until

CHROOT = "/opt/ohpc/admin/images/debian13"
COMMIT = secrets.token_hex(20)
"""Another one in each run, so that no node has it already."""
RELEASE = f"{CHROOT}/etc/image-release"
BOOT_ID = "cat /proc/sys/kernel/random/boot_id"
NODES = ("c1", "c2")


@pytest.fixture
def new_image(lab: Lab, tmp_path: Path) -> Iterator[None]:
    """An image with a stamp, which nodes take at their next boot; rollout, as sites get it, on the SMS."""
    archive = tmp_path / "rollout.pyz"
    standalone.build("rollout", str(archive), (sys.executable,))
    lab.command("cp", str(archive), "sms:/usr/local/bin/rollout")
    conf = "/etc/slurm/slurm.conf"
    program = 'RebootProgram="/sbin/shutdown -r now"'
    lab.on("sms", f"grep -q ^RebootProgram= {conf} || {{ echo '{program}' >>{conf}; scontrol reconfigure; }}")
    lab.on(
        "sms", f"printf 'role=compute\\nref=main\\ncommit={COMMIT}\\n' >{RELEASE}; wwvnfs --chroot {CHROOT}"
    )
    yield
    lab.on("sms", f"scancel -u user1; rm {RELEASE}; rm -rf /var/lib/rollout; wwvnfs --chroot {CHROOT}")


def status(lab: Lab) -> dict[str, Any]:
    """What `rollout status --json` says."""
    found: dict[str, Any] = json.loads(lab.on("sms", "rollout status --json 2>/dev/null", check=False))
    return found


def phases(lab: Lab) -> dict[str, str]:
    return {node["node"]: node["phase"] for node in status(lab).get("nodes", ())}


def test_two_nodes_roll_in_waves_under_a_job(lab: Lab, new_image: None) -> None:
    before = {node: lab.on(node, BOOT_ID) for node in NODES}
    script = "until [ -e go ]; do sleep 0.2; done; hostname >rolled"
    job = f"cd && rm -f go rolled && sbatch -w c1 -o /dev/null --wrap '{script}'"
    lab.on("sms", job, user="user1")
    wait_until(lambda: lab.states()["c1"] in ("allocated", "mixed"), 15, "the job runs on c1")
    words = f"start --image role=compute,commit={COMMIT[:7]} --nodes c[1-2] --max-unavailable 1 --interval 1"
    # A unit of its own, as on a site: what a shell of ours starts ends with it.
    lab.on(
        "sms",
        f"systemd-run -q --collect --unit=rolling /usr/local/bin/rollout {words} --floor 'partition:*=1'",
    )
    wait_until(
        lambda: phases(lab) == {"c2": "done", "c1": "requested"},
        60,
        "c2, which is idle, has rolled first, and c1 waits for its job",
        lambda: lab.on("sms", "rollout status; journalctl -u rolling --no-pager | tail", check=False),
    )
    lab.on("sms", "systemctl kill -s KILL rolling")
    wait_until(lambda: status(lab).get("state") == "no process", 10, "rollout is dead")
    assert "REBOOT_REQUESTED" in lab.on("sms", "scontrol show node c1"), "Slurm keeps the request"
    lab.on("sms", "touch go", user="user1")
    lab.on("sms", "rollout resume --quiet", timeout=120)
    assert lab.on("sms", "cat rolled", user="user1").strip() == "c1", "the job ran to its end"
    assert set(phases(lab).values()) == {"done"}
    for node in NODES:
        assert lab.on(node, BOOT_ID) != before[node]
        assert f"commit={COMMIT}" in lab.on(node, "cat /etc/image-release")
        assert lab.states()[node] == "idle"
    again = json.loads(lab.on("sms", f"rollout {words} --json").splitlines()[-1])
    assert again["counts"]["current"] == len(NODES), "nobody reboots what runs the image already"
