"""What lasts beyond a node's next boot: the packed VNFS, and over it the node's files in Warewulf."""

from __future__ import annotations

import hashlib
import shlex
import stat
from dataclasses import dataclass

from lab.checks.api import failed
from lab.checks.cluster_view import ClusterView, NodeView
from lab.checks.next_boot import UNPACKED, image_of, not_packed
from lab.facts import systemd, warewulf
from lab.facts.next_boot import Packed


@dataclass(frozen=True)
class Coming:
    """A file as a node's next boot brings it; `digest` is its MD5, "" if the boot brings no such file."""

    source: str  # for people
    digest: str
    text: str = ""  # of a small file


def changed_since_packed(cluster: ClusterView, node: str, *paths: str) -> dict[str, Packed]:
    """The files below these paths that differ between a node's chroot and image, in the order of the paths.

    Paths are relative to the root.
    """
    image = image_of(cluster, node, *_with_all_below(paths))
    changed = {path: both for path, both in image.files.items() if not both.same and not _is_folder(both)}

    def place(path: str) -> tuple[int, str]:
        return next(at for at, asked in enumerate(paths) if f"{path}/".startswith(f"{asked}/")), path

    return {path: changed[path] for path in sorted(changed, key=place)}


def require_packed(cluster: ClusterView, node: str, *paths: str) -> None:
    """Fails when the image of a node is not as its chroot below these paths, relative to the root."""
    for path, both in changed_since_packed(cluster, node, *paths).items():
        if both.tree is not None:
            raise not_packed(cluster, node, path)
        raise failed(
            expected=f"no /{path} in the image that {node} boots, as in the chroot",
            actual=f"the image is older than the chroot: it still has /{path}",
            hint=UNPACKED,
            node="sms",
            look="wwsh vnfs list",
            final=True,
        )


def given_files(cluster: ClusterView, node: str) -> dict[str, str]:
    """The files that Warewulf gives a node at each boot: the name of each in Warewulf, by its path."""
    names = cluster.sms.fact(warewulf.provision_print(node)).files
    return {row.path: row.name for row in cluster.sms.fact(warewulf.file_list) if row.name in names}


def coming(cluster: ClusterView, node: str, *paths: str) -> dict[str, Coming]:
    """The files that a node has at absolute paths after its next boot."""
    given = given_files(cluster, node)
    found = {path: _stored(cluster, given[path]) for path in paths if path in given}
    others = [path for path in paths if path not in found]
    if others:
        image = image_of(cluster, node, *others)
        for path in others:
            packed = image.files.get(path.lstrip("/"))
            found[path] = _packed(cluster, packed, f"{image.tree}{path}")
    return found


def stands(node: NodeView) -> bool:
    """Whether a node is up and not on its way down or up, so that waiting changes nothing."""
    return node.fact(systemd.system).up


def _with_all_below(paths: tuple[str, ...]) -> list[str]:
    return [f"{path}{below}" for path in paths for below in ("", "/*")]


def _is_folder(both: Packed) -> bool:
    state = both.tree or both.image
    return state is not None and stat.S_ISDIR(state.mode)


def _stored(cluster: ClusterView, name: str) -> Coming:
    show = f"wwsh file show {shlex.quote(name)}"
    text = cluster.sms.run(show).output
    return Coming(f"the Warewulf file {name}", _md5(cluster.sms.run(f"{show} | md5sum").output), text)


def _packed(cluster: ClusterView, both: Packed | None, in_tree: str) -> Coming:
    if both is None or both.image is None:
        return Coming("none, neither from Warewulf nor from the VNFS", "")
    source = "the one in the VNFS"
    if both.same:  # then the chroot has its content, whatever its size
        return Coming(
            source, _md5(cluster.sms.run(f"md5sum <{shlex.quote(in_tree)}").output), both.image.text
        )
    return Coming(
        source, hashlib.md5(both.image.text.encode(), usedforsecurity=False).hexdigest(), both.image.text
    )


def _md5(output: str) -> str:
    return output.partition(" ")[0].strip()
