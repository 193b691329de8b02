"""Converts a cluster specification, and a boot that nobody has completed, to JSON and back.

The engine's labels hold this JSON, and the SMS has that of the specification.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from lab.model import ClusterSpec, Interface, Network, Node, PendingBoot, Role, Root, Tag, Trust

SCHEMA = 1


def spec_to_json(spec: ClusterSpec) -> str:
    """Writes a specification as one line of JSON; keys are the field names of `lab.model`."""
    return json.dumps(spec_to_dict(spec), separators=(",", ":"))


def spec_to_dict(spec: ClusterSpec) -> dict[str, Any]:
    """Converts a specification to plain data: enums by value, addresses as text."""
    # Labs from before these keys have none, and their SMSs need not be told anything new.
    trust = {} if spec.trust is Trust.LEARNER else {"trust": spec.trust.value}
    jupyter = {"jupyter": True} if spec.jupyter else {}
    return {
        "schema": SCHEMA,
        "lab": spec.lab,
        "backend": spec.backend,
        "root": spec.root.value,
        **trust,
        **jupyter,
        "networks": [{"name": n.name, "subnet": str(n.subnet)} for n in spec.networks],
        "nodes": [_node_to_dict(node) for node in spec.nodes],
    }


def spec_from_json(text: str) -> ClusterSpec:
    """Reads what `spec_to_json` wrote, now or earlier; ValueError for anything else.

    Unknown keys are ignored: labels of older labs hold `course`, `image_release` and `extra`.
    """
    try:
        found = json.loads(text)
        if found["schema"] != SCHEMA:
            raise ValueError(f"specification of schema {found['schema']!r}, wanted {SCHEMA}")
        return _spec(found)
    except (KeyError, TypeError, AttributeError) as problem:
        raise ValueError(f"not a specification of a lab: {problem!r}") from problem


def boot_to_json(boot: PendingBoot) -> str:
    """Writes a pending boot as one line of JSON."""
    return json.dumps(asdict(boot), separators=(",", ":"))


def boot_from_json(text: str) -> PendingBoot | None:
    """Reads what `boot_to_json` wrote; None for anything else, since a lab can be used without it."""
    try:
        found = json.loads(text)
        return PendingBoot(
            nodes=tuple(map(str, found["nodes"])),
            began=float(found["began"]),
            available_before=tuple(map(str, found["available_before"])),
            restored=str(found["restored"]),
        )
    except (ValueError, KeyError, TypeError):
        return None


def _node_to_dict(node: Node) -> dict[str, Any]:
    return {
        "name": node.name,
        "role": node.role.value,
        "tag": node.tag.value,
        "cpus": node.cpus,
        "memory": node.memory,
        "disk": node.disk,
        "gpus": node.gpus,
        "registered": node.registered,
        "interfaces": [
            {
                "name": card.name,
                "network": card.network,
                "mac": card.mac,
                "address": None if card.address is None else str(card.address),
            }
            for card in node.interfaces
        ],
    }


def _spec(found: dict[str, Any]) -> ClusterSpec:
    return ClusterSpec(
        lab=found["lab"],
        backend=found["backend"],
        networks=tuple(Network(n["name"], IPv4Network(n["subnet"])) for n in found["networks"]),
        nodes=tuple(_node(node) for node in found["nodes"]),
        root=Root(found["root"]),
        trust=Trust(found.get("trust", Trust.LEARNER.value)),
        jupyter=bool(found.get("jupyter", False)),
    )


def _node(found: dict[str, Any]) -> Node:
    return Node(
        name=found["name"],
        role=Role(found["role"]),
        tag=Tag(found["tag"]),
        cpus=found["cpus"],
        memory=found["memory"],
        disk=found["disk"],
        gpus=found["gpus"],
        interfaces=tuple(_interface(card) for card in found["interfaces"]),
        registered=found["registered"],
    )


def _interface(found: dict[str, Any]) -> Interface:
    address = found["address"]
    return Interface(
        found["name"], found["network"], found["mac"], None if address is None else IPv4Address(address)
    )
