"""Sets up Warewulf's files, nodes and settings with wwsh, as an administrator would."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence

from lab.guest.setup import inprocess
from lab.guest.setup.cluster import Description, Machine
from lab.guest.setup.host import CHROOT
from lab.guest.system import System

HANDED_OUT = "/etc/rackling/handed-out"
"""Names of registered nodes. Each is registered only once: a node that a learner deletes stays deleted."""
FILES = ("dynamic_hosts", "passwd", "group", "shadow", "munge.key", "network")
NETWORK_TEMPLATE = "/etc/warewulf/network.tmpl"
NETWORK_TEXT = """\
# %{NODENAME}'s boot card, configured by the boot agent before the system starts.
auto eth0
iface eth0 inet manual
"""


def register(system: System, cluster: Description, known: set[str]) -> list[str]:
    """The wwsh commands that complete the database; nodes in `known` are not changed."""
    lines: list[str] = []
    if not system.exists(HANDED_OUT):
        system.write(NETWORK_TEMPLATE, NETWORK_TEXT.encode())
        lines += [f"file import /etc/{name}" for name in ("passwd", "group", "shadow")]
        lines.append("file import /etc/munge/munge.key")
        lines.append(
            f"file import {NETWORK_TEMPLATE} --name network --path /etc/network/interfaces.d/eth0 --mode 0644"
        )
    vnfs, kernel = os.path.basename(CHROOT), os.uname().release
    for machine in cluster.stateless:
        if machine.registered and machine.name not in known:
            lines += _node(cluster, machine, vnfs, kernel)
    return lines


def _node(cluster: Description, machine: Machine, vnfs: str, kernel: str) -> list[str]:
    card = machine.boot_card
    netmask = cluster.subnets["internal"].netmask
    address = f"--ipaddr={card.address} --netmask={netmask} --hwaddr={card.mac}"
    return [
        f"node new {machine.name} --netdev {card.name} {address}",
        f"provision set {machine.name} --vnfs={vnfs} --bootstrap={kernel} --files={','.join(FILES)}",
    ]


def known_nodes(system: System) -> set[str]:
    """Names of the nodes in the database."""
    done = inprocess.run(system, ["wwsh", "node", "list", "-1"])
    return set(done.out.decode(errors="replace").split()) - {"No", "nodes", "found"}


def has_bootstrap(system: System, kernel: str) -> bool:
    """Whether the database has a bootstrap of that kernel."""
    done = inprocess.run(system, ["wwsh", "bootstrap", "list", "-1"])
    return kernel in done.out.decode(errors="replace").split()


def bring_up(system: System, cluster: Description, *, chroot_changed: bool) -> None:
    """Builds missing images and registers missing nodes; raises OSError with the failed command."""
    kernel = os.uname().release
    if not has_bootstrap(system, kernel):
        _must(system, ["wwbootstrap", kernel])
    if chroot_changed or not system.exists(HANDED_OUT):
        _must(system, ["wwvnfs", "--chroot", CHROOT])
    known = known_nodes(system) | set(system.text(HANDED_OUT, "").split())
    lines = register(system, cluster, known)
    if lines:
        _must(system, ["wwsh", "-y"], "\n".join(lines).encode() + b"\n")
    names = known | {machine.name for machine in cluster.stateless if machine.registered}
    system.write(HANDED_OUT, "".join(f"{name}\n" for name in sorted(names)).encode())


def repack(system: System, packed: Iterable[tuple[str, str]]) -> None:
    """Packs VNFS images again; each is given by name and chroot."""
    for name, chroot in packed:
        _must(system, ["wwvnfs", "--chroot", chroot, name])


def reread(system: System, files: Sequence[str]) -> None:
    """Makes Warewulf read the origins of these files again; skips files that it does not have."""
    listed = inprocess.run(system, ["wwsh", "file", "list"]).out.decode(errors="replace")
    there = {line.split()[0] for line in listed.splitlines() if line.strip()}
    names = [name for name in files if name in there]
    if names:
        _must(system, ["wwsh", "-y", "file", "sync", *names])


def _must(system: System, command: list[str], data: bytes = b"") -> None:
    done = inprocess.run(system, command, data)
    # Like Warewulf's, the exit status of wwsh is not 0 after some commands that succeed; stderr decides.
    if b"ERROR" in done.err:
        raise OSError(f"{' '.join(command)}: {done.err.decode(errors='replace').strip()}")
