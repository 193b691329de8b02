"""wwsh node: nodes and their network devices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from lab.guest.warewulf import conf
from lab.guest.warewulf.edits import applied, persist
from lab.guest.warewulf.lookup import expand, select
from lab.guest.warewulf.model import (
    NETDEV_FIELDS,
    TEMPLATE,
    UNDEF,
    Kind,
    Record,
    Value,
    order,
    with_node_names,
)
from lab.guest.warewulf.node_options import OPTIONS, changes, name_problem
from lab.guest.warewulf.options import Parsed, parse
from lab.guest.warewulf.session import Session, change_line, print_line, shortened, title_line

HELP = """USAGE: wwsh node COMMAND [options] [node ...]

Commands:
   new          create nodes
   set          change nodes
   list         show one line per node
   print        show all keys of each node
   delete       delete nodes
   clone        OLD NEW: copy a node without its addresses; with --netdel, without its devices
   help         show this text

Options:
   -l, --lookup FIELD     field that the names on the line refer to (default: name)
   -1                     with list: print names only, one per line
   -D, --netdev DEV       the network device that device options refer to
       --netdel           remove that device
       --netrename NAME   rename that device
   -I, --ipaddr           address; incremented for each further node
   -M, --netmask  -N, --network  -G, --gateway  -m, --mtu  -f, --fqdn
   -H, --hwaddr           hardware address, or several with commas
   -p, --hwprefix  -b, --bonddevs  -B, --bondmode
   -n, --name  -c, --cluster  --domain  -a, --arch
   -g, --groups  --groupadd  --groupdel
   -e, --enabled 0|1      a disabled node does not boot; also true and false

The value UNDEF, in any case, clears a key. Names may contain ranges, n[01-20], and wildcards, 'c*'.

Examples:
   wwsh node new c1 --netdev=eth0 --hwaddr=52:54:00:12:34:56 --ipaddr=172.16.1.1
   wwsh node set c1 --groupadd=gpu
   wwsh node list --lookup=groups gpu"""


def run(session: Session, words: Sequence[str]) -> bool:
    """Runs one command of the module."""
    parsed = parse(OPTIONS, words, session.warning)
    if not parsed.words or parsed.words[0] == "help":
        session.row(HELP)
        return bool(parsed.words)
    name, targets = parsed.words[0], parsed.words[1:]
    if name == "new":
        return _new(session, parsed, targets)
    if name == "clone":
        return _clone(session, parsed, targets)
    if name not in ("set", "list", "print", "delete"):
        return session.error(f"Unknown command: {name}\nhint: wwsh node help")
    if name in ("set", "delete") and not targets:
        what = "changes" if name == "set" else "deletions"
        return session.error(f"To make {what}, you must provide a list of nodes to operate on.")
    nodes = select(session.store.records(Kind.NODE), targets, parsed.one("lookup", "name"))
    if not nodes:
        session.notice("No nodes found")
        return name in ("list", "print") and not targets
    commands = {"set": _set, "list": _list, "print": _print, "delete": _delete}
    return commands[name](session, parsed, nodes)


# Changing


def _new(session: Session, parsed: Parsed, targets: Sequence[str]) -> bool:
    for problem in conf.read(session.system, "defaults/node.conf", "defaults/provision.conf").problems:
        session.warning(problem)
    names = expand(targets)
    if not names:
        return session.error("To create nodes, you must provide a list of names.")
    for name in names:
        if name_problem(name):
            return session.error(name_problem(name))
        if session.store.named(Kind.NODE, name) is not None:
            # Warewulf would create a second node of that name, which DHCP ignores.
            return session.error(f"Node {name} already exists\nhint: wwsh node set {name} ...")
    nodes = [blank(session, name) for name in dict.fromkeys(names)]
    lines, edits = changes(session, parsed, sorted(nodes, key=order))
    if edits is None:
        return False
    created = [change_line("NEW", "NODE", node.name) for node in nodes]
    if not _agreed(session, [*created, *lines], len(nodes)):
        return False
    ready = []
    for number, node in enumerate(sorted(nodes, key=order)):
        ready.append(with_defaults(session, applied(node, edits, number)))
    if not _unique(session, ready, "add"):
        return False
    with session.store.transaction():
        for node in ready:
            session.store.add(node)
    session.changed()
    return True


def blank(session: Session, name: str) -> Record:
    """A new node with default values: from the object DEFAULT, then from defaults/*.conf."""
    store, system = session.store, session.system
    settings = conf.read(system, "defaults/node.conf")
    template = store.named(Kind.NODE, TEMPLATE)
    values: dict[str, Value] = dict(template.values) if template else {}
    values.update({"NODENAME": name, "ENABLED": "1"})
    values.setdefault("ARCH", "x86_64")
    for key in ("groups", "cluster", "domain", "arch"):
        words = settings.many(key)
        if words:
            values.setdefault(key.upper(), words if key == "groups" else words[0])
    provision = conf.read(system, "defaults/provision.conf")
    files = [store.named(Kind.FILE, one) for one in provision.many("files")]
    numbers = tuple(str(one.id) for one in files if one is not None)
    if numbers:
        values.setdefault("FILEIDS", numbers)
    for key, kind in (("vnfs", Kind.VNFS), ("bootstrap", Kind.BOOTSTRAP)):
        found = store.named(kind, provision.one(key)) if provision.one(key) else None
        if found is not None:
            values.setdefault(f"{key.upper()}ID", str(found.id))
    return with_node_names(Record(Kind.NODE, values))


def with_defaults(session: Session, node: Record) -> Record:
    """A new node with what defaults/node.conf adds to the line (common/lib/Warewulf/Event/DefaultNode.pm)."""
    settings = conf.read(session.system, "defaults/node.conf")
    groups = dict.fromkeys((*node.many("GROUPS"), *settings.many("groups")))
    node = node.put("GROUPS", tuple(groups))
    device = node.netdev(settings.one("netdev"))
    if device is None:
        return node
    return node.put_netdev(
        replace(
            device,
            netmask=device.netmask or settings.one("netmask"),
            network=device.network or settings.one("network"),
            gateway=device.gateway or settings.one("gateway"),
        )
    )


def _set(session: Session, parsed: Parsed, nodes: list[Record]) -> bool:
    lines, edits = changes(session, parsed, nodes)
    if not edits:
        return False
    if not _agreed(session, lines, len(nodes)):
        return False
    if not _unique(session, [applied(node, edits, number) for number, node in enumerate(nodes)], "modify"):
        return False
    persist(session, nodes, edits)
    return True


def _agreed(session: Session, lines: Sequence[str], count: int) -> bool:
    question = f"Are you sure you want to make the following {len(lines)} change(s) to {count} node(s):"
    return session.sure(question, lines, "Yes/No [no]> ")


def _unique(session: Session, nodes: Sequence[Record], what: str) -> bool:
    """Refuses a name or hardware address that another node has; warns of a shared IP address."""
    distinct = conf.read(session.system, "defaults/node.conf").yes("unique hwaddrs", default=True)
    changed = {node.id for node in nodes if node.id}
    others = [node for node in session.store.records(Kind.NODE) if node.id not in changed]
    for node in nodes:
        for other in others:
            if node.name == other.name:
                return session.error(f"Could not {what} node {node.name}: it already exists")
            shared = sorted(set(node.hwaddrs) & set(other.hwaddrs))
            if shared and distinct:
                return session.error(
                    f"Could not {what} node {node.name}: Existing HW address exists for"
                    f" {other.name} ({', '.join(shared)})"
                )
            for address in sorted(set(node.ipaddrs) & set(other.ipaddrs)):
                session.warning(f"{other.name} has the same address {address}: DHCP will skip one of them")
        others.append(node)
    return True


def _delete(session: Session, parsed: Parsed, nodes: list[Record]) -> bool:
    lines = [change_line("DEL", f"NODE {node.full_name}").rstrip() for node in nodes]
    if not session.proceed(len(nodes), "node(s)", lines):
        return False
    with session.store.transaction():
        for node in nodes:
            session.store.delete(node)
    session.changed()
    session.notice(f"Deleted {len(nodes)} nodes.")
    return True


def _clone(session: Session, parsed: Parsed, targets: Sequence[str]) -> bool:
    if len(targets) != 2:
        return session.error("USAGE: wwsh node clone OLD NEW")
    source, name = targets
    old = session.store.named(Kind.NODE, source)
    if old is None:
        return session.error(f"Nodename '{source}' not found")
    if name_problem(name):
        return session.error(name_problem(name))
    if session.store.named(Kind.NODE, name) is not None:
        return session.error(f"Node {name} already exists")
    question = "Are you sure you want to make the following 1 change(s) to 1 node(s):"
    if not session.sure(question, [change_line("CLONE", "NODE", f"{source} -> {name}")], "Yes/No [no]> "):
        return False
    devices = () if parsed.has("netdel") else old.netdevs
    bare = tuple(replace(device, hwaddr=(), ipaddr="") for device in devices)
    copy = with_node_names(replace(old.put("NODENAME", name), netdevs=bare, id=0))
    with session.store.transaction():
        session.store.add(copy)
    session.changed()
    return True


# Showing


def _list(session: Session, parsed: Parsed, nodes: list[Record]) -> bool:
    if parsed.has("one"):
        for node in nodes:
            session.row(node.name)
        return not session.strict
    session.notice("{:<19} {:<19} {:<19} {:<19}".format("NAME", "GROUPS", "IPADDR", "HWADDR"))
    session.notice("=" * 80)
    for node in nodes:
        addresses = ",".join(node.ipaddrs) or UNDEF, ",".join(node.hwaddrs) or UNDEF
        columns = shortened(node.full_name, 19), shortened(node.one("GROUPS", UNDEF), 19), *addresses
        session.row("{:<19} {:<19} {:<19} {:<19}".format(*columns))
    return True


def _print(session: Session, parsed: Parsed, nodes: list[Record]) -> bool:
    for node in nodes:
        session.notice(title_line(node.full_name))
        for key, value in _rows(node):
            session.row(print_line(node.full_name, key, value or UNDEF))
    return True


def _rows(node: Record) -> list[tuple[str, str]]:
    rows = [("ID", str(node.id)), ("NAME", node.one("NAME"))]
    rows += [(key, node.one(key)) for key in ("NODENAME", "ARCH", "CLUSTER", "DOMAIN", "GROUPS")]
    rows.append(("ENABLED", "TRUE" if node.enabled else "FALSE"))
    for device in node.netdevs:
        for field in NETDEV_FIELDS:
            rows.append((f"{device.name}.{field.upper()}", ",".join(device.values(field))))
    return rows
