"""Names that a node group cannot have, since they mean something else to us or to the cluster's programs."""

from __future__ import annotations

from collections.abc import Mapping

from lab.paths import data_folder

_KEY = "it is a key of lab.toml, so --set could not reach the group"
_HOSTS = "every machine calls itself so"
_SLURM = "Slurm does not take it for the name of a node (slurm.conf(5), NodeName and Nodes)"
RESERVED: Mapping[str, str] = {
    "lab": _KEY,
    "backend": _KEY,
    "root": _KEY,
    "trust": _KEY,
    "jupyter": _KEY,
    "network": _KEY,
    "networks": _KEY,
    "nodes": _KEY,
    "switch": "the lab's own switch has it",
    "localhost": _HOSTS,
    "localdomain": _HOSTS,
    "all": _SLURM,
    "default": _SLURM,
    "undef": "to Warewulf it means an empty value",
}


def name_fault(name: str, *, numbered: bool) -> str:
    """Says why a node group cannot have a name; "" if it can. Numbered nodes are called NAME1, NAME2, …"""
    if why := RESERVED.get(name):
        return f"the name {name} is reserved: {why}"
    if not numbered and name.replace("-", "_") in _exercises():
        return f"the name {name} is reserved: it is an exercise, and lab reset takes either"
    if name.endswith("-") and not numbered:
        return "the name of a machine cannot end with a dash"  # RFC 952
    return ""


def _exercises() -> set[str]:
    folder = data_folder("exercises")
    return {path.name for path in folder.iterdir() if path.is_dir()} if folder.is_dir() else set()
