"""`lab cp`: copies files into a node or out of it."""

from __future__ import annotations

import click

from lab.cli.app import App
from lab.cli.options import lab_option

SHOWN = 10  # remarks


@click.command("cp", short_help="Copy files into a node or out of it.")
@click.argument("source", metavar="SRC")
@click.argument("target", metavar="DST")
@lab_option
@click.pass_obj
def command(app: App, source: str, target: str, lab: str | None) -> None:
    """Copy files into a node or out of it: lab cp FILE NODE:PATH, or lab cp NODE:PATH FILE.

    Folders are copied with their content, SRC/. without SRC itself; SRC keeps its name if DST is a
    folder. Modes, times, sparse files and links in folders are kept; a link that is SRC is followed. What
    a node sends is written only to DST: links out of the folder and devices are left out. It may take nine
    tenths of the free space, holes of sparse files included.
    """
    from lab.cli.signals import ended_by_exit
    from lab.errors import UsageError

    spec = app.known_spec(lab)
    names = [node.name for node in spec.nodes]
    (from_node, from_path), (to_node, to_path) = _split(source, names), _split(target, names)
    if bool(from_node) == bool(to_node):
        raise UsageError(
            "exactly one of SRC and DST must be NODE:PATH" + _nearly(source, target, names),
            evidence=f"nodes: {', '.join(names)}",
            hint="lab cp notes.txt sms:/tmp/",
        )
    app.tell_owner(spec.lab)
    app.interrupted = "what was copied so far has been removed"
    with ended_by_exit(), app.cluster(spec) as cluster:
        if to_node:
            _tell(cluster.node(to_node).send(from_path, to_path))
        else:
            left_out = cluster.node(from_node).receive(from_path, to_path)
            _tell([f"not copied: {one.name} ({one.reason})" for one in left_out])


def _split(text: str, names: list[str]) -> tuple[str, str]:
    """Splits `NODE:PATH` if NODE is a node of the lab; anything else is a path on the host."""
    node, colon, path = text.partition(":")
    return (node, path) if colon and node in names else ("", text)


def _nearly(source: str, target: str, names: list[str]) -> str:
    """The end of the error where somebody mistyped a node."""
    from lab.errors import did_you_mean

    prefixes = [text.partition(":")[0] for text in (source, target) if ":" in text]
    wrong = [prefix for prefix in prefixes if prefix not in names and "/" not in prefix]
    return f"; {wrong[0]} is no node{did_you_mean(wrong[0], names)}" if wrong else ""


def _tell(lines: list[str]) -> None:
    from lab.cli.output import note

    for line in lines[:SHOWN]:
        note(line)
    if len(lines) > SHOWN:
        note(f"and {len(lines) - SHOWN} more")
