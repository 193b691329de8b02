"""Options of `wwsh node new` and `node set`, and the edits that they stand for."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Optional

from lab.guest.warewulf import conf, truth
from lab.guest.warewulf.addresses import counted, is_address
from lab.guest.warewulf.edits import Edit, setting
from lab.guest.warewulf.model import LIST_FIELDS, NetDev, Record, cleared, with_node_names
from lab.guest.warewulf.options import Option, Parsed
from lab.guest.warewulf.session import Session, change_line

DEFAULT_DEVICE = "eth0"
"""The device of a new node, if neither the line nor defaults/node.conf names one."""

DEVICE_OPTIONS = (
    Option("hwaddr", ("hwaddr", "H")),
    Option("hwprefix", ("hwprefix", "p")),
    Option("ipaddr", ("ipaddr", "I")),
    Option("netmask", ("netmask", "M")),
    Option("network", ("network", "N")),
    Option("gateway", ("gateway", "G")),
    Option("mtu", ("mtu", "m")),
    Option("fqdn", ("fqdn", "f")),
    Option("bonddevs", ("bonddevs", "b")),
    Option("bondmode", ("bondmode", "B")),
)
OPTIONS = (
    Option("lookup", ("lookup", "l")),
    Option("one", ("1",), flag=True),
    Option("netdev", ("netdev", "D")),
    Option("netdel", ("netdel",), flag=True),
    Option("netrename", ("netrename",)),
    *DEVICE_OPTIONS,
    Option("name", ("name", "n")),
    Option("cluster", ("cluster", "c")),
    Option("domain", ("domain",)),
    Option("arch", ("arch", "a")),
    Option("enabled", ("enabled", "e")),
    Option("groups", ("groups", "g")),
    Option("groupadd", ("groupadd",)),
    Option("groupdel", ("groupdel",)),
)

NAME = re.compile(r"^[A-Za-z0-9_-]+$")
"""A node's name or cluster, as Node.pm's nodename and cluster take them; a domain may hold dots."""

_DEVICE = re.compile(r"^[a-z0-9]+[0-9]+$")
_PLAIN = re.compile(r"^[A-Za-z0-9_.-]+$")
_HWADDR = re.compile(r"^([0-9a-f]{2}:){5,7}[0-9a-f]{2}$")
_SHAPES = {
    "mtu": re.compile(r"^[1-9][0-9]*$"),
    "hwprefix": re.compile(r"^([0-9A-Fa-f]{2}:){11}[0-9A-Fa-f]{2}$"),
    "bonddevs": re.compile(r"^[a-z0-9]+(,[a-z0-9]+)*$"),
    "bondmode": re.compile(r"^.+$"),
    "cluster": NAME,
    "arch": re.compile(r"^[A-Za-z0-9_]+$"),
}
"""The patterns of Node.pm (common/lib/Warewulf/Node.pm); other keys have that of fqdn and domain."""
_ADDRESSES = ("ipaddr", "netmask", "network", "gateway")
_GROUPS = ("groups", "groupadd", "groupdel")
_UNCHECKED = ("lookup", "one", "hwaddr", "netdev", "netdel", "netrename", "name")

Result = tuple[list[str], Optional[list[Edit]]]
"""Lines to show and edits to apply; the edits are None after an error."""


def changes(session: Session, parsed: Parsed, nodes: Sequence[Record]) -> Result:
    """Turns the options of one command into edits for these nodes, which are in the order of listings.

    Warewulf tells of an invalid value and goes on without it; here nothing is changed then.
    """
    wrong = _wrong(parsed, nodes)
    if wrong:
        session.error(wrong)
        return [], None
    edits = [*_node_edits(parsed)]
    fields = [option.key for option in DEVICE_OPTIONS if parsed.has(option.key)]
    if fields or any(parsed.has(key) for key in ("netdev", "netdel", "netrename")):
        names = _device_names(session, parsed, nodes, fields)
        missing = "" if names is None else _missing(parsed, nodes, names)
        if missing:
            session.error(missing)
        if names is None or missing:
            return [], None
        edits += _device_edits(parsed, names, fields)
    return [line for edit in edits for line in edit.line.splitlines()], edits


def name_problem(name: str) -> str:
    """Why a node cannot have this name; empty if it can."""
    if cleared(name):
        return "You must define the name you wish to reference the node as!"
    return "" if NAME.match(name) else f"Nodename '{name}' contains invalid characters"


def _wrong(parsed: Parsed, nodes: Sequence[Record]) -> str | None:
    """The message for the first option with an invalid value, in Warewulf's words."""
    for key in ("netdev", "netrename"):
        # A device's new name must be one that --netdev takes; Warewulf keeps names in lower case.
        value = parsed.one(key).lower() if key == "netrename" else parsed.one(key)
        if parsed.has(key) and not _DEVICE.match(value):
            return f"Option '{key}' has invalid characters"
    if parsed.has("hwaddr"):
        if len(nodes) > 1:
            return "Can not set HWADDR on more then 1 node!"
        words = parsed.listed("hwaddr")
        if not words or not all(cleared(word) or _HWADDR.match(word.lower()) for word in words):
            return "Option 'hwaddrs' has invalid characters"
    if parsed.has("name"):
        if len(nodes) > 1:
            return "Can not rename more then 1 node at a time!"
        if name_problem(parsed.one("name")):
            return name_problem(parsed.one("name"))
    wrong = [key for key in parsed.values if key not in _UNCHECKED and not _fits(key, parsed)]
    return f"Option '{wrong[0]}' has invalid characters" if wrong else None


def _fits(key: str, parsed: Parsed) -> bool:
    value = parsed.one(key)
    if key == "enabled":
        return truth.enabled(value) is not None
    if key in _GROUPS:
        return all(_PLAIN.match(word) for word in parsed.listed(key))
    if cleared(value):
        return True
    if key in _ADDRESSES:
        return is_address(value)
    if key == "bonddevs":
        value = ",".join(parsed.listed(key))
    return bool(_SHAPES.get(key, _PLAIN).match(value))


# Keys of the node


def _node_edits(parsed: Parsed) -> list[Edit]:
    plain = ("name", "arch", "cluster", "domain")
    edits = [_plain(key, parsed.one(key)) for key in plain if parsed.has(key)]
    if parsed.has("groups"):
        groups = tuple(word for word in parsed.listed("groups") if not cleared(word))
        line = change_line("SET", "GROUPS", ",".join(groups)) if groups else change_line("UNDEF", "GROUPS")
        edits.append(setting(line, "GROUPS", groups))
    edits.extend(_group(parsed.listed(key), what) for key, what in _GROUP_EDITS if parsed.has(key))
    if parsed.has("enabled"):
        enabled = truth.enabled(parsed.one("enabled"))
        line = change_line("SET", "ENABLED", "TRUE" if enabled else "FALSE")
        edits.append(setting(line, "ENABLED", "1" if enabled else "0"))
    return edits


_GROUP_EDITS = (("groupadd", "ADD"), ("groupdel", "DEL"))


def _plain(key: str, value: str) -> Edit:
    field = "NODENAME" if key == "name" else key.upper()
    clear = cleared(value)
    line = change_line("UNDEF", key.upper()) if clear else change_line("SET", key.upper(), value)
    return Edit(line, lambda node, _: with_node_names(node.put(field, "" if clear else value)))


def _group(groups: Sequence[str], what: str) -> Edit:
    def apply(node: Record, _: int) -> Record:
        others = tuple(one for one in node.many("GROUPS") if one not in groups)
        return node.put("GROUPS", (*others, *groups) if what == "ADD" else others)

    return Edit(change_line(what, "GROUPS", ",".join(groups)), apply)


# Devices


def _device_names(
    session: Session, parsed: Parsed, nodes: Sequence[Record], fields: Sequence[str]
) -> list[str] | None:
    """The device of each node that the options mean; None, after an error, if that is not clear."""
    default = conf.read(session.system, "defaults/node.conf").one("netdev")
    found: list[str] = []
    for node in nodes:
        name = parsed.one("netdev") or _device_name(node, default)
        if not name:
            what = (fields or ["netdel" if parsed.has("netdel") else "netrename"])[0]
            session.error(f"Option --{what} requires the --netdev option for: {node.name}")
            return None
        found.append(name)
    return found


def _device_name(node: Record, default: str) -> str:
    """The device of a command without --netdev; empty if it could be any of several.

    Cli/Node.pm takes `netdev` of defaults/node.conf even if the node has only another device.
    """
    names = [device.name for device in node.netdevs]
    if default and (default in names or not names):
        return default
    if len(names) == 1:
        return names[0]
    return "" if names or node.id else DEFAULT_DEVICE


def _missing(parsed: Parsed, nodes: Sequence[Record], names: Sequence[str]) -> str:
    """The message for a device to remove or rename that is not there, or for a new name that is taken."""
    new = parsed.one("netrename").lower()
    for node, name in zip(nodes, names):
        if parsed.has("netdel") and node.netdev(name) is None:
            return f'Object {node.name} has no netdev "{name}" configured!'
        if new and node.netdev(name) is None:
            return f"Could not find netdev '{name}' to rename!"
        if new and new != name and node.netdev(new) is not None:
            return f'Object {node.name} has a netdev "{new}" already'
    return ""


def _device_edits(parsed: Parsed, names: Sequence[str], fields: Sequence[str]) -> list[Edit]:
    if parsed.has("netdel"):
        return [Edit(change_line("DEL", names[0]), lambda node, n: node.drop_netdev(names[n]))]
    edits = [_field(names, field, parsed) for field in fields]
    if not edits and not parsed.has("netrename"):
        # `--netdev eth0` alone adds the device without addresses.
        edits.append(Edit(change_line("ADD", names[0]), lambda node, n: _with(node, names[n], {})))
    if parsed.has("netrename"):
        new = parsed.one("netrename").lower()

        def rename(node: Record, n: int) -> Record:
            old = node.netdev(names[n])
            return node if old is None else node.drop_netdev(old.name).put_netdev(replace(old, name=new))

        edits.append(Edit(change_line("SET", f"{names[0]}.NAME", new), rename))
    return edits


def _field(names: Sequence[str], field: str, parsed: Parsed) -> Edit:
    key = f"{names[0]}.{field.upper()}"
    if any(map(cleared, parsed.listed(field))):
        empty: str | tuple[str, ...] = () if field in LIST_FIELDS else ""
        return Edit(change_line("UNDEF", key), lambda node, n: _with(node, names[n], {field: empty}))
    if field in LIST_FIELDS:
        words = tuple(word.lower() if field == "hwaddr" else word for word in parsed.listed(field))
        line = change_line("SET", key, ",".join(words))
        return Edit(line, lambda node, n: _with(node, names[n], {field: words}))
    value = parsed.one(field).lower() if field == "hwprefix" else parsed.one(field)
    line = change_line("SET", key, value)
    if field == "ipaddr":
        return Edit(line, lambda node, n: _with(node, names[n], {"ipaddr": counted(value, n)}))
    return Edit(line, lambda node, n: _with(node, names[n], {field: value}))


def _with(node: Record, name: str, values: dict[str, str | tuple[str, ...]]) -> Record:
    device = node.netdev(name) or NetDev(name)
    return node.put_netdev(replace(device, **values))  # type: ignore[arg-type]  # keys and kinds from the table
