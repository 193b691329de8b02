"""The start conditions of a unit below a folder, and whether a node meets them at its next boot."""

from __future__ import annotations

import re
import shlex

from lab.checks.cluster_view import ClusterView, NodeView

_PLACES = ("etc/systemd/system", "usr/lib/systemd/system")
_ANY = r"^\s*((Condition|Assert)[A-Za-z]+|ExecCondition)\s*=\s*[^[:space:]]"  # for grep -E
_LINE = re.compile(r"^\s*((Condition|Assert)[A-Za-z]+)\s*=\s*(.*?)\s*$")


def conditions(cluster: ClusterView, root: str, unit: str) -> tuple[str, ...]:
    """The conditions and assertions of a unit on the SMS below a folder, as systemd merges its files.

    The order of files is that of systemd.unit(5); an empty value discards the earlier lines of its kind.
    `ExecCondition=` is not among them: nothing but a start tells its result.
    """
    files = " ".join(f"{place}/{unit}" for place in _PLACES)
    more = " ".join(f"{place}/{folder}/*.conf" for folder in (f"{unit}.d", "service.d") for place in _PLACES)
    text = cluster.sms.run(
        f"cd {shlex.quote(root)} && {{ ls {files} 2>/dev/null | head -n 1;"
        f" ls {more} 2>/dev/null | awk -F/ '!seen[$NF]++ {{ print $NF, $0 }}' | sort | cut -d' ' -f2; }}"
        " | xargs -r sed -n p"
    ).output
    found: list[tuple[str, str]] = []
    for line in filter(None, map(_LINE.match, text.splitlines())):
        if line[3]:
            found.append((line[2], f"{line[1]}={line[3]}"))
        else:
            found = [one for one in found if one[0] != line[2]]
    return tuple(text for _, text in found)


def files_with_conditions(root: str, unit: str) -> str:
    """A command that lists the files of a unit and its overrides, below a folder, that hold a condition.

    `ExecCondition=` is among the conditions. Tell by the output: some of the places may not exist.
    """
    places = (f"{root}/{place}/{unit}{more}" for place in _PLACES for more in ("", ".d"))
    return f"grep -rlsE {shlex.quote(_ANY)} {' '.join(map(shlex.quote, places))}"


def meets(node: NodeView, wanted: tuple[str, ...]) -> bool:
    """Whether a node that is up meets conditions, so that it would start the unit."""
    words = " ".join(map(shlex.quote, wanted))
    return not wanted or node.run(f"systemd-analyze condition {words}").exit_status == 0


def of_each_kind(nodes: tuple[NodeView, ...]) -> tuple[NodeView, ...]:
    """The first and the last node of every kind of name: a pattern that fits both fits those between."""
    kinds: dict[str, list[NodeView]] = {}
    for node in nodes:
        kinds.setdefault(node.name.rstrip("0123456789"), []).append(node)
    return tuple(node for kind in kinds.values() for node in dict.fromkeys((kind[0], kind[-1])))
