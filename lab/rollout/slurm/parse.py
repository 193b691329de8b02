"""Parsers of what scontrol prints. States come from JSON, where no comment or reason can pass for one."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from lab.rollout.planning.nodes import NAME, Node

BUSY = frozenset({"ALLOCATED", "MIXED", "COMPLETING"})
LONGEST_REASON = 1000
_SWITCH = re.compile(r"^SwitchName=(\S+) .*?\bNodes=(\S+)", re.MULTILINE)
_REBOOT_PROGRAM = re.compile(r"^RebootProgram\s*=\s*(.*?)\s*$", re.MULTILINE)


class ParseError(ValueError):
    """Output that is not what Slurm 22.05 and later print."""


def nodes(text: bytes) -> dict[str, Node]:
    """The nodes of `scontrol show nodes --json`, by name. Raises `ParseError`."""
    try:
        found = json.loads(text)["nodes"]
        listed = [_node(entry) for entry in found]
    except (AttributeError, KeyError, RecursionError, TypeError, ValueError) as error:
        raise ParseError(f"{type(error).__name__}: {error}") from None
    return {node.name: node for node in listed if NAME.fullmatch(node.name)}


def _node(entry: dict[str, Any]) -> Node:
    states = frozenset(_states(entry))
    return Node(
        name=_text(entry["name"]),
        states=states,
        busy=bool(states & BUSY) or _number(entry.get("alloc_cpus")) > 0,
        reason=_text(entry.get("reason") or "")[:LONGEST_REASON],
        partitions=tuple(_text(name) for name in entry.get("partitions") or ()),
    )


def _states(entry: dict[str, Any]) -> Iterator[str]:
    """A list since 23.02; one word and a list `state_flags` before."""
    for value in (entry["state"], entry.get("state_flags") or ()):
        for word in (value,) if isinstance(value, str) else value:
            yield _text(word).upper()


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{type(value).__name__} where a text belongs")
    return value


def _number(value: Any) -> float:
    """A number, or the number in `{"set": true, "number": N}`."""
    if isinstance(value, dict):
        value = value.get("number")
    return value if isinstance(value, (int, float)) else 0


def switches(text: str) -> list[tuple[str, str]]:
    """Each switch of `scontrol show topology` and its nodes as a hostlist."""
    return [(match[1], match[2]) for match in _SWITCH.finditer(text)]


def reboot_program(text: str) -> str:
    """RebootProgram of `scontrol show config`; empty if it is not set."""
    found = _REBOOT_PROGRAM.search(text)
    return "" if found is None or found[1] == "(null)" else found[1]
