"""`lab cp`: copies files into a node or out of it."""

from __future__ import annotations

import io
import shlex
import tarfile
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import click

from lab.cli.app import App
from lab.cli.options import lab_option

if TYPE_CHECKING:
    from lab.nodes.client import NodeClient

LOOK_SECONDS = 10.0


@click.command("cp", short_help="Copy files into a node or out of it.")
@click.argument("source", metavar="SRC")
@click.argument("target", metavar="DST")
@lab_option
@click.pass_obj
def command(app: App, source: str, target: str, lab: str | None) -> None:
    """Copy files into a node or out of it: lab cp FILE NODE:PATH, or lab cp NODE:PATH FILE.

    Folders are copied with their content. If DST is a folder or ends with /, SRC keeps its name.
    """
    from lab.errors import UsageError

    spec = app.known_spec(lab)
    names = [node.name for node in spec.nodes]
    (from_node, from_path), (to_node, to_path) = _split(source, names), _split(target, names)
    if bool(from_node) == bool(to_node):
        raise UsageError(
            "exactly one of SRC and DST must be NODE:PATH",
            evidence=f"nodes: {', '.join(names)}",
            hint="lab cp notes.txt sms:/tmp/",
        )
    with app.cluster(spec) as cluster:
        if to_node:
            _copy_in(Path(from_path), cluster.node(to_node), to_path)
        else:
            _copy_out(cluster.node(from_node), from_path, Path(to_path))


def _split(text: str, names: list[str]) -> tuple[str, str]:
    """Splits `NODE:PATH` if NODE is a node of the lab; anything else is a path on the host."""
    node, colon, path = text.partition(":")
    return (node, path) if colon and node in names else ("", text)


def _copy_in(source: Path, node: NodeClient, target: str) -> None:
    from lab.errors import UsageError
    from lab.ownership import owned_by

    if not source.exists():
        raise UsageError(f"{source} does not exist on this host")
    path = PurePosixPath(target or ".")
    into = target.endswith("/") or target == "" or _is_folder(node, str(path))
    folder, name = (path, source.resolve().name) if into else (path.parent, path.name)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.add(source, arcname=name, filter=owned_by(keep_mode=True))
    node.copy_in(buffer.getvalue(), str(folder))


def _is_folder(node: NodeClient, path: str) -> bool:
    return node.execute(f"test -d {shlex.quote(path)}", timeout=LOOK_SECONDS).status == 0


def _copy_out(node: NodeClient, source: str, target: Path) -> None:
    from lab.cli.output import note

    data = node.copy_out(source)
    name = None if target.is_dir() else target.name
    folder = target if target.is_dir() else target.parent
    for left_out in unpack(data, folder, rename=name):
        note(f"not copied: {left_out}")


def unpack(data: bytes, folder: Path, rename: str | None) -> list[str]:
    """Unpacks a node's archive, which is untrusted: only files and folders, only below `folder`.

    `rename` replaces the first part of every name. Returns the names that were left out.
    """
    left_out: list[str] = []
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as archive:
        for entry in archive:
            parts = [part for part in PurePosixPath(entry.name).parts if part != "."]
            if not parts or ".." in parts or parts[0] == "/" or not (entry.isreg() or entry.isdir()):
                left_out.append(entry.name)
                continue
            place = folder.joinpath(rename or parts[0], *parts[1:])
            if any(parent.is_symlink() for parent in (place, *place.parents) if folder in parent.parents):
                left_out.append(entry.name)
            elif entry.isdir():
                place.mkdir(parents=True, exist_ok=True)
            else:
                place.parent.mkdir(parents=True, exist_ok=True)
                content = archive.extractfile(entry)
                place.write_bytes(content.read() if content else b"")
                place.chmod(entry.mode & 0o755)
    return left_out
