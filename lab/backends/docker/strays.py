"""Objects with names of a lab's that do not carry its label: nobody may inherit them, or lose them unasked.

The engine makes a volume without labels for a container whose volume is gone, and somebody may have made
one by hand. In it may be the keys of a former lab.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lab.backends.docker import engine
from lab.backends.docker.container_spec import EPHEMERAL, RESTORING, VOLUMES
from lab.backends.docker.engine import container_name, translate_errors
from lab.backends.object_names import PREFIX
from lab.errors import LabError
from lab.model import ClusterSpec

if TYPE_CHECKING:
    from lab.backends.docker.engine import Engine

USES = (*VOLUMES, EPHEMERAL, RESTORING)
OF_VOLUME = re.compile(rf"{PREFIX}-(?P<lab>.+)-(?:{'|'.join(USES)})")
OF_CONTAINER = re.compile(rf"/?{PREFIX}-(?P<lab>.+)-[a-z0-9_]+")


@dataclass(frozen=True)
class Stray:
    """An object with a name of a lab's and without its label; `bare`: it has no label at all."""

    kind: str  # "volume" or "container"
    name: str
    lab: str
    bare: bool

    @property
    def is_nobodys(self) -> bool:
        """Whether `lab down` removes it: a volume for a lab's purposes, without a sign of another owner."""
        return self.kind == "volume" and self.bare

    @property
    def removal(self) -> str:
        """The command that removes it."""
        by_hand = f"docker {'volume rm' if self.kind == 'volume' else 'rm -f'} {self.name}"
        return f"lab down -l {self.lab}" if self.is_nobodys else by_hand


def find(client: Engine, lab: str | None = None) -> tuple[Stray, ...]:
    """The strays of a lab, or of all labs."""
    with translate_errors("listing what has names of labs"):
        containers = client.containers(all=True, filters={"name": [f"^/?{PREFIX}-"]})
        volumes = client.volumes(filters={"name": [f"{PREFIX}-"]})["Volumes"] or ()
    return among(containers, volumes, lab)


def among(
    containers: Iterable[Mapping[str, Any]], volumes: Iterable[Mapping[str, Any]], lab: str | None = None
) -> tuple[Stray, ...]:
    """The strays among listed objects."""
    named = [("container", str(name), entry) for entry in containers for name in entry.get("Names") or ()]
    named += [("volume", str(entry["Name"]), entry) for entry in volumes]
    found = []
    for kind, name, entry in named:
        labels = entry["Labels"] or {}
        fits = (OF_VOLUME if kind == "volume" else OF_CONTAINER).fullmatch(name)
        if fits and lab in (None, fits["lab"]) and labels.get(engine.LAB) != fits["lab"]:
            found.append(Stray(kind, name.removeprefix("/"), fits["lab"], not labels))
    return tuple(found)


def refuse(client: Engine, spec: ClusterSpec) -> None:
    """Raises a LabError if the engine has an object with a name that the lab needs and without its label."""
    lab = spec.lab
    parts = {container_name(lab, part) for part in ("switch", *(node.name for node in spec.nodes))}
    found = [one for one in find(client, lab) if one.kind == "volume" or one.name in parts]
    if not found:
        return
    look = "docker volume inspect" if found[0].kind == "volume" else "docker inspect"
    raise LabError(
        f"lab {lab} cannot be made: the engine has what is called as it is and has no label of it",
        evidence="\n".join(f"{one.kind} {one.name}" for one in found),
        hint=f"{look} {found[0].name} shows whose it is; {found[0].removal} removes it; "
        "or take another name: lab up -l NAME",
    )
