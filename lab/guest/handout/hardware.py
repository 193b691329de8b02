"""What the SMS does besides where nodes are virtual machines: kernel NFS, and their firmware's wishes."""

from __future__ import annotations

import re
import string

from lab.guest.handout.cluster import Description
from lab.guest.handout.machine import TEMPLATES
from lab.guest.system import System

EXPORTS = "/etc/exports"
EXPORTED = """\
# As the install guide exports them.
/home *(rw,no_subtree_check,fsid=10,no_root_squash)
/opt/ohpc/pub *(ro,no_subtree_check,fsid=11)
"""
PROVISION = "/etc/warewulf/provision.conf"
DNSMASQ = "/etc/rackling/dnsmasq.conf"
# A private IPv6 network (RFC 4193) nobody uses: iPXE waits 16 s for a router to announce one.
ROUTER_NETWORK, ROUTER = "fd72:6163:6b6c::", "fd72:6163:6b6c::1/64"
KARGS = (
    "net.ifnames=0 biosdevname=0 quiet console=ttyS0,115200 "
    # Where processors are emulated in software, these save a tenth of a boot's work, and keep its clock.
    "mitigations=off apparmor=0 init_on_alloc=0 audit=0 nokaslr nowatchdog rcupdate.rcu_expedited=1 "
    "no_timer_check cryptomgr.notests randomize_kstack_offset=off"
)


def prepare(system: System, cluster: Description) -> None:
    """Exports shared storage, answers the nodes' firmware, and sets the nodes' kernel arguments."""
    if not re.search(r"(?m)^/", system.text(EXPORTS, "")):
        system.write(EXPORTS, EXPORTED.encode())
    system.run(["systemctl", "start", "--no-block", "nfs-server.service"])
    _announce_router(system, cluster)
    _default_kargs(system)


def _announce_router(system: System, cluster: Description) -> None:
    card = cluster.sms.boot_card.name
    system.run(["ip", "addr", "replace", ROUTER, "dev", card])
    values = {"router_network": ROUTER_NETWORK, "card": card}
    text = string.Template(system.text(f"{TEMPLATES}/dnsmasq-machines.conf")).substitute(values)
    system.write(DNSMASQ, (system.text(DNSMASQ) + text).encode())


def _default_kargs(system: System) -> None:
    """Once: what the learner sets afterwards stays."""
    text = system.text(PROVISION, "")
    if "console=ttyS0" not in text:
        text = re.sub(r"(?m)^default kargs\b.*$", "", text).rstrip("\n")
        system.write(PROVISION, f'{text}\ndefault kargs = "{KARGS}"\n'.encode())
