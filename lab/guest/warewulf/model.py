"""Objects of the datastore with their keys, and the network devices of nodes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from enum import Enum
from typing import Union

Value = Union[str, "tuple[str, ...]"]
"""The value of a key: one string or several."""

UNDEF = "UNDEF"
"""Warewulf's word for "no value", in output and as an argument that clears a key."""


DEFAULT_KARGS = "net.ifnames=0 biosdevname=0 quiet"
TEMPLATE = "DEFAULT"
"""The name of the object whose keys new nodes get; it is no node itself."""
MACHINE_KARGS = "/etc/rackling/kargs"
"""File with kernel arguments that all nodes need because of their hardware; only the set-up writes it."""


def cleared(value: str) -> bool:
    """Whether an argument clears its key: UNDEF, in any case."""
    return value.upper() == UNDEF


class Kind(Enum):
    """The types of objects."""

    NODE = "node"
    FILE = "file"
    VNFS = "vnfs"
    BOOTSTRAP = "bootstrap"


@dataclass(frozen=True)
class NetDev:
    """One network device of a node; an empty string means not set."""

    name: str
    hwaddr: tuple[str, ...] = ()
    hwprefix: str = ""
    ipaddr: str = ""
    netmask: str = ""
    network: str = ""
    gateway: str = ""
    mtu: str = ""
    fqdn: str = ""
    bonddevs: tuple[str, ...] = ()
    bondmode: str = ""

    def values(self, field: str) -> tuple[str, ...]:
        """All values of a field."""
        value: Value = getattr(self, field)
        return value if isinstance(value, tuple) else (value,) if value else ()


NETDEV_FIELDS = tuple(f.name for f in fields(NetDev) if f.name != "name")
"""In the order of `node print`."""

LIST_FIELDS = frozenset({"hwaddr", "bonddevs"})


@dataclass(frozen=True)
class Record:
    """One object. `object modify` can add any key, so keys are a mapping with upper-case names."""

    kind: Kind
    values: Mapping[str, Value]
    netdevs: tuple[NetDev, ...] = field(default=())
    id: int = 0
    timestamp: int = 0

    def one(self, key: str, default: str = "") -> str:
        """The value of a key as one string; several values are joined by commas."""
        value = self.values.get(key, "")
        text = value if isinstance(value, str) else ",".join(value)
        return text or default

    def many(self, key: str) -> tuple[str, ...]:
        """All values of a key."""
        value = self.values.get(key, ())
        if isinstance(value, str):
            return (value,) if value else ()
        return value

    @property
    def name(self) -> str:
        """The name to show: the first one if a node has several."""
        return (self.many("NAME") or ("",))[0]

    @property
    def full_name(self) -> str:
        """The most complete name, with a node's cluster and domain: what Node.pm (name) gives as one word."""
        return (self.many("NAME") or ("",))[-1]

    def put(self, key: str, value: Value) -> Record:
        """A copy of the object with a key set, or without the key if the value is empty."""
        values = dict(self.values)
        if value:
            values[key] = value
        else:
            values.pop(key, None)
        return replace(self, values=values)

    def netdev(self, name: str) -> NetDev | None:
        """The device of that name."""
        return next((device for device in self.netdevs if device.name == name), None)

    def put_netdev(self, device: NetDev) -> Record:
        """A copy of the node with a device added or replaced."""
        others = [old for old in self.netdevs if old.name != device.name]
        return replace(self, netdevs=tuple(sorted([*others, device], key=lambda one: one.name)))

    def drop_netdev(self, name: str) -> Record:
        """A copy of the node without a device."""
        return replace(self, netdevs=tuple(old for old in self.netdevs if old.name != name))

    @property
    def hwaddrs(self) -> tuple[str, ...]:
        """Hardware addresses of all devices."""
        return tuple(address for device in self.netdevs for address in device.hwaddr)

    @property
    def ipaddrs(self) -> tuple[str, ...]:
        """IP addresses of all devices."""
        return tuple(device.ipaddr for device in self.netdevs if device.ipaddr)

    @property
    def enabled(self) -> bool:
        """Whether the node may boot; false only if it was disabled."""
        return self.one("ENABLED", "1") != "0"

    @property
    def fqdn(self) -> str:
        """Node name with cluster and domain."""
        return ".".join(self.one(key) for key in ("NODENAME", "CLUSTER", "DOMAIN") if self.one(key))


def with_node_names(node: Record) -> Record:
    """A copy of the node with NAME rebuilt from nodename, cluster and domain."""
    name, cluster, domain = node.one("NODENAME"), node.one("CLUSTER"), node.one("DOMAIN")
    names = [name]
    if cluster:
        names.append(f"{name}.{cluster}")
    if domain:
        names.append(".".join(part for part in (name, cluster, domain) if part))
    return node.put("NAME", tuple(names))


def order(record: Record) -> tuple[str, ...]:
    """Sort key of all listings: by plain text, so c1, c10, c2."""
    if record.kind is Kind.NODE:
        return (record.fqdn, record.one("DOMAIN"), record.one("CLUSTER"), record.name)
    return (record.name,)
