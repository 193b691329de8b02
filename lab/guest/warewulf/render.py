"""Renders the files that other servers and nodes read; pure functions."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from lab.guest.warewulf.model import DEFAULT_KARGS, NETDEV_FIELDS, TEMPLATE, NetDev, Record, with_node_names
from lab.guest.warewulf.network import BootNetwork

MARKER = "### ALL ENTRIES BELOW THIS LINE WILL BE OVERWRITTEN BY WAREWULF ###"
GENERATED = "# Written by Warewulf; changes are lost. To rebuild it: wwsh dhcp update"


# DHCP


def dnsmasq_hosts(nodes: Iterable[Record], network: BootNetwork) -> str:
    """The reservations of all nodes, as a `dhcp-hostsfile` of dnsmasq."""
    lines = [GENERATED]
    seen_hwaddr: set[str] = set()
    seen_ipaddr: set[str] = set()
    for node in nodes:
        lines.append(f"# Evaluating Warewulf node: {node.name} (DB ID:{node.id})")
        for device in node.netdevs:
            label = f"{node.name}-{device.name}"
            reason = _skipped(node, device, network, seen_hwaddr, seen_ipaddr)
            if reason:
                lines.append(f"# Skipping {label}: {reason}")
                continue
            lines.append(f"# Adding host entry for {label}")
            tags = [f"set:{tag}" for tag in (label, *_own_boot(node))]
            lines.append(",".join((*device.hwaddr, *tags, device.ipaddr, node.name)))
            seen_hwaddr.update(device.hwaddr)
            seen_ipaddr.add(device.ipaddr)
    return "\n".join(lines) + "\n"


OWN_BOOT = {"IPXEURL": "own-ipxe", "PXELOADER": "own-loader"}
"""Tags of nodes with boot files of their own: the general dhcp-boot lines pass over them (dnsmasq.conf)."""


def _own_boot(node: Record) -> list[str]:
    return [tag for key, tag in OWN_BOOT.items() if node.one(key)]


def _skipped(
    node: Record, device: NetDev, network: BootNetwork, hwaddrs: set[str], ipaddrs: set[str]
) -> str | None:
    twice = next((address for address in device.hwaddr if address in hwaddrs), "")
    reasons = {
        "Node is disabled": not node.enabled,
        "No defined HWADDR": not device.hwaddr,
        "No defined IPADDR": not device.ipaddr,
        f"Not on boot network ({device.ipaddr})": not network.contains(device.ipaddr),
        f"duplicate HWADDR ({twice})": bool(twice),
        f"duplicate IPADDR ({device.ipaddr})": device.ipaddr in ipaddrs,
    }
    return next((reason for reason, holds in reasons.items() if holds), None)


def dnsmasq_options(nodes: Iterable[Record], network: BootNetwork | None = None) -> str:
    """The DHCP options of single nodes, as a `dhcp-optsfile` of dnsmasq.

    A node's own boot files are those of Provision/Dhcp/Isc.pm (persist, since 3.9): IPXEURL, in which
    %{IPADDR} is the SMS's address, for an iPXE that asks, and PXELOADER, below /warewulf of the TFTP server,
    for any other firmware. dnsmasq puts option 67 into the answer's field `file` where no dhcp-boot applies
    (src/rfc2131.c, do_options).
    """
    lines = [GENERATED]
    for node in nodes:
        for device in node.netdevs:
            tag = f"tag:{node.name}-{device.name}"
            if node.one("IPXEURL"):
                url = node.one("IPXEURL").replace("%{IPADDR}", network.address if network else "")
                lines.append(f"{tag},tag:ipxe,option:bootfile-name,{url}")
            if node.one("PXELOADER"):
                lines.append(f"{tag},tag:!ipxe,option:bootfile-name,warewulf/{node.one('PXELOADER')}")
            if device.gateway:
                lines.append(f"{tag},option:router,{device.gateway}")
            if device.mtu:
                lines.append(f"{tag},option:mtu,{device.mtu}")
            if node.one("DOMAIN"):
                lines.append(f"{tag},option:domain-name,{node.one('DOMAIN')}")
    return "\n".join(lines) + "\n"


# Names


def _above_marker(text: str) -> list[str]:
    """The lines of a file that Warewulf leaves alone: those above its marker; without a marker, all."""
    lines = text.split("\n")
    # The line as a whole, as in Provision/HostsFile.pm and Provision/Genders.pm (both: generate).
    kept = "\n".join(lines[: lines.index(MARKER)] if MARKER in lines else lines).rstrip("\n")
    return [kept, ""] if kept else []


def hosts(before: str, nodes: Iterable[Record], network: BootNetwork | None, *, localdomain: bool) -> str:
    """A hosts file: the lines above the marker are kept, then follow all nodes.

    A node's own name stands for its address on the boot network, as in Provision/HostsFile.pm (generate);
    without a boot network, for its first address.
    """
    lines = [*_above_marker(before), MARKER]
    for node in nodes:
        main = _main_device(node, network)
        for device in node.netdevs if node.name != TEMPLATE else ():
            if device.ipaddr:
                names = _names(node, device, own=device is main, localdomain=localdomain)
                lines.append(f"{device.ipaddr:<23} {' '.join(names)}")
    return "\n".join(lines) + "\n"


def _main_device(node: Record, network: BootNetwork | None) -> NetDev | None:
    """The device whose address the node's own name stands for; None if it has none on the boot network."""
    devices = [device for device in node.netdevs if device.ipaddr]
    if len(node.netdevs) > 1 and network is not None:
        devices = [device for device in devices if network.contains(device.ipaddr)]
    return next(iter(devices), None)


def _names(node: Record, device: NetDev, *, own: bool, localdomain: bool) -> list[str]:
    bare = [*node.many("NAME")] if own else []
    if device.fqdn:
        bare.insert(0, device.fqdn)
    names: list[str] = []
    with_device = with_node_names(node.put("NODENAME", f"{node.name}-{device.name}"))
    for name in (*bare, *with_device.many("NAME")):
        names.append(name)
        if localdomain and "." not in name:
            names.append(f"{name}.localdomain")
    return list(dict.fromkeys(names))


def genders(before: str, nodes: Iterable[Record]) -> str:
    """The genders file of pdsh: the lines above the marker are kept, then follow all nodes and their groups.

    The rows are those of Provision/Genders.pm (generate). A row that is above the marker already is left out:
    libgenders refuses a file that gives a node an attribute twice.
    """
    kept = _above_marker(before)
    known = set("\n".join(kept).split("\n"))
    rows = [_genders_row(node) for node in nodes if node.name != TEMPLATE]
    return "\n".join([*kept, MARKER, *(row for row in rows if row not in known)]) + "\n"


def _genders_row(node: Record) -> str:
    row = f"{node.name} {node.one('GROUPS')}".rstrip()
    return row if node.enabled else f"# DISABLED {row}"


# Boot


@dataclass(frozen=True)
class Kernels:
    """Settings of all kernels: the SMS's address, and kernel arguments."""

    network: BootNetwork
    default: str = ""  # for nodes without arguments of their own
    always: str = ""  # come before a node's own arguments, which therefore override them


IPXE_HEAD = "#!ipxe\n# Configuration for Warewulf node: "


def is_ipxe_of_a_node(text: str) -> bool:
    """Whether an iPXE script is one that `ipxe` wrote."""
    return text.startswith(IPXE_HEAD)


def ipxe(node: Record, device: NetDev, hwaddr: str, bootstrap: Record | None, kernels: Kernels) -> str | None:
    """The iPXE script for one hardware address; None if there is nothing to boot."""
    head = [
        f"{IPXE_HEAD}{node.name}",
        f"# Warewulf data store ID: {node.id}",
    ]
    local = node.one("BOOTLOCAL")
    if local == "-1":
        leave = f"echo {node.name}: leaving iPXE, the firmware tries the next boot device"
        return "\n".join((*head, leave, "exit 1", ""))
    if local == "0":
        disk = "sanboot --no-describe --drive 0x80"
        return "\n".join((*head, f"echo {node.name}: booting from the local disk", disk, ""))
    if bootstrap is None:
        return None
    arguments = " ".join(_kernel_arguments(node, device, hwaddr, kernels))
    place = f"${{base}}/{bootstrap.one('ARCH')}/{bootstrap.id}"
    return "\n".join(
        (
            *head,
            f"echo Now booting {node.name} with Warewulf bootstrap ({bootstrap.name})",
            f"set base http://{kernels.network.address}/WW/bootstrap",
            f"initrd {place}/initfs.gz",
            f"kernel {place}/kernel ro initrd=initfs.gz {arguments}",
            "boot",
            "",
        )
    )


def _kernel_arguments(node: Record, device: NetDev, hwaddr: str, kernels: Kernels) -> Iterable[str]:
    network = kernels.network
    yield f"wwhostname={node.name}"
    yield f"wwtransport={node.one('TRANSPORT', 'http')}"
    yield from kernels.always.split()
    yield " ".join(node.many("KARGS")) or kernels.default or DEFAULT_KARGS
    if node.one("CONSOLE"):
        yield f"console=tty0 console={node.one('CONSOLE')}"
    yield f"wwmaster={node.one('MASTER', network.address)}"
    yield f"wwipaddr={device.ipaddr}"
    yield f"wwnetmask={device.netmask or network.netmask}"
    yield f"wwnetdev={device.name}"
    yield f"wwhwaddr={hwaddr}"
    for key in ("bonddevs", "bondmode", "gateway", "mtu"):
        values = device.values(key)
        if values:
            yield f"ww{key}={','.join(values)}"


# What nodes read

_PLAIN_KEY = re.compile(r"^[A-Z_][A-Z0-9_]*$")


def node_config(node: Record, vnfs: Record | None) -> str:
    """Shell code that sets and exports one variable WW… per key of the node."""
    values: dict[str, str] = {"ID": str(node.id), "TYPE": "node", "TIMESTAMP": str(node.timestamp)}
    values = {f"_{key}": value for key, value in values.items()}
    for key in sorted(node.values):
        values[key] = node.one(key)
    values["_HWADDR"], values["_IPADDR"] = ",".join(node.hwaddrs), ",".join(node.ipaddrs)
    values["_NETDEVLIST"] = ",".join(f"{device.name}={device.ipaddr}" for device in node.netdevs)
    for device in node.netdevs:
        for field in NETDEV_FIELDS:
            text = ",".join(device.values(field))
            if text:
                values[f"NETDEVS_{re.sub('[^A-Z0-9]', '_', device.name.upper())}_{field.upper()}"] = text
    if vnfs is not None:
        values["VNFS_NAME"], values["VNFS_CHECKSUM"] = vnfs.name, vnfs.one("CHECKSUM")
        values["VNFS_SIZE"] = vnfs.one("SIZE")
    return "".join(
        f'WW{key}="{_shell(value)}"\nexport WW{key}\n'
        for key, value in values.items()
        if value and _PLAIN_KEY.match(key)
    )


def _shell(value: str) -> str:
    """Escapes a value for double quotes of a POSIX shell, so that it never runs as a command."""
    return re.sub(r'([\\"$`])', r"\\\1", value.replace("\0", ""))


_PLACEHOLDER = re.compile(rb"%\{([A-Za-z0-9_]+(?:::[A-Za-z0-9_]+)*)\}(?:\[(\d+)\])?")


def expanded(content: bytes, node: Record) -> bytes:
    """Replaces %{KEY}, %{KEY}[n] and %{NETDEVS::ETH0::IPADDR} in a file's content by values of a node."""
    known: Mapping[str, Sequence[str]] = _variables(node)

    def value(match: re.Match[bytes]) -> bytes:
        values = known.get(match.group(1).decode().upper(), ())
        if match.group(2) is None:
            return ",".join(values).encode()
        index = int(match.group(2))
        return values[index].encode() if index < len(values) else b""

    return _PLACEHOLDER.sub(value, content)


def _variables(node: Record) -> dict[str, Sequence[str]]:
    known: dict[str, Sequence[str]] = {key.upper(): node.many(key) for key in node.values}
    known["_ID"], known["_TIMESTAMP"] = (str(node.id),), (str(node.timestamp),)
    known["_HWADDR"], known["_IPADDR"] = node.hwaddrs, node.ipaddrs
    for device in node.netdevs:
        for field in ("name", *NETDEV_FIELDS):
            known[f"NETDEVS::{device.name.upper()}::{field.upper()}"] = device.values(field)
    return known
