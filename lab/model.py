"""Describes a cluster as frozen data."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from ipaddress import IPv4Address, IPv4Network


class Role(Enum):
    """What a node is for."""

    SMS = "sms"
    LOGIN = "login"
    COMPUTE = "compute"
    OUTSIDE = "outside"  # not part of the cluster: a foreign machine on the external network
    CLIENT = "client"  # not part of the cluster: a user's machine on the internal network, without keys
    RUNNER = "runner"  # builds and tests images of nodes from commits; at most one, on the internal network


class Tag(Enum):
    """Kind of a compute node; not a role."""

    CPU = "cpu"
    GPU = "gpu"


class Root(Enum):
    """Where the root file system of a stateless node is."""

    RAM = "ram"  # unpacked into a tmpfs of half the node's memory, as Warewulf does
    OVERLAY = "overlay"  # one unpacked copy shared by all nodes of the lab, which saves memory


class Trust(Enum):
    """Whom root in a node of a container lab is on the host."""

    LEARNER = "learner"  # root, without most of its rights: for people whom the host's owner trusts
    NOBODY = "nobody"  # an account without rights, in a user namespace of the node's


@dataclass(frozen=True)
class Interface:
    """One network card: its name in the node, network, MAC and address (None: only by DHCP)."""

    name: str
    network: str
    mac: str
    address: IPv4Address | None


@dataclass(frozen=True)
class Network:
    """One layer-2 segment to which nodes attach."""

    name: str
    subnet: IPv4Network


@dataclass(frozen=True)
class Node:
    """One emulated machine; memory in MiB, disk in GiB (0: no disk)."""

    name: str
    role: Role
    tag: Tag
    cpus: int
    memory: int
    disk: int
    gpus: int
    interfaces: tuple[Interface, ...]
    registered: bool = True  # whether the provisioning database of a new lab holds it

    @property
    def card(self) -> Interface:
        """The card on the internal network, or the only card of an outside node."""
        internal = [card for card in self.interfaces if card.network == "internal"]
        return internal[0] if internal else self.interfaces[0]

    @property
    def mac(self) -> str:
        """MAC of `card`, by which the SMS knows the node."""
        return self.card.mac

    @property
    def address(self) -> IPv4Address:
        """Address of `card`."""
        found = self.card.address
        if found is None:
            raise ValueError(f"{self.name} has no address on the network {self.card.network}")
        return found

    @property
    def external(self) -> IPv4Address | None:
        """Address on the external network, or None."""
        return next((card.address for card in self.interfaces if card.network == "external"), None)


@dataclass(frozen=True)
class ClusterSpec:
    """The complete description of a lab's cluster."""

    lab: str
    backend: str
    networks: tuple[Network, ...]
    nodes: tuple[Node, ...]
    root: Root = Root.RAM
    trust: Trust = Trust.LEARNER
    jupyter: bool = False  # whether the SMS brings the portal's software to shared storage

    @property
    def sms_image(self) -> str:
        """The name of the image, or of the disk, that a new SMS is made of."""
        return "sms-jupyter" if self.jupyter else "sms"

    def node(self, name: str) -> Node:
        """Returns the node of that name; raises KeyError if there is none."""
        for node in self.nodes:
            if node.name == name:
                return node
        raise KeyError(name)

    def network(self, name: str) -> Network:
        """Returns the network of that name; raises KeyError if there is none."""
        for network in self.networks:
            if network.name == name:
                return network
        raise KeyError(name)

    @property
    def sms(self) -> Node:
        """The head node."""
        return next(node for node in self.nodes if node.role is Role.SMS)

    @property
    def stateless(self) -> tuple[Node, ...]:
        """All nodes that the SMS provisions."""
        return tuple(node for node in self.nodes if node.role in (Role.LOGIN, Role.COMPUTE))


class Power(Enum):
    """Whether a node's chassis has power; says nothing about its system."""

    ON = "on"
    OFF = "off"
    ABSENT = "absent"  # the engine has no such machine: never created, or removed by hand


BOOTED = "init"
"""The last stage of a boot: the boot agent has handed over to the node's own system."""
UNPLUGGED, PAUSED, CRASHED = "unplugged", "paused", "crashed"
"""Stages of the chassis: its network is disconnected, its processor is paused, or it has failed."""


@dataclass(frozen=True)
class NodeStatus:
    """What the backend knows about one node without entering it.

    `stage` is the stage that the boot agent reported last, for example `pxe`, `bootstrap`, `vnfs`, `files`,
    `init` or `off`; `since` is the number of seconds since that stage began, if known.
    """

    name: str
    power: Power
    stage: str = ""
    detail: str = ""
    since: float | None = None


@dataclass(frozen=True)
class PendingBoot:
    """Nodes that a command gave power, and that nobody has seen ready since; whoever waits next completes it.

    The engine keeps it, because a command may be killed, and the host may lose its power.
    """

    nodes: tuple[str, ...]
    began: float  # Unix time before the first of them got power
    available_before: tuple[str, ...] = ()  # nodes that took Slurm's jobs before that
    restored: str = ""  # the state that was restored; "" where the nodes only boot


@dataclass(frozen=True)
class LabRecord:
    """One lab as the engine's objects describe it; does not depend on files of the harness."""

    lab: str
    backend: str
    owner: str
    created: str  # ISO 8601, UTC
    nodes: tuple[str, ...]
    running: int
    spec: ClusterSpec | None  # None if the labels of an orphan cannot be read
    pending: str = ""  # the snapshot whose restore was interrupted
    boot: PendingBoot | None = None  # what a command began and nobody has completed yet
    strays: tuple[str, ...] = ()  # objects with names of the lab's that do not say that they are the lab's
