"""The program `renew`: gives a cluster that runs keys and passwords of its own, and has the former forgotten.

A lab that was put together from the memory of another one wakes up with that one's identity, on its SMS and
on each of its nodes.
"""

from __future__ import annotations

import io
import sys
import tarfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from lab.guest.setup import cluster, program
from lab.guest.setup.host import CHROOT
from lab.guest.setup.identity import forget
from lab.guest.setup.provisioning import known_nodes
from lab.guest.system import Outcome, System

FORMER = "/run/rackling/former"
FROM_CHROOT = (
    "etc/ssh/ssh_host_ed25519_key",
    "etc/ssh/ssh_host_ed25519_key.pub",
    "etc/ssh/ssh_known_hosts",
    "root/.ssh/authorized_keys",
)
FROM_FILES = ("etc/shadow", "etc/munge/munge.key")
"""What Warewulf brings to nodes of the SMS's own; they will fetch it again, but need it now."""
ON_NODE = "tar -xC / && (kill -HUP $(cat /run/sshd.pid) || systemctl reload ssh) && systemctl restart munge"
"""What the image and Warewulf's files bring to a node, and the services that use either."""
ON_SMS = (
    ["systemctl", "restart", "munge"],
    ["systemctl", "reload-or-restart", "ssh"],
    ["systemctl", "try-restart", "slurmdbd", "slurmctld", "slurmrestd"],
)
SSH_SECONDS = 60


def main(_arguments: Sequence[str], system: System) -> int:
    """Makes a new identity, sets the SMS up with it, brings it to every node; 1 when one was not reached."""
    _keep_the_former_way_in(system)
    forget(system)
    status = program.main([], system)
    if status == 0:
        failed = _bring_to_nodes(system)
        sys.stderr.writelines(f"{node}: its keys are still the former ones: {why}\n" for node, why in failed)
        for command in ON_SMS:
            system.run(command)
        status = 1 if failed else 0
    system.remove_tree(FORMER)
    return status


def _keep_the_former_way_in(system: System) -> None:
    system.make_dir(FORMER, mode=0o700)
    system.write(f"{FORMER}/key", system.read("/root/.ssh/cluster"), mode=0o600)
    system.write(f"{FORMER}/known_hosts", system.read("/etc/ssh/ssh_known_hosts"))


def _bring_to_nodes(system: System) -> list[tuple[str, str]]:
    """Returns the nodes that did not take it, with the reason."""
    stateless = {machine.name for machine in cluster.read(system).stateless}
    nodes = sorted(stateless & known_nodes(system))
    data = _archive(system)
    with ThreadPoolExecutor(max(1, len(nodes))) as pool:
        done = list(pool.map(lambda node: _enter(system, node, data), nodes))
    return [
        (node, outcome.err.decode(errors="replace").strip() or f"status {outcome.status}")
        for node, outcome in zip(nodes, done)
        if outcome.status != 0
    ]


def _archive(system: System) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for folder, names in ((CHROOT, FROM_CHROOT), ("", FROM_FILES)):
            for name in names:
                tar.add(system.path(f"{folder}/{name}"), arcname=name)
    return buffer.getvalue()


def _enter(system: System, node: str, data: bytes) -> Outcome:
    options = {
        "IdentityFile": system.path(f"{FORMER}/key"),
        "IdentitiesOnly": "yes",
        "UserKnownHostsFile": system.path(f"{FORMER}/known_hosts"),
        "GlobalKnownHostsFile": "/dev/null",
        "BatchMode": "yes",
        "ConnectTimeout": str(SSH_SECONDS),
        "LogLevel": "ERROR",
    }
    words = [word for key, value in options.items() for word in ("-o", f"{key}={value}")]
    return system.run(["ssh", "-F", "none", *words, f"root@{node}", ON_NODE], data)
