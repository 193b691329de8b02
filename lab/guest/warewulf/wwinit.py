"""wwinit: sets up Warewulf on the SMS; a second run changes nothing."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass

from lab.guest.system import System
from lab.guest.warewulf import conf, contents, events, presets, store
from lab.guest.warewulf.errors import WarewulfError
from lab.guest.warewulf.model import Kind, Record
from lab.guest.warewulf.network import BootNetwork, NetworkError, boot_network

USAGE = """USAGE: wwinit [options] MODULE|TAG ...

   -d, -v, -h   debug, verbose, show this text

Modules, in the order in which they run:
"""
NODE_KEYS = "/etc/warewulf/vnfs/ssh"


@dataclass(frozen=True)
class SetupStep:
    """One step of a module. `do` returns True if it changed something, False if nothing was to do."""

    text: str
    do: Callable[[System], bool]


@dataclass(frozen=True)
class Module:
    """Named steps; a tag stands for several modules."""

    order: int
    name: str
    tags: tuple[str, ...]
    steps: tuple[SetupStep, ...]


def main(arguments: Sequence[str], system: System) -> int:
    """Runs the modules that the arguments name, in the order of MODULES."""
    words = [word for word in arguments if not word.startswith("-")]
    if not words or "-h" in arguments or "--help" in arguments:
        sys.stdout.write(usage())
        return 0 if words or len(arguments) else 1
    chosen = [module for module in MODULES if any(_means(word, module) for word in words)]
    unknown = [word for word in words if not any(_means(word, module) for module in MODULES)]
    if unknown:
        sys.stderr.write(f"ERROR:  Unknown module or tag: {unknown[0]}\nhint: wwinit --help\n")
        return 1
    if not system.is_root:
        sys.stderr.write("ERROR:  Only root can set up Warewulf\nhint: use sudo\n")
        return 1
    for module in chosen:
        if not _run(system, module):
            return 1
    sys.stdout.write("Done.\n")
    return 0


def usage() -> str:
    """The text of `wwinit --help`."""
    return USAGE + "".join(f"   {one.order}-{one.name:<12} {' '.join(one.tags)}\n" for one in MODULES)


def _means(word: str, module: Module) -> bool:
    return word == module.name or word.upper() in module.tags


def _run(system: System, module: Module) -> bool:
    for step in module.steps:
        try:
            result = "OK" if step.do(system) else "SKIPPED"
        except (WarewulfError, OSError) as error:
            sys.stdout.write(f"{_line(module, step)} NO\n")
            sys.stdout.flush()
            sys.stderr.write(f"ERROR:  Lethal error thrown by module {module.name}: {error}\n")
            return False
        sys.stdout.write(f"{_line(module, step)} {result}\n")
    return True


def _line(module: Module, step: SetupStep) -> str:
    return f"{module.name + ':':<15} {step.text:<55}"


# Steps


def _configs(*names: str) -> SetupStep:
    def write(system: System) -> bool:
        missing = [name for name in names if not system.exists(f"{conf.FOLDER}/{name}")]
        for name in missing:
            system.write(f"{conf.FOLDER}/{name}", presets.FILES[name].encode())
        return bool(missing)

    return SetupStep(f"Writing {', '.join(names[:2])}{', ...' if len(names) > 2 else ''}", write)


def _hosts(system: System) -> bool:
    with closing(store.Store(system)) as opened:
        return events.write_hosts(system, opened, opened.records(Kind.NODE), _network(system))


def _network(system: System) -> BootNetwork | None:
    try:
        return boot_network(system)
    except NetworkError:
        return None  # while an image is built, the card does not exist yet


def _dhcp(system: System) -> bool:
    with closing(store.Store(system)) as opened:
        try:
            changed = events.write_dhcp(system, opened.records(Kind.NODE), boot_network(system))
        except NetworkError as error:
            # While an image is built, the card does not exist yet; dnsmasq still needs its files.
            sys.stderr.write(f"WARNING:  {error}\n")
            changed = events.write_empty_dhcp(system)
    if changed:
        events.reload_dhcp(system)
    return changed


LOADERS = {
    "undionly.kpxe": "bin-i386-pcbios/undionly.kpxe",
    "snponly.efi": "bin-x86_64-efi/snp.efi",
    "snp.efi": "bin-x86_64-efi/snp.efi",
}
"""Maps each loader of Debian's package ipxe to its path below the TFTP folder."""


def _loaders(system: System) -> bool:
    target = conf.read(system, "provision.conf").one("tftpdir", "/var/lib/tftpboot")
    done = False
    for name, place in LOADERS.items():
        path = f"{target}/warewulf/ipxe/{place}"
        if system.is_file(f"/usr/lib/ipxe/{name}") and not system.exists(path):
            done = system.write(path, system.read(f"/usr/lib/ipxe/{name}")) or done
    return done


def _make_key(system: System, path: str, comment: str) -> bool:
    if system.exists(path):
        return False
    real = system.path(path)
    system.make_dir(os.path.dirname(path), 0o700)
    kind = "rsa" if "rsa" in os.path.basename(path) else "ed25519"
    done = system.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-C", comment, "-f", real])
    if done.status:
        raise WarewulfError(f"ssh-keygen: {done.err.decode(errors='replace').strip()}")
    return True


def _make_public(system: System, path: str) -> bool:
    """Writes the public half of a key that has only a private one: the lab's set-up delivers keys so."""
    if system.exists(f"{path}.pub"):
        return False
    done = system.run(["ssh-keygen", "-y", "-f", system.path(path)])
    if done.status:
        raise WarewulfError(f"ssh-keygen: {path}: {done.err.decode(errors='replace').strip()}")
    return system.write(f"{path}.pub", done.out)


def _cluster_key(system: System) -> bool:
    made = _make_key(system, "/root/.ssh/cluster", "Warewulf Cluster key")
    made = _make_public(system, "/root/.ssh/cluster") or made
    public = system.text("/root/.ssh/cluster.pub")
    known = system.text("/root/.ssh/authorized_keys", "")
    # The key itself: what follows it is a comment, which may differ.
    if public.split()[1] not in known.split():
        text = known + ("\n" if known and not known.endswith("\n") else "") + public
        made = system.write("/root/.ssh/authorized_keys", text.encode(), 0o600) or made
    if not system.exists("/root/.ssh/config"):
        text = "# Added by Warewulf\nHost *\n   IdentityFile ~/.ssh/cluster\n   StrictHostKeyChecking no\n"
        made = system.write("/root/.ssh/config", text.encode(), 0o600) or made
    return made


def _node_host_keys(system: System) -> bool:
    made = [_make_key(system, f"{NODE_KEYS}/ssh_host_{kind}_key", "nodes") for kind in ("ed25519", "rsa")]
    return any(made)


def _auth_files(system: System) -> bool:
    """Imports the users' files that the data store does not have (wwinit/40-authfiles.init)."""
    with closing(store.Store(system)) as opened:
        missing = [name for name in ("passwd", "group") if opened.named(Kind.FILE, name) is None]
        with opened.transaction():
            for name in missing:
                path = f"/etc/{name}"
                attributes, content = contents.from_path(system, path)
                record = Record(Kind.FILE, {"NAME": name, "PATH": path, "ORIGIN": (path,), **attributes})
                contents.save(opened, record, content)
    return bool(missing)


def _by_the_lab(text: str) -> SetupStep:
    """A step that the lab's own set-up has done, or that it needs not."""
    return SetupStep(text, lambda _: False)


_PROVISION = ("provision.conf", "defaults/node.conf", "defaults/provision.conf")
_LAYOUTS = tuple(name for name in presets.FILES if name.startswith("filesystem/"))
_MASTER = ("ALL", "MASTER", "PROVISION")
MODULES = (
    Module(
        10, "database", ("ALL", "DATABASE", "DATASTORE"), (SetupStep("Creating the datastore", store.create),)
    ),
    Module(25, "wwsh", ("ALL", "PROVISION"), (_configs(*_PROVISION, *_LAYOUTS, "livesync.conf"),)),
    Module(30, "domain", ("ALL", "PROVISION", "VNFS"), (_by_the_lab("Domain of the nodes: localdomain"),)),
    Module(
        40,
        "authfiles",
        ("ALL", "DATASTORE", "PROVISION", "AUTH"),
        (SetupStep("Importing /etc/passwd and /etc/group", _auth_files),),
    ),
    Module(50, "dhcp", _MASTER, (SetupStep("Writing the reservations of all nodes", _dhcp),)),
    Module(50, "network", (*_MASTER, "NFS"), (_by_the_lab("The lab configures the cards"),)),
    Module(50, "nfsd", (*_MASTER, "NFS"), (_by_the_lab("The lab exports the folders"),)),
    Module(
        50,
        "ssh_keys",
        ("ALL", "AUTH", "MASTER", "PROVISION", "VNFS"),
        (
            SetupStep("Checking ssh keys for root", _cluster_key),
            SetupStep("Checking for default ssh host keys for nodes", _node_host_keys),
        ),
    ),
    Module(50, "tftp", _MASTER, (SetupStep("Installing the network boot loaders", _loaders),)),
    Module(51, "chrony", (*_MASTER, "TIME"), (_by_the_lab("Nodes have the host's clock"),)),
    Module(52, "ntp", (*_MASTER, "TIME"), (_by_the_lab("Nodes have the host's clock"),)),
    Module(60, "hostfile", _MASTER, (SetupStep("Updating /etc/hosts and dynamic_hosts", _hosts),)),
    Module(90, "bootstrap", ("ALL", "PROVISION", "BOOTSTRAP"), (_configs("bootstrap.conf"),)),
    Module(91, "vnfs", ("ALL", "PROVISION", "VNFS"), (_configs("vnfs.conf"),)),
)
"""The modules of Warewulf with their tags; those that a lab does not need say so."""
