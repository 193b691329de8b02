"""Writes the SMS's address into the files of the image that need it.

The image serves labs with any subnet. Where a file needs the address, the image has the variable of OpenHPC's
install guide instead. Only this variable is replaced, so what a learner has changed since stays.
"""

from __future__ import annotations

from lab.guest.setup.cluster import Description
from lab.guest.setup.host import CHROOT
from lab.guest.system import System

VARIABLE = "${sms_ip}"
ON_SMS = ("/etc/resolv.conf", "/etc/fail2ban/jail.local")
IN_CHROOT = (
    "/etc/fstab",
    "/etc/rsyslog.conf",
    "/etc/default/slurmd",
    "/etc/apt/sources.list",
    "/etc/fail2ban/jail.local",
)
LISTS = f"{CHROOT}/var/lib/apt/lists"
UNNAMED = "sms_ip_packages_"
"""How the names of apt's lists begin in the image; apt derives a list's name from its URI (URItoFileName)."""


def fill_in(system: System, cluster: Description) -> bool:
    """Writes the address to the SMS's disk and to the nodes' chroot; returns whether the chroot changed."""
    address = str(cluster.sms.boot_card.address)
    for path in ON_SMS:
        _fill_in(system, path, address)
    changed = [_fill_in(system, CHROOT + path, address) for path in IN_CHROOT]
    return any([*changed, _name_lists(system, address)])


def _fill_in(system: System, path: str, address: str) -> bool:
    text = system.text(path, "")
    return VARIABLE in text and system.write(
        path, text.replace(VARIABLE, address).encode("utf-8", "surrogateescape")
    )


def _name_lists(system: System, address: str) -> bool:
    found = [name for name in system.names(LISTS) if name.startswith(UNNAMED)]
    for name in found:
        system.rename(f"{LISTS}/{name}", f"{LISTS}/{address}_packages_{name[len(UNNAMED) :]}")
    return bool(found)
