"""A rollout on a lab's SMS, for the tests of several folders: images, jobs, and what is looked at."""

from __future__ import annotations

import json
import secrets
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.integration.conftest import Lab, wait_until

CHROOT = "/opt/ohpc/admin/images/debian13"
RELEASE = f"{CHROOT}/etc/image-release"
BOOT_ID = "cat /proc/sys/kernel/random/boot_id"
NODES = ("c1", "c2")


def prepare(lab: Lab) -> None:
    """Slurm can reboot nodes."""
    conf = "/etc/slurm/slurm.conf"
    program = 'RebootProgram="/sbin/shutdown -r now"'
    lab.on("sms", f"grep -q ^RebootProgram= {conf} || {{ echo '{program}' >>{conf}; scontrol reconfigure; }}")


def tidy(lab: Lab) -> None:
    """All is as it was, whatever a test has left behind."""
    lab.on("sms", "systemctl stop rolling rollout; systemctl reset-failed", check=False)
    lab.on("sms", f"scancel -u user1; rm -f {RELEASE}; rm -rf /var/lib/rollout; wwvnfs --chroot {CHROOT}")
    lab.on("sms", "scontrol update nodename=c1,c2 state=resume", check=False)
    wait_until(lambda: all(lab.states()[node] == "idle" for node in NODES), 60, "both are idle", lab.states)


def pack(lab: Lab) -> str:
    """Packs an image that no node has yet; returns its commit."""
    commit = secrets.token_hex(20)
    stamp = f"role=compute\\nref=main\\ncommit={commit}\\n"
    lab.on("sms", f"printf '{stamp}' >{RELEASE}; wwvnfs --chroot {CHROOT}")
    return commit


def start(lab: Lab, commit: str, *words: str) -> None:
    """Starts a rollout in a unit of its own, as on a site: what a shell of ours starts ends with it."""
    image = f"role=compute,commit={commit[:7]}"
    told = shlex.join(["rollout", "start", "--image", image, "--nodes", "c[1-2]", "--interval", "1", *words])
    lab.on("sms", f"systemd-run -q --collect --unit=rolling {told}")


def status(lab: Lab) -> dict[str, Any]:
    """What `rollout status --json` says."""
    said = lab.on("sms", "rollout status --json 2>/dev/null", check=False)
    found: dict[str, Any] = json.loads(said) if said.startswith("{") else {}  # the SMS may be booting
    return found


def nodes(lab: Lab, what: str) -> dict[str, str]:
    """The phase or the note of each node."""
    return {node["node"]: node[what] for node in status(lab).get("nodes", ())}


def told(lab: Lab) -> str:
    """How the rollout stands, as evidence."""
    return lab.on(
        "sms", "rollout status; journalctl -u rolling -u rollout --no-pager | tail -n 20", check=False
    )


def wait_for(lab: Lab, seconds: float = 90, **phases: str) -> None:
    """Waits until nodes are in these phases."""
    wait_until(lambda: phases.items() <= nodes(lab, "phase").items(), seconds, str(phases), lambda: told(lab))


def wait_for_end(lab: Lab, state: str, seconds: float = 90) -> None:
    """Waits until the rollout has ended in this way."""
    wait_until(lambda: status(lab).get("state") == state, seconds, state, lambda: told(lab))


@contextmanager
def job_on(lab: Lab, node: str, name: str = "first") -> Iterator[None]:
    """A job of user1's runs on a node until the body has ended; then it has run to its end."""
    script = f"until [ -e {name}.go ]; do sleep 0.2; done; hostname >{name}"
    lab.on(
        "sms",
        f"cd; rm -f {name} {name}.go; sbatch -w {node} -o /dev/null --wrap '{script}'",
        user="user1",
    )
    wait_until(lambda: lab.states()[node] in ("allocated", "mixed"), 15, f"the job runs on {node}")
    yield
    lab.on("sms", f"touch {name}.go", user="user1")

    def written() -> str:
        return lab.on("sms", f"cat {name}", user="user1", check=False).strip()

    wait_until(lambda: written() == node, 30, "the job ran to its end", written)


def boots(lab: Lab) -> dict[str, str]:
    return {node: lab.on(node, BOOT_ID).strip() for node in NODES}
