"""Handlers of nodes' HTTP requests: access rules, and one handler per path."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from lab.guest.system import System
from lab.guest.warewulf import images, neighbours, render
from lab.guest.warewulf.contents import DEFAULT_MODE, LETTERS
from lab.guest.warewulf.model import Kind, Record
from lab.guest.warewulf.store import NUMBER, Store

PREFIX = "/WW/"
PRIVILEGED = 1024
"""Only root on a node can send from a port below this, so that its users are refused.

Warewulf 3 leaves this to Apache, for its CGI programs and for images alike: REMOTE_PORT in
provision/etc/warewulf-httpd.conf.in. iPXE cannot choose a port: its scripts and bootstraps are open there,
and here.
"""
SERVED_IMAGES = "/vnfs_images/"
"""Where nginx has the images; nobody outside can ask for it, only an answer of ours can point there."""
RUNNER, ASKER, RUNNER_KEYS = "runner", "/etc/rackling/runner/asker", "/runner_keys/keys.tar"
"""The path for the runner's keys, which is the lab's own; who may have them; where nginx has them."""
INTERPRETER_SECONDS = 10.0

_HWADDR = re.compile(r"^([0-9a-f]{2}:){5,7}[0-9a-f]{2}$")
_IMAGE = re.compile(r"^vnfs_cache/([A-Za-z0-9_-][A-Za-z0-9_.-]*)/image\.([0-9a-f]+)\Z")
_SCRIPTS = {"pre": "PRESCRIPT", "post": "POSTSCRIPT", "runtime": "RUNTIMESCRIPT"}


@dataclass(frozen=True)
class Request:
    """One request: path, query, and the client's address and port as nginx saw them."""

    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    address: str = ""
    port: int = 0


@dataclass(frozen=True)
class Response:
    """Status, body, the target of a redirect (302), and a file that nginx sends instead of the body."""

    status: int
    body: bytes = b""
    location: str = ""
    file: str = ""


def handle_request(system: System, store: Store, request: Request) -> Response:
    """Answers as Warewulf's CGI programs do; checks access before anything else."""
    name = request.path.removeprefix(PREFIX) if request.path.startswith(PREFIX) else ""
    image = _IMAGE.match(name)
    if not image and name not in _HANDLERS and name != RUNNER:
        return Response(404)
    if not 0 < request.port < PRIVILEGED:
        return Response(403)
    if name == RUNNER:
        return _runner(system, request)
    if image:
        return _image(system, store, request, *image.groups())
    return _handle_node(system, store, request, _HANDLERS[name])


def _handle_node(system: System, store: Store, request: Request, handler: Handler) -> Response:
    """Answers a request that names its node by a hardware address."""
    hwaddr = request.query.get("hwaddr", "").lower()
    if not _HWADDR.match(hwaddr):
        return Response(400)
    node = next(iter(store.find(Kind.NODE, "_hwaddr", hwaddr)), None)
    if node is None:
        # An empty answer to nodeconfig tells the boot agent that its node is not registered.
        return Response(200 if handler is _nodeconfig else 404)
    if not _is_asking(system, node, request):
        return Response(403)
    return handler(system, store, node, request)


def _is_asking(system: System, node: Record, request: Request) -> bool:
    """Whether the node itself asks: from its address and, as the kernel knows it, from its card.

    Warewulf compares the address only (provision/cgi-bin/vnfs.pl, remote_addr). Without the second look, root
    on a node that adds another node's address to its own card would be given that node's files.
    """
    if not node.enabled or request.address not in node.ipaddrs:
        return False
    return neighbours.hwaddr_of(system, request.address) in node.hwaddrs


def _runner(system: System, request: Request) -> Response:
    """The runner's keys, for its address and card: as for nodes, but it is no node that Warewulf knows."""
    address, _, hwaddr = system.text(ASKER, "").strip().partition(" ")
    if not address:
        return Response(404)
    if request.address != address or neighbours.hwaddr_of(system, address) != hwaddr:
        return Response(403)
    return Response(200, file=RUNNER_KEYS)


def _image(system: System, store: Store, request: Request, name: str, checksum: str) -> Response:
    """An image, for a node that has this VNFS, as Warewulf has Apache do it (Http/Apache2.pm, `Require ip`).

    An image that was replaced meanwhile is still given: the node may have been told its name a moment ago.
    """
    asking = [
        node
        for node in store.find(Kind.NODE, "_ipaddr", request.address)
        if _is_asking(system, node, request)
    ]
    given = {vnfs.name for vnfs in (_vnfs_of(store, node) for node in asking) if vnfs is not None}
    if name not in given:
        return Response(403)
    if not system.is_file(f"{images.folder(name)}/image.{checksum}"):
        return Response(404)
    return Response(200, file=f"{SERVED_IMAGES}{name}/image.{checksum}")


def _nodeconfig(system: System, store: Store, node: Record, request: Request) -> Response:
    return Response(200, render.node_config(node, _vnfs_of(store, node)).encode("utf-8", "surrogateescape"))


def _vnfs_of(store: Store, node: Record) -> Record | None:
    return store.referred(Kind.VNFS, node.one("VNFSID"))


def _vnfs(system: System, store: Store, node: Record, request: Request) -> Response:
    vnfs = _vnfs_of(store, node)
    if vnfs is None or not system.is_file(images.path(vnfs)):
        return Response(404)
    return Response(302, location=f"{PREFIX}vnfs_cache/{vnfs.name}/image.{vnfs.one('CHECKSUM')}")


def _script(system: System, store: Store, node: Record, request: Request) -> Response:
    key = _SCRIPTS.get(request.query.get("type", ""))
    if key is None:
        return Response(400)
    found = [store.named(Kind.FILE, name) for name in node.many(key)]
    scripts = [one for one in found if one is not None and one.one("FORMAT") == "shell"]
    return Response(200, b"".join(store.content(one.id) for one in scripts))


def _file(system: System, store: Store, node: Record, request: Request) -> Response:
    if "fileid" in request.query:
        return _file_content(system, store, node, request.query["fileid"])
    since = request.query.get("timestamp") or "0"
    if not NUMBER.match(since):
        return Response(400)
    files = [store.referred(Kind.FILE, number) for number in node.many("FILEIDS")]
    newer = [one for one in files if one is not None and one.timestamp > int(since)]
    newer.sort(key=lambda one: (one.timestamp, one.id))
    return Response(200, "".join(map(_listed, newer)).encode("utf-8", "surrogateescape"))


def _listed(record: Record) -> str:
    """One line: id name uid gid MODE timestamp path; empty for a path that does not fit the format."""
    path, name = record.one("PATH"), re.sub(r"[^\x21-\x7e]", "_", record.name)
    if not path.startswith("/") or not path.isprintable() or "/../" in f"{path}/":
        return ""
    mode = LETTERS.get(record.one("FILETYPE"), "") + f"{int(record.one('MODE', DEFAULT_MODE), 8):04o}"
    owner = f"{int(record.one('UID', '0'))} {int(record.one('GID', '0'))}"
    return f"{record.id} {name} {owner} {mode} {record.timestamp} {path}\n"


def _file_content(system: System, store: Store, node: Record, number: str) -> Response:
    if not NUMBER.match(number):
        return Response(400)
    record = store.get(Kind.FILE, int(number))
    if record is None:
        return Response(404)
    if number not in node.many("FILEIDS"):
        return Response(403)  # a node may only read files that are assigned to it
    content = store.content(record.id)
    if record.one("FORMAT") != "binary":
        content = render.expanded(content, node)
    interpreter = record.one("INTERPRETER")
    if interpreter:
        done = system.run([interpreter], content, timeout=INTERPRETER_SECONDS)
        return Response(500) if done.status else Response(200, done.out)
    return Response(200, content)


Handler = Callable[[System, Store, Record, Request], Response]
_HANDLERS: dict[str, Handler] = {
    "nodeconfig": _nodeconfig,
    "script": _script,
    "vnfs": _vnfs,
    "file": _file,
}
