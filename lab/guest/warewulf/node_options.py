"""Options of `wwsh node new` and `node set`, and the edits that they stand for."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Optional

from lab.guest.warewulf import conf
from lab.guest.warewulf.edits import Edit
from lab.guest.warewulf.model import LIST_FIELDS, UNDEF, NetDev, Record, with_node_names
from lab.guest.warewulf.options import Option, Parsed
from lab.guest.warewulf.session import Session, change_line

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

_DEVICE = re.compile(r"^[a-z0-9]+[0-9]+$")
_PLAIN = re.compile(r"^[A-Za-z0-9_.-]+$")
_HWADDR = re.compile(r"^([0-9a-f]{2}:){5,7}[0-9a-f]{2}$")
_SHAPES = {
    "mtu": re.compile(r"^[0-9]+$"),
    "hwprefix": re.compile(r"^([0-9a-f]{2}:)*[0-9a-f]{2}$"),
    "bonddevs": re.compile(r"^[A-Za-z0-9_.,-]+$"),
}
_ADDRESSES = ("ipaddr", "netmask", "network", "gateway")

Result = tuple[list[str], Optional[list[Edit]]]
"""Lines to show and edits to apply; the edits are None after an error."""


def changes(session: Session, parsed: Parsed, nodes: Sequence[Record]) -> Result:
    """Turns the options of one command into edits for these nodes, which are in the order of listings."""
    wrong = _wrong(parsed, nodes)
    if wrong:
        session.error(wrong)
        return [], None
    edits = [*_node_edits(parsed)]
    fields = [option.key for option in DEVICE_OPTIONS if parsed.has(option.key)]
    if fields or any(parsed.has(key) for key in ("netdev", "netdel", "netrename")):
        default = conf.read(session.system, "defaults/node.conf").one("netdev", "eth0")
        found: list[str] = []
        for node in nodes:
            name = _device_name(parsed, node, default)
            if name is None:
                what = (fields or ["netdel" if parsed.has("netdel") else "netrename"])[0]
                session.error(f"Option --{what} requires the --netdev option for: {node.name}")
                return [], None
            found.append(name)
        edits += _device_edits(parsed, found, fields)
    return [line for edit in edits for line in edit.line.splitlines()], edits


def _wrong(parsed: Parsed, nodes: Sequence[Record]) -> str | None:
    """The message for the first option with an invalid value, in Warewulf's words."""
    if parsed.has("netdev") and not _DEVICE.match(parsed.one("netdev")):
        return "Option 'netdev' has invalid characters"
    if parsed.has("netrename") and not _DEVICE.match(parsed.one("netrename")):
        return "Option 'netrename' has invalid characters"
    if parsed.has("hwaddr"):
        if len(nodes) > 1:
            return "Can not set HWADDR on more then 1 node!"
        words = parsed.listed("hwaddr")
        if words != (UNDEF,) and not (words and all(_HWADDR.match(word.lower()) for word in words)):
            return "Option 'hwaddrs' has invalid characters"
    if parsed.has("name") and len(nodes) > 1:
        return "Can not rename more then 1 node!"
    for key in parsed.values:
        if key not in ("lookup", "one", "hwaddr", "netdel") and not _fits(key, parsed.one(key)):
            return f"Option '{key}' has invalid characters"
    return None


def _fits(key: str, value: str) -> bool:
    if value == UNDEF or key in ("groups", "groupadd", "groupdel"):
        return all(_PLAIN.match(word) for word in value.split(","))
    if key in _ADDRESSES:
        parts = value.split(".")
        return len(parts) == 4 and all(part.isdigit() and int(part) < 256 for part in parts)
    return bool(_SHAPES.get(key, _PLAIN).match(value.lower() if key == "hwprefix" else value))


# Keys of the node


def _node_edits(parsed: Parsed) -> list[Edit]:
    plain = ("name", "cluster", "domain", "arch")
    edits = [_plain(key, parsed.one(key)) for key in plain if parsed.has(key)]
    if parsed.has("enabled"):
        value = "1" if number(parsed.one("enabled")) else "0"
        edits.append(Edit(change_line("SET", "ENABLED", value), lambda node, _: node.put("ENABLED", value)))
    if parsed.has("groups"):
        groups = () if parsed.one("groups") == UNDEF else parsed.listed("groups")
        line = change_line("SET", "GROUPS", ",".join(groups)) if groups else change_line("UNDEF", "GROUPS")
        edits.append(Edit(line, lambda node, _: node.put("GROUPS", groups)))
    edits.extend(_group(group, "ADD") for group in parsed.listed("groupadd"))
    edits.extend(_group(group, "DEL") for group in parsed.listed("groupdel"))
    return edits


def number(text: str) -> int:
    """A switch's value as Perl converts it: leading digits count, and a word such as `yes` is zero."""
    match = re.match(r"\s*[+-]?\d+", text)
    return int(match.group()) if match else 0


def _plain(key: str, value: str) -> Edit:
    field = "NODENAME" if key == "name" else key.upper()
    clear = value == UNDEF and key != "name"
    line = change_line("UNDEF", field) if clear else change_line("SET", field, value)
    return Edit(line, lambda node, _: with_node_names(node.put(field, "" if clear else value)))


def _group(group: str, what: str) -> Edit:
    def apply(node: Record, _: int) -> Record:
        others = tuple(one for one in node.many("GROUPS") if one != group)
        return node.put("GROUPS", (*others, group) if what == "ADD" else others)

    return Edit(change_line(what, "GROUPS", group), apply)


# Devices


def _device_name(parsed: Parsed, node: Record, default: str) -> str | None:
    if parsed.has("netdev"):
        return parsed.one("netdev")
    if len(node.netdevs) == 1:
        return node.netdevs[0].name
    return None if node.netdevs or node.id else default


def _device_edits(parsed: Parsed, names: Sequence[str], fields: Sequence[str]) -> list[Edit]:
    if parsed.has("netdel"):
        return [Edit(change_line("DEL", names[0]), lambda node, n: node.drop_netdev(names[n]))]
    edits = [_field(names, field, parsed) for field in fields]
    if not edits and not parsed.has("netrename"):
        # `--netdev eth0` alone adds the device without addresses.
        edits.append(Edit(change_line("ADD", names[0]), lambda node, n: _with(node, names[n], {})))
    if parsed.has("netrename"):
        new = parsed.one("netrename")

        def rename(node: Record, n: int) -> Record:
            old = node.netdev(names[n]) or NetDev(names[n])
            return node.drop_netdev(old.name).put_netdev(replace(old, name=new))

        edits.append(Edit(change_line("SET", f"{names[0]}.NAME", new), rename))
    return edits


def _field(names: Sequence[str], field: str, parsed: Parsed) -> Edit:
    key = f"{names[0]}.{field.upper()}"
    if parsed.one(field) == UNDEF:
        empty: str | tuple[str, ...] = () if field in LIST_FIELDS else ""
        return Edit(change_line("UNDEF", key), lambda node, n: _with(node, names[n], {field: empty}))
    if field in LIST_FIELDS:
        words = tuple(word.lower() if field == "hwaddr" else word for word in parsed.listed(field))
        line = change_line("SET", key, ",".join(words))
        return Edit(line, lambda node, n: _with(node, names[n], {field: words}))
    value = parsed.one(field)
    line = change_line("SET", key, value)
    if field == "ipaddr":
        return Edit(line, lambda node, n: _with(node, names[n], {"ipaddr": _counted(value, n)}))
    return Edit(line, lambda node, n: _with(node, names[n], {field: value}))


def _with(node: Record, name: str, values: dict[str, str | tuple[str, ...]]) -> Record:
    device = node.netdev(name) or NetDev(name)
    return node.put_netdev(replace(device, **values))  # type: ignore[arg-type]  # keys and kinds from the table


def _counted(address: str, steps: int) -> str:
    """The address that is `steps` after the first; several nodes get consecutive addresses."""
    value = 0
    for part in address.split("."):
        value = value * 256 + int(part)
    value = (value + steps) % 2**32
    return ".".join(str(value >> shift & 255) for shift in (24, 16, 8, 0))
