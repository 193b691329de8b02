"""Reads the description of the cluster that the harness wrote to the SMS (lab/serialize.py)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from ipaddress import IPv4Network

from lab.guest.system import System

FILE = "/etc/rackling/cluster.json"


@dataclass(frozen=True)
class Card:
    """One network card; the address is None if it has none."""

    name: str
    network: str
    mac: str
    address: str | None


@dataclass(frozen=True)
class Machine:
    """One node; memory in MiB."""

    name: str
    role: str
    tag: str
    cpus: int
    memory: int
    gpus: int
    registered: bool
    cards: tuple[Card, ...]

    @property
    def boot_card(self) -> Card:
        """The card on the provisioned network."""
        return next(card for card in self.cards if card.network == "internal")


@dataclass(frozen=True)
class Description:
    """The whole cluster."""

    subnets: dict[str, IPv4Network]
    machines: tuple[Machine, ...]
    own_kernels: bool = False  # nodes are virtual machines, which have kernel and firmware of their own

    @property
    def sms(self) -> Machine:
        """The head node, which this program runs on."""
        return next(machine for machine in self.machines if machine.role == "sms")

    @property
    def compute(self) -> tuple[Machine, ...]:
        """Nodes that run Slurm jobs."""
        return tuple(machine for machine in self.machines if machine.role == "compute")

    @property
    def runner(self) -> Machine | None:
        """The machine that builds images from commits, if the lab has one."""
        return next((machine for machine in self.machines if machine.role == "runner"), None)

    @property
    def stateless(self) -> tuple[Machine, ...]:
        """Nodes that the SMS provisions."""
        return tuple(machine for machine in self.machines if machine.role in ("login", "compute"))


def read(system: System) -> Description:
    """Reads the description; raises OSError, KeyError or ValueError if it is missing or malformed."""
    found = json.loads(system.text(FILE))
    return Description(
        subnets={network["name"]: IPv4Network(network["subnet"]) for network in found["networks"]},
        machines=tuple(_machine(node) for node in found["nodes"]),
        own_kernels=found.get("backend") == "libvirt",
    )


def _machine(node: dict) -> Machine:  # type: ignore[type-arg]  # JSON as it comes
    cards = tuple(
        Card(card["name"], card["network"], card["mac"], card["address"]) for card in node["interfaces"]
    )
    return Machine(
        node["name"],
        node["role"],
        node["tag"],
        node["cpus"],
        node["memory"],
        node["gpus"],
        node["registered"],
        cards,
    )
