"""The program `renew`: replaces keys, passwords and machine IDs of a running cluster.

A lab that was restored from another lab's memory checkpoint starts with the other lab's identity, on its SMS
and on all nodes.
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
"""Files of the SMS that Warewulf delivers to nodes. Nodes will fetch them later, but need them now."""
NEW_ID = """id=$({source} | md5sum | cut -c1-32) && old=$(cat /etc/machine-id) && echo $id >/etc/machine-id &&
{{ [ ! -d /run/log/journal/$old ] || mv /run/log/journal/$old /run/log/journal/$id; }} &&
systemctl restart systemd-journald"""
"""Gives a running system another machine ID, under which journald keeps the entries that it has.

It writes to no file of another ID, and reads all that are in the folder of its own (systemd,
src/libsystemd/sd-journal/journal-file.c, journal_file_verify_header).
"""
OF_NODE = '{ (. /warewulf/config; printf %s "$WWINIT_HWADDR"); cat /etc/ssh/ssh_host_ed25519_key.pub; }'
"""What a node's machine ID is made of, as at its next boot (files/initramfs/lib/agent/config.sh)."""
ON_NODE = (
    "tar -xC / && (kill -HUP $(cat /run/sshd.pid) || systemctl reload ssh) && systemctl restart munge && "
    + NEW_ID.format(source=OF_NODE)
)
"""Unpacks the files on a node and restarts the services that use them."""
ON_SMS = (
    ["sh", "-c", NEW_ID.format(source="cat /proc/sys/kernel/random/uuid")],
    ["systemctl", "restart", "munge"],
    ["systemctl", "reload-or-restart", "ssh"],
    ["systemctl", "try-restart", "slurmdbd", "slurmctld", "slurmrestd"],
)
SSH_SECONDS = 60


def main(_arguments: Sequence[str], system: System) -> int:
    """Generates an identity, applies it to the SMS and to every node; returns 1 if a node failed."""
    _save_former_access(system)
    forget(system)
    status = program.main([], system)
    if status == 0:
        failed = _update_nodes(system)
        sys.stderr.writelines(f"{node} still has the former keys: {why}\n" for node, why in failed)
        for command in ON_SMS:
            system.run(command)
        status = 1 if failed else 0
    system.remove_tree(FORMER)
    return status


def _save_former_access(system: System) -> None:
    system.make_dir(FORMER, mode=0o700)
    system.write(f"{FORMER}/key", system.read("/root/.ssh/cluster"), mode=0o600)
    system.write(f"{FORMER}/known_hosts", system.read("/etc/ssh/ssh_known_hosts"))


def _update_nodes(system: System) -> list[tuple[str, str]]:
    """Returns the nodes that failed, with the reason."""
    stateless = {machine.name for machine in cluster.read(system).stateless}
    nodes = sorted(stateless & known_nodes(system))
    data = _archive(system)
    with ThreadPoolExecutor(max(1, len(nodes))) as pool:
        done = list(pool.map(lambda node: _update_node(system, node, data), nodes))
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


def _update_node(system: System, node: str, data: bytes) -> Outcome:
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
