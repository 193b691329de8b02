"""The kernel's table of neighbours: from which card an address on the same network was last heard."""

from __future__ import annotations

from lab.guest.system import System

TABLE = "/proc/net/arp"
"""Columns: address, type, flags, hardware address, mask, device (net/ipv4/arp.c, arp_format_neigh_entry)."""
COMPLETE = 2
"""ATF_COM, the flag of an entry whose hardware address is known (linux/if_arp.h)."""


def hwaddr_of(system: System, address: str) -> str:
    """The hardware address of an IPv4 address; "" for one that the kernel does not know."""
    for line in system.text(TABLE, "").splitlines()[1:]:
        words = line.split()
        if len(words) == 6 and words[0] == address and int(words[2], 16) & COMPLETE:
            return words[3].lower()
    return ""
