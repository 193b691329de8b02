"""What follows from a change of objects: everything other servers read is rewritten at once."""

from __future__ import annotations

import signal
from collections.abc import Callable

from lab.guest.system import System
from lab.guest.warewulf import conf, contents, render
from lab.guest.warewulf.model import DEFAULT_KARGS, MACHINE_KARGS, Kind, Record
from lab.guest.warewulf.network import BootNetwork, NetworkError, boot_network
from lab.guest.warewulf.store import Store

DHCP_HOSTS = "/etc/warewulf/dnsmasq.hosts"
DHCP_OPTIONS = "/etc/warewulf/dnsmasq.options"
IPXE = "/srv/warewulf/ipxe/cfg"
GENDERS = "/etc/genders"
PID_FILES = ("/run/dnsmasq/dnsmasq.pid", "/run/dnsmasq.pid")


def apply(system: System, store: Store, warn: Callable[[str], None], *, dhcp: bool) -> bool:
    """Brings all generated files up to date; says whether nodes can boot by them now."""
    nodes = store.records(Kind.NODE)
    done = True
    reload = write_hosts(system, store, nodes)
    system.write(GENDERS, render.genders(nodes).encode())
    try:
        network = boot_network(system)
    except NetworkError as error:
        warn(f"DHCP and iPXE are not up to date. {error}")
        done = False
    else:
        write_ipxe(system, store, nodes, network)
        if dhcp:
            reload = write_dhcp(system, nodes, network) or reload
    if reload and dhcp and not reload_dhcp(system):
        # Not an error of the command: all it had to write is written, and dnsmasq reads it on start.
        warn("dnsmasq does not run, so no node can boot\nhint: systemctl start dnsmasq")
    return done


def write_hosts(system: System, store: Store, nodes: list[Record]) -> bool:
    """Rewrites the SMS's /etc/hosts and the file object dynamic_hosts; says whether the former changed."""
    settings = conf.read(system, "provision.conf")
    before = system.text("/etc/hosts", "")
    localdomain = settings.yes("use localdomain", default=True)
    text = render.hosts(before, nodes, localdomain=localdomain).encode("utf-8", "surrogateescape")
    if settings.yes("generate dynamic_hosts", default=True):
        contents.store_generated(store, "dynamic_hosts", "/etc/hosts", text)
    return settings.yes("update hostfile", default=True) and system.write("/etc/hosts", text)


def write_dhcp(system: System, nodes: list[Record], network: BootNetwork) -> bool:
    """Rewrites what dnsmasq reserves for nodes; says whether anything changed."""
    changed = [
        system.write(DHCP_HOSTS, render.dnsmasq_hosts(nodes, network).encode()),
        system.write(DHCP_OPTIONS, render.dnsmasq_options(nodes).encode()),
    ]
    return any(changed)


def write_empty_dhcp(system: System) -> bool:
    """Writes the files that dnsmasq reads, without nodes, where they do not exist yet."""
    missing = [path for path in (DHCP_HOSTS, DHCP_OPTIONS) if not system.exists(path)]
    for path in missing:
        system.write(path, render.dnsmasq_options(()).encode())
    return bool(missing)


def reload_dhcp(system: System) -> bool:
    """Makes dnsmasq read its reservations and /etc/hosts again; False when it does not run."""
    return any(system.signal_from_file(pid_file, signal.SIGHUP) for pid_file in PID_FILES)


def write_ipxe(system: System, store: Store, nodes: list[Record], network: BootNetwork) -> None:
    """Writes one iPXE script for each hardware address that may boot and removes all others."""
    bootstraps = {str(one.id): one for one in store.records(Kind.BOOTSTRAP)}
    default = conf.read(system, "provision.conf").one("default kargs", DEFAULT_KARGS)
    kernels = render.Kernels(network, default, system.text(MACHINE_KARGS, ""))
    wanted: dict[str, str] = {}
    for node in nodes:
        for device in node.netdevs if node.enabled else ():
            for hwaddr in device.hwaddr:
                bootstrap = bootstraps.get(node.one("BOOTSTRAPID"))
                text = render.ipxe(node, device, hwaddr, bootstrap, kernels)
                if text is not None:
                    wanted.setdefault(hwaddr, text)
    for hwaddr, text in wanted.items():
        system.write(f"{IPXE}/{hwaddr}", text.encode())
    for name in system.names(IPXE):
        if name not in wanted and not name.startswith("."):
            system.remove(f"{IPXE}/{name}")
