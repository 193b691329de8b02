"""Fills a lab's values, such as MACs and addresses, into texts and solutions."""

from __future__ import annotations

import re
from collections.abc import Mapping

from lab.model import ClusterSpec

IN_TEXT = re.compile(r"\{\{\s*([a-z][a-z0-9]*\.[a-z]+)\s*\}\}")  # {{login.mac}}
IN_SHELL = re.compile(r"\$(?:\{([A-Z][A-Z0-9]*_[A-Z]+)\}|([A-Z][A-Z0-9]*_[A-Z]+)\b)")  # $LOGIN_MAC


def values(spec: ClusterSpec) -> Mapping[str, str]:
    """Returns the variables of a lab and their values, e.g. `login.mac`."""
    found = {}
    for node in spec.nodes:
        found[f"{node.name}.mac"] = node.mac
        found[f"{node.name}.ip"] = str(node.address)
        if node.external is not None:
            found[f"{node.name}.external"] = str(node.external)
    for network in spec.networks:
        found[f"{network.name}.netmask"] = str(network.subnet.netmask)
        found[f"{network.name}.prefix"] = str(network.subnet.prefixlen)
    return found


def shell_name(name: str) -> str:
    """Returns the name of a variable in a solution: `login.mac` is `LOGIN_MAC`."""
    return name.replace(".", "_").upper()


def fill_text(text: str, spec: ClusterSpec) -> str:
    """Replaces variables such as `{{login.mac}}`; unknown ones stay."""
    known = values(spec)
    return IN_TEXT.sub(lambda match: known.get(match[1], match[0]), text)


def fill_shell(text: str, spec: ClusterSpec) -> str:
    """Replaces variables such as `$LOGIN_MAC`; all others are left to the shell."""
    known = {shell_name(name): value for name, value in values(spec).items()}
    return IN_SHELL.sub(lambda match: known.get(match[1] or match[2], match[0]), text)
