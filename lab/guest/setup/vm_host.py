"""Set-up steps of the SMS in labs of virtual machines: kernel NFS, IPv6 router, kernel arguments."""

from __future__ import annotations

import re
import string

from lab.guest.setup.cluster import Description
from lab.guest.setup.host import TEMPLATES
from lab.guest.system import System
from lab.guest.warewulf.model import DEFAULT_KARGS, MACHINE_KARGS

EXPORTS = "/etc/exports"
EXPORTED = """\
# Exports of OpenHPC's install guide.
/home *(rw,no_subtree_check,fsid=10,no_root_squash)
/opt/ohpc/pub *(ro,no_subtree_check,fsid=11)
"""
DNSMASQ = "/etc/rackling/dnsmasq.conf"
# An unused private IPv6 network (RFC 4193): iPXE waits 16 s for a router to announce a network.
ROUTER_NETWORK, ROUTER = "fd72:6163:6b6c::", "fd72:6163:6b6c::1/64"
CMDLINE = "/proc/cmdline"
NODEIMAGE_KARGS = "/etc/nodeimage/kargs"
# Kernel arguments of the SMS that nodes must not get: those about its disk, and Warewulf's own.
ITS_OWN = ("root=", "rw", "net.ifnames=", "quiet")


def prepare(system: System, cluster: Description) -> None:
    """Exports shared storage, announces a router to nodes' firmware, and passes on kernel arguments."""
    if not re.search(r"(?m)^/", system.text(EXPORTS, "")):
        system.write(EXPORTS, EXPORTED.encode())
    system.run(["systemctl", "start", "--no-block", "nfs-server.service"])
    _announce_router(system, cluster)
    words = [word for word in system.text(CMDLINE).split() if not word.startswith(ITS_OWN)]
    system.write(MACHINE_KARGS, f"{' '.join(words)}\n".encode())
    if not system.exists(NODEIMAGE_KARGS):
        system.write(NODEIMAGE_KARGS, f"{' '.join(words)} {DEFAULT_KARGS}\n".encode())


def _announce_router(system: System, cluster: Description) -> None:
    card = cluster.sms.boot_card.name
    system.run(["ip", "addr", "replace", ROUTER, "dev", card])
    values = {"router_network": ROUTER_NETWORK, "card": card}
    text = string.Template(system.text(f"{TEMPLATES}/dnsmasq-machines.conf")).substitute(values)
    system.write(DNSMASQ, (system.text(DNSMASQ) + text).encode())
