"""wwnodescan: registers machines by their DHCP requests, in the order in which they are switched on."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace

from lab.guest.system import System
from lab.guest.warewulf import dhcp_requests
from lab.guest.warewulf.addresses import as_address, as_number, is_address
from lab.guest.warewulf.cmd_node import blank, with_defaults
from lab.guest.warewulf.errors import WarewulfError
from lab.guest.warewulf.lookup import expand
from lab.guest.warewulf.model import TEMPLATE, Kind, NetDev, Record, with_node_names
from lab.guest.warewulf.node_options import DEFAULT_DEVICE, name_problem
from lab.guest.warewulf.options import Option, Parsed, parse
from lab.guest.warewulf.session import Flags, Session

USAGE = """USAGE: wwnodescan [options] NODE ...

Waits for machines that ask for an address, and registers each under the next of the names.

   -n, --netdev DEV       network device of the nodes (default: eth0)
   -i, --ipaddr ADDR      address of the first node; the next ones follow it
   -m, --netmask MASK     their netmask
   -V, --vnfs NAME        their VNFS
   -b, --bootstrap NAME   their bootstrap
   -g, --groups A,B       their groups; also -c, --cluster and --domain
   -r, --replace          give the machines to nodes that are registered already under these names
   -a, --autoconfig       give the machines to registered nodes without a hardware address
   -x, --max [N]          end after N machines; without N, after as many as there are names
   -l, --listen CARD      hear requests on this card (default: any)
   -f, --file FILE        write commands for wwsh to FILE and register nothing
   -t, --test             only show what would be done
   -v, -d, -h             verbose, debug, show this text

It ends when every name is given, or with Ctrl-C.

Example:
   wwnodescan --netdev=eth0 --ipaddr=ADDRESS --netmask=MASK --vnfs=debian13 c[1-4]
"""

OPTIONS = (
    Option("help", ("help", "h"), flag=True),
    Option("debug", ("debug", "d"), flag=True),
    Option("verbose", ("verbose", "v"), flag=True),
    Option("test", ("test", "t"), flag=True),
    Option("replace", ("replace", "r"), flag=True),
    Option("autoconfig", ("autoconfig", "a"), flag=True),
    Option("max", ("max", "x"), count=True),
    Option("ipaddr", ("ipaddr", "i")),
    Option("netmask", ("netmask", "m")),
    Option("netdev", ("netdev", "n")),
    Option("vnfs", ("vnfs", "V")),
    Option("bootstrap", ("bootstrap", "b")),
    Option("cluster", ("cluster", "c")),
    Option("domain", ("domain",)),
    Option("groups", ("groups", "g")),
    Option("file", ("file", "f")),
    Option("listen", ("listen", "l")),
)
"""Those of provision/bin/wwnodescan, without InfiniBand and the path of tcpdump."""


def main(arguments: Sequence[str], system: System) -> int:
    """Runs wwnodescan."""
    session = Session(system, Flags(yes=True), out=sys.stdout, err=sys.stderr, terminal=False)
    try:
        parsed = parse(OPTIONS, arguments, session.warning)
        session.flags = Flags(yes=True, verbose=parsed.has("verbose"), debug=parsed.has("debug"))
        if parsed.has("help") or (not parsed.words and not parsed.has("autoconfig")):
            session.row(USAGE.rstrip())
            return 0
        scan = Scan(session, parsed)
        card = parsed.one("listen", dhcp_requests.ANY)
        session.notice(f"Listening on {card} for DHCP requests (Ctrl-C ends)")
        sys.stdout.flush()
        scan.run(dhcp_requests.clients(dhcp_requests.frames(card)))
    except (WarewulfError, OSError) as error:
        session.error(str(error))
        return 1
    finally:
        session.close()
    return 0


class Scan:
    """Gives hardware addresses to nodes until the names, or the machines that were asked for, are used up."""

    def __init__(self, session: Session, parsed: Parsed) -> None:
        if not session.system.is_root:
            raise WarewulfError("Must be root to run wwnodescan\nhint: use sudo")
        self._session, self._parsed, self._store = session, parsed, session.store
        self._names = expand(parsed.words)
        self._references = self._found_references()
        self._check()
        self._device = parsed.one("netdev", DEFAULT_DEVICE)
        self._address = as_number(parsed.one("ipaddr")) if parsed.has("ipaddr") else 0
        self._left = self._wanted()
        self._script: list[str] = []

    def _found_references(self) -> dict[str, str]:
        """The numbers of VNFS and bootstrap, by their keys."""
        found: dict[str, str] = {}
        for key, kind in (("vnfs", Kind.VNFS), ("bootstrap", Kind.BOOTSTRAP)):
            name = self._parsed.one(key)
            record = self._store.named(kind, name) if name else None
            if name and record is None:
                raise WarewulfError(f'{key.upper()} "{name}" does not exist\nhint: wwsh {key} list')
            if record is not None:
                found[f"{key.upper()}ID"] = str(record.id)
        return found

    def _check(self) -> None:
        parsed = self._parsed
        problem = next(filter(None, map(name_problem, self._names)), "")
        if problem:
            raise WarewulfError(problem)
        for key in ("ipaddr", "netmask"):
            if parsed.has(key) and not is_address(parsed.one(key)):
                raise WarewulfError(f"Option '{key}' has invalid characters")
        if parsed.has("replace") or parsed.has("autoconfig"):
            return
        if not parsed.has("ipaddr"):
            raise WarewulfError("Starting IP address is required (--ipaddr ADDRESS).")
        if not parsed.has("netmask"):
            raise WarewulfError("Netmask is required (--netmask MASK).")

    def _wanted(self) -> int:
        """How many machines to give away; -1 for as many as come, until the names are used up."""
        if not self._parsed.has("max"):
            return -1
        count = int(self._parsed.one("max"))
        if count == 0:
            count = len(self._names) + (len(self._bare()) if self._parsed.has("autoconfig") else 0)
        if count == 0:
            raise WarewulfError("Automatic detection of max node count found no unconfigured nodes.")
        return count

    def _bare(self) -> list[Record]:
        """The nodes without a hardware address."""
        found = self._store.find(Kind.NODE, "_hwaddr", "UNDEF")
        return [node for node in found if node.name != TEMPLATE]

    def run(self, hwaddrs: Iterable[str]) -> None:
        """Takes machines until none is wanted any more."""
        for hwaddr in hwaddrs:
            if self._store.find(Kind.NODE, "_hwaddr", hwaddr):
                self._session.info(f"Node is known ({hwaddr})")
                continue
            if self._take(hwaddr):
                self._left -= 1
            if self._left == 0 or (not self._names and not self._parsed.has("autoconfig")):
                break
        if self._parsed.has("file") and not self._parsed.has("test"):
            text = "\n".join(["#!/usr/bin/wwsh", *self._script, ""])
            self._session.system.write(self._parsed.one("file"), text.encode(), 0o755)

    def _take(self, hwaddr: str) -> bool:
        """Gives a machine to a node; returns whether there was one."""
        parsed = self._parsed
        bare = self._bare() if parsed.has("autoconfig") else []
        if bare:
            return self._configure(bare[0], hwaddr)
        if not self._names:
            self._session.warning(f"No node without a hardware address is left for {hwaddr}")
            return False
        name = self._names.pop(0)
        old = self._store.named(Kind.NODE, name)
        if old is not None and parsed.has("replace"):
            return self._replace(old, hwaddr)
        if old is not None:
            raise WarewulfError(f"Node {name} already exists\nhint: wwnodescan --replace ... {name}")
        if not parsed.has("ipaddr"):
            raise WarewulfError(f"Starting IP address is required for the new node {name}: --ipaddr")
        return self._add(name, hwaddr)

    def _free_address(self) -> str:
        """The next address that no node has."""
        while True:
            address = as_address(self._address)
            self._address += 1
            others = self._store.find(Kind.NODE, "_ipaddr", address)
            if not others:
                return address
            if not others[0].hwaddrs:
                raise WarewulfError(
                    f"Node {others[0].name} already uses IP address {address} but with no hardware address."
                    "\nhint: wwnodescan --autoconfig"
                )
            self._session.warning(f"Node {others[0].name} already uses IP address {address}; skipping.")

    def _add(self, name: str, hwaddr: str) -> bool:
        session, parsed = self._session, self._parsed
        address, netmask = self._free_address(), parsed.one("netmask")
        told = f"{name}:  {address}/{netmask}/{hwaddr}"
        if parsed.has("test"):
            session.row(f"[TEST] Add to data store:  {told}")
        elif parsed.has("file"):
            self._script += self._commands(name, address, hwaddr)
            session.row(f"Added to script file:  {told}")
        else:
            node = blank(session, name)
            for key, value in self._references.items():
                node = node.put(key, value)
            for key in ("cluster", "domain"):
                node = node.put(key.upper(), parsed.one(key)) if parsed.has(key) else node
            if parsed.has("groups"):
                node = node.put("GROUPS", parsed.listed("groups"))
            device = NetDev(self._device, hwaddr=(hwaddr,), ipaddr=address, netmask=netmask)
            self._persist(with_node_names(with_defaults(session, node.put_netdev(device))))
            session.row(f"Added to data store:  {told}")
        sys.stdout.flush()
        return True

    def _commands(self, name: str, address: str, hwaddr: str) -> list[str]:
        parsed = self._parsed
        given = [
            f"--{key}={parsed.one(key)}"
            for key in ("netmask", "cluster", "domain", "groups")
            if parsed.has(key)
        ]
        line = [
            "node new",
            name,
            f"--netdev={self._device}",
            f"--ipaddr={address}",
            f"--hwaddr={hwaddr}",
            *given,
        ]
        boot = [f"--{key}={parsed.one(key)}" for key in ("vnfs", "bootstrap") if parsed.has(key)]
        return [" ".join(line), *([" ".join(["provision set", name, *boot])] if boot else [])]

    def _replace(self, node: Record, hwaddr: str) -> bool:
        device = self._device_of(node)
        fresh = replace(device, hwaddr=(hwaddr,))
        if self._parsed.has("ipaddr"):
            fresh = replace(fresh, ipaddr=self._free_address())
            self._tell(
                f"Updated {node.name}.{device.name}.ipaddr:  {device.ipaddr or 'UNDEF'} -> {fresh.ipaddr}"
            )
        self._tell(
            f"Updated {node.name}.{device.name}.hwaddr:  {','.join(device.hwaddr) or 'UNDEF'} -> {hwaddr}"
        )
        if not self._parsed.has("test"):
            self._persist(node.put_netdev(fresh))
        return True

    def _configure(self, node: Record, hwaddr: str) -> bool:
        self._tell(f"Configured {node.name}.{self._device_of(node).name}.hwaddr:  {hwaddr}")
        if not self._parsed.has("test"):
            self._persist(node.put_netdev(replace(self._device_of(node), hwaddr=(hwaddr,))))
        return True

    def _device_of(self, node: Record) -> NetDev:
        """The device that --netdev names; else the first without a hardware address, or the first."""
        if self._parsed.has("netdev") or not node.netdevs:
            return node.netdev(self._device) or NetDev(self._device)
        return next((device for device in node.netdevs if not device.hwaddr), node.netdevs[0])

    def _tell(self, text: str) -> None:
        self._session.row(("[TEST] " if self._parsed.has("test") else "") + text)
        sys.stdout.flush()

    def _persist(self, node: Record) -> None:
        with self._store.transaction():
            if node.id:
                self._store.put(node)
            else:
                self._store.add(node)
        # At once: the machine asks again after a few seconds, and then the DHCP server must know it.
        self._session.changed()
        self._session.apply_events()
