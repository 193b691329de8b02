"""Names of a lab's objects in an engine, where all labs share one name space."""

from __future__ import annotations

PREFIX = "rackling"


def object_name(lab: str, part: str) -> str:
    """Joins a lab and one of its parts, such as a node, so that no two pairs have the same name.

    Both may have dashes, but no underscores: node b-c of lab a is a-b_c, node c of lab a-b is a-b-c.
    """
    return f"{PREFIX}-{lab}-{part.replace('-', '_')}"


def part_of(name: str, lab: str) -> str:
    """The part that an object's name stands for; the inverse of `object_name`."""
    return name.removeprefix(f"{PREFIX}-{lab}-").replace("_", "-")
