"""What the SMS does besides where nodes are virtual machines: kernel NFS, and their firmware's wishes."""

from __future__ import annotations

import re
import string

from lab.guest.setup.cluster import Description
from lab.guest.setup.host import TEMPLATES
from lab.guest.system import System
from lab.guest.warewulf.model import MACHINE_KARGS

EXPORTS = "/etc/exports"
EXPORTED = """\
# As the install guide exports them.
/home *(rw,no_subtree_check,fsid=10,no_root_squash)
/opt/ohpc/pub *(ro,no_subtree_check,fsid=11)
"""
DNSMASQ = "/etc/rackling/dnsmasq.conf"
# A private IPv6 network (RFC 4193) nobody uses: iPXE waits 16 s for a router to announce one.
ROUTER_NETWORK, ROUTER = "fd72:6163:6b6c::", "fd72:6163:6b6c::1/64"
CMDLINE = "/proc/cmdline"
# Of the SMS's own kernel arguments: about its disk, and what Warewulf tells nodes anyway.
ITS_OWN = ("root=", "rw", "net.ifnames=", "quiet")


def prepare(system: System, cluster: Description) -> None:
    """Exports shared storage, answers the nodes' firmware, and passes on what all kernels here are told."""
    if not re.search(r"(?m)^/", system.text(EXPORTS, "")):
        system.write(EXPORTS, EXPORTED.encode())
    system.run(["systemctl", "start", "--no-block", "nfs-server.service"])
    _announce_router(system, cluster)
    words = [word for word in system.text(CMDLINE).split() if not word.startswith(ITS_OWN)]
    system.write(MACHINE_KARGS, f"{' '.join(words)}\n".encode())


def _announce_router(system: System, cluster: Description) -> None:
    card = cluster.sms.boot_card.name
    system.run(["ip", "addr", "replace", ROUTER, "dev", card])
    values = {"router_network": ROUTER_NETWORK, "card": card}
    text = string.Template(system.text(f"{TEMPLATES}/dnsmasq-machines.conf")).substitute(values)
    system.write(DNSMASQ, (system.text(DNSMASQ) + text).encode())
