"""Warewulf 3 by its own command: what it says of nodes, and what it is told to give them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from lab.guest.nodeimage.errors import FAILED, UNKNOWN, NodeImageError, missing_program
from lab.guest.system import System

_ROW = re.compile(r" *(\S+): (\S+) += (.*)")
"""A row of `node print` and of `provision print`: node, key, value (Module/Cli/Node.pm, Provision.pm)."""
NONE = "UNDEF"
NOTHING = "images found"
"""How wwsh says that a list is empty: as an error of VNFS images, as a warning of bootstraps."""

Rows = Mapping[str, Mapping[str, str]]
"""Values by node and by key; of devices as eth0.HWADDR."""


def run(system: System, *words: str) -> str:
    """Runs wwsh without questions; returns what it prints. Its status tells nothing: its errors do."""
    done = system.run(["wwsh", "-y", *words])
    said = done.err.decode(errors="replace").strip()
    if done.status == 127:
        raise missing_program("wwsh", "this verb is for a head node with Warewulf 3")
    if "ERROR" in said and NOTHING not in said:
        raise NodeImageError(FAILED, f"wwsh {' '.join(words)} failed", evidence=said, hint="wwsh node list")
    return done.out.decode(errors="replace")


def rows(system: System, module: str, nodes: Sequence[str]) -> Rows:
    """What `node print` or `provision print` says of these nodes; of all, where none is named."""
    found: dict[str, dict[str, str]] = {}
    for line in run(system, module, "print", *nodes).splitlines():
        match = _ROW.fullmatch(line.rstrip())
        if match:
            # Node.pm (name) adds cluster and domain; the node's own name holds no dot.
            node = match[1].partition(".")[0]
            found.setdefault(node, {})[match[2]] = "" if match[3] == NONE else match[3]
    if nodes and not found:
        raise NodeImageError(UNKNOWN, f"Warewulf has no node {' '.join(nodes)}", hint="wwsh node list")
    return found


def names(system: System, module: str) -> set[str]:
    """The names of all VNFS images or bootstraps."""
    return {line.split()[0] for line in run(system, module, "list").splitlines() if line.strip()}


def checksum(system: System, kind: str, name: str) -> str:
    """The MD5 digest of an image as Warewulf notes it; empty if there is no such image."""
    if name not in names(system, kind):
        return ""
    text = run(system, "object", "print", "-t", kind, "-p", "checksum", name)
    found = re.search(r"\b[0-9a-f]{32}\b", text)
    return found[0] if found else ""
