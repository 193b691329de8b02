"""Subnets of a lab: which can work, and the host numbers that nodes get in them by default."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

WIDEST, NARROWEST = 8, 29
BLOCK = 256  # host numbers that each group of compute nodes has to itself, where the subnet has room
CLIENT = 100  # host number of a client on the internal network; the last one if the network is small
FIRST = 10  # host number of the SMS on the external network; smaller if the network is small
RUNNER = 99  # host number of a runner on the internal network; the last one before the clients if it is small
OUTSIDE = 66  # host number of the outside node on the external network; the last one if it is small
_UNUSABLE = (  # RFC 6890: no host sends packets to these, or none answers
    (IPv4Network("0.0.0.0/8"), 'which means "this network"'),
    (IPv4Network("127.0.0.0/8"), "which is the loopback network of every machine"),
    (IPv4Network("169.254.0.0/16"), "whose link-local addresses machines give themselves"),
    (IPv4Network("224.0.0.0/4"), "whose addresses are multicast groups"),
    (IPv4Network("240.0.0.0/4"), "which is reserved"),
)


def parse_subnet(text: str) -> IPv4Network:
    """Reads a subnet; raises ValueError with the reason if nodes could not work in it."""
    try:
        found = IPv4Network(text, strict=False)
    except ValueError:
        raise ValueError("must be an IPv4 subnet, such as 172.16.0.0/16") from None
    if str(found.network_address) != text.partition("/")[0]:
        raise ValueError(f"has host bits set; did you mean {found}?")
    if not WIDEST <= found.prefixlen <= NARROWEST:
        raise ValueError(f"the prefix must be between /{WIDEST} and /{NARROWEST}")
    for unusable, why in _UNUSABLE:
        if found.overlaps(unusable):
            raise ValueError(f"overlaps {unusable}, {why}")
    return found


def address_fault(address: IPv4Address, subnet: IPv4Network) -> str:
    """Says why a node of the subnet cannot have an address; "" if it can."""
    if address not in subnet:
        return f"is not in {subnet}"
    if address == subnet.network_address:
        return f"is the address of the network {subnet} itself"
    if address == subnet.broadcast_address:
        return f"is the broadcast address of {subnet}"
    return ""


@dataclass(frozen=True)
class Layout:
    """Host numbers of the nodes that have no address of their own choice."""

    hosts: int  # usable host numbers of the internal subnet: 1 to this one
    external_hosts: int
    starts: Mapping[str, int]  # of the first node of each group of compute nodes
    wide: bool  # whether groups have blocks with room to grow, large enough to hold a client's usual number
    clients: int = 0  # how many clients there are

    def client(self, number: int) -> int:
        """The internal host number of a client; clients are counted from 0."""
        return CLIENT + number if self.wide else self.hosts - number

    def runner(self) -> int:
        """The internal host number of a runner."""
        return RUNNER if self.wide else self.hosts - self.clients

    def server(self, number: int) -> int:
        """The external host number of the SMS (0) or of a login node (from 1)."""
        return min(FIRST, (self.external_hosts + 2) // 4) + number

    def outside(self, number: int) -> int:
        """The external host number of an outside node; these are counted from 0."""
        return min(OUTSIDE + number, self.external_hosts - number)


def layout(
    subnets: Mapping[str, IPv4Network],
    compute: Sequence[tuple[str, int, int]],
    logins: int,
    clients: int,
    runners: int = 0,
) -> Layout:
    """Divides the internal subnet: each compute group gets a block; if they do not fit, the next numbers.

    `compute` has the name, the index from 1, and the number of nodes of each group.
    """
    hosts, external = (subnets[name].num_addresses - 2 for name in ("internal", "external"))
    blocks = 1 + max((index for _, index, _ in compute), default=0)
    block = BLOCK
    while block > 1 and blocks * block > hosts + 2:
        block //= 2
    starts = {name: index * block + 1 for name, index, _ in compute}
    wide = block > CLIENT + clients
    last = max((starts[name] + count - 1 for name, _, count in compute if count), default=1 + logins)
    roomy = 1 + logins < block and all(count < block for _, _, count in compute)
    if not roomy or (not wide and last > hosts - clients - runners):
        starts, wide = _packed(compute, 2 + logins), False
    return Layout(hosts, external, starts, wide, clients)


def _packed(compute: Sequence[tuple[str, int, int]], start: int) -> dict[str, int]:
    starts = {}
    for name, _, count in compute:
        starts[name] = start
        start += count
    return starts
