"""Rewrites the files that other servers read, after objects have changed."""

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
    """Updates all generated files; returns whether the boot configuration is up to date."""
    nodes = store.records(Kind.NODE)
    done = True
    for problem in conf.read(system, "provision.conf").problems:
        warn(problem)
    try:
        network: BootNetwork | None = boot_network(system)
    except NetworkError as error:
        warn(f"DHCP and iPXE are not up to date. {error}")
        done, network = False, None
    reload = write_hosts(system, store, nodes, network)
    write_genders(system, nodes)
    if network is not None:
        write_ipxe(system, store, nodes, network)
        if dhcp:
            reload = write_dhcp(system, nodes, network) or reload
    if reload and dhcp and not reload_dhcp(system):
        # Not a failure of the command: the files are written, and dnsmasq reads them when it starts.
        warn("dnsmasq is not running, so no node can boot\nhint: systemctl start dnsmasq")
    return done


def write_hosts(system: System, store: Store, nodes: list[Record], network: BootNetwork | None) -> bool:
    """Rewrites /etc/hosts and the file object dynamic_hosts; returns whether /etc/hosts changed."""
    settings = conf.read(system, "provision.conf")
    before = system.text("/etc/hosts", "")
    localdomain = settings.yes("use localdomain", default=True)
    text = render.hosts(before, nodes, network, localdomain=localdomain).encode("utf-8", "surrogateescape")
    if settings.yes("generate dynamic_hosts", default=True):
        contents.store_generated(store, "dynamic_hosts", "/etc/hosts", text)
    path = settings.one("hostfile", "/etc/hosts")
    return settings.yes("update hostfile", default=True) and system.write(path, text)


def write_genders(system: System, nodes: list[Record]) -> None:
    """Rewrites pdsh's genders file, unless `generate genders` is no (Provision/Genders.pm, update)."""
    settings = conf.read(system, "provision.conf")
    if settings.yes("generate genders", default=True):
        path = settings.one("genders file", GENDERS)
        text = render.genders(system.text(path, ""), nodes)
        system.write(path, text.encode("utf-8", "surrogateescape"))


def write_dhcp(system: System, nodes: list[Record], network: BootNetwork) -> bool:
    """Rewrites dnsmasq's reservations for nodes; returns whether anything changed."""
    changed = [
        system.write(DHCP_HOSTS, render.dnsmasq_hosts(nodes, network).encode()),
        system.write(DHCP_OPTIONS, render.dnsmasq_options(nodes, network).encode()),
    ]
    return any(changed)


def write_empty_dhcp(system: System) -> bool:
    """Writes missing files of dnsmasq without any node; returns whether any was missing."""
    missing = [path for path in (DHCP_HOSTS, DHCP_OPTIONS) if not system.exists(path)]
    for path in missing:
        system.write(path, render.dnsmasq_options(()).encode())
    return bool(missing)


def reload_dhcp(system: System) -> bool:
    """Makes dnsmasq reread its reservations and /etc/hosts; False if it is not running."""
    return any(system.signal_from_file(pid_file, signal.SIGHUP) for pid_file in PID_FILES)


def write_ipxe(system: System, store: Store, nodes: list[Record], network: BootNetwork) -> None:
    """Writes one iPXE script per hardware address that may boot, and removes all other scripts of nodes.

    Files that an administrator put there stay: Provision/Pxe.pm (delete) removes those of nodes only.
    """
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
    for path in (f"{IPXE}/{name}" for name in system.names(IPXE) if name not in wanted):
        if system.is_file(path) and render.is_ipxe_of_a_node(system.text(path)):
            system.remove(path)
