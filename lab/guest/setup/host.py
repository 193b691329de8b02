"""Sets up the SMS itself: addresses, host names, keys, users, and the configuration of services."""

from __future__ import annotations

import json
import os
import string
import time
from collections.abc import Callable

from lab.guest.setup import kept_lines
from lab.guest.setup.cluster import Card, Description
from lab.guest.setup.identity import USERS, Identity
from lab.guest.system import System

TEMPLATES = "/usr/share/rackling"
CHROOT = "/opt/ohpc/admin/images/debian13"
OWN_DNSMASQ = "/etc/dnsmasq.d"
FIRST_UID = 1001
CABLE_SECONDS = 20.0  # how often set-up says that it waits for a cable
NETWORK_CARDS = "/sys/class/net"


def raise_network(
    system: System, cluster: Description, *, sleep: Callable[[float], None] = time.sleep
) -> None:
    """Gives each network card of the SMS its address; identifies cards by MAC, not by the kernel's name.

    The harness plugs cables in during the boot. A slow host takes minutes for that, and nothing works without
    them: this waits until all are there, and says so.
    """
    system.run(["ip", "link", "set", "lo", "up"])
    by_mac = _cards(system)
    told = system.clock()
    while missing := [card for card in cluster.sms.cards if card.mac not in by_mac]:
        sleep(0.05)
        by_mac = _cards(system)
        if system.clock() >= told + CABLE_SECONDS:
            told = system.clock()
            print("no cable yet: " + ", ".join(f"{card.name} {card.mac}" for card in missing), flush=True)
    for card in cluster.sms.cards:
        name = by_mac[card.mac]
        system.run(["ip", "link", "set", name, "up"])
        if card.address:
            prefix = cluster.subnets[card.network].prefixlen
            system.run(["ip", "addr", "replace", f"{card.address}/{prefix}", "brd", "+", "dev", name])


def _cards(system: System) -> dict[str, str]:
    """Names of the present network cards, by MAC."""
    return {
        system.text(f"{NETWORK_CARDS}/{name}/address", "").strip(): name
        for name in system.names(NETWORK_CARDS)
    }


def write_hosts(system: System, cluster: Description) -> None:
    """Writes the SMS's own lines to /etc/hosts, above the lines that Warewulf writes."""
    sms = cluster.sms
    ours = f"127.0.0.1 localhost\n{sms.boot_card.address:<23}{sms.name} {sms.name}.localdomain\n"
    other = cluster.runner
    if other is not None:
        ours += f"{other.boot_card.address:<23}{other.name} {other.name}.localdomain\n"
    current = system.text("/etc/hosts", "")
    if ours not in current:
        former = [line.split() for line in ours.splitlines()]
        rest = [line for line in current.splitlines() if line.split() not in former]
        system.write("/etc/hosts", (ours + "\n".join([*rest, ""])).encode())


def write_services(system: System, cluster: Description) -> None:
    """Writes the configuration of DHCP, TFTP, DNS and the web server for the provisioned network.

    The two files are rendered at each boot, as Warewulf renders dhcpd.conf from its template. An
    administrator's own settings are files beside them: in OWN_DNSMASQ and in /etc/nginx/conf.d.
    """
    card = cluster.sms.boot_card
    subnet = cluster.subnets["internal"]
    values = {
        "card": card.name,
        "address": str(card.address),
        "subnet": str(subnet),
        "network": str(subnet.network_address),
        "netmask": str(subnet.netmask),
    }
    for template, target in (
        ("dnsmasq.conf", "/etc/rackling/dnsmasq.conf"),
        ("nginx.conf", "/etc/nginx/conf.d/warewulf.conf"),
    ):
        text = string.Template(system.text(f"{TEMPLATES}/{template}")).substitute(values)
        system.write(target, text.encode())
    system.make_dir(OWN_DNSMASQ)  # dnsmasq does not start if it is missing
    _provision_conf(system, card, str(subnet.netmask))


def _provision_conf(system: System, card: Card, netmask: str) -> None:
    """Tells Warewulf which card nodes boot from; keeps the file's other settings."""
    lines = system.text("/etc/warewulf/provision.conf", "").splitlines()
    ours = {"network device": card.name, "ip address": str(card.address), "ip netmask": netmask}
    kept = [line for line in lines if line.split("=")[0].strip() not in ours]
    text = "\n".join([*kept, *(f"{key} = {value}" for key, value in ours.items())])
    system.write("/etc/warewulf/provision.conf", (text + "\n").encode())


def install_keys(system: System, cluster: Description, identity: Identity) -> None:
    """Copies the lab's keys to where the services of the SMS read them."""
    system.write("/etc/munge/munge.key", identity.munge_key(), mode=0o400)
    system.run(["chown", "munge:munge", system.path("/etc/munge/munge.key")])
    system.write("/etc/slurm/jwt_hs256.key", identity.jwt_key(), mode=0o400)
    system.run(["chown", "slurm:slurm", system.path("/etc/slurm/jwt_hs256.key")])
    _host_key(system, "/etc/ssh", identity, "host_sms")
    system.make_dir("/root/.ssh", mode=0o700)
    system.write("/root/.ssh/cluster", identity.private_key("root"), mode=0o600)
    if not system.exists("/root/.ssh/config"):  # as wwinit/50-ssh_keys.init
        config = b"# Added by Warewulf\nHost *\n   IdentityFile ~/.ssh/cluster\n"
        system.write("/root/.ssh/config", config, mode=0o600)
    _known_hosts(system, "/etc/ssh/ssh_known_hosts", cluster, identity)


def _known_hosts(system: System, path: str, cluster: Description, identity: Identity) -> bool:
    """Renews our lines of a known_hosts file; returns whether anything changed."""
    text = kept_lines.known_hosts(system.text(path, ""), known_hosts(cluster, identity))
    return system.write(path, text.encode("utf-8", "surrogateescape"))


def known_hosts(cluster: Description, identity: Identity) -> list[str]:
    """The lines of known_hosts for all machines: nodes share one key, as Warewulf's do (wwinit ssh_keys)."""
    sms = cluster.sms
    names = [name for machine in cluster.stateless for name in (machine.name, str(machine.boot_card.address))]
    rows = [
        f"{sms.name},{sms.boot_card.address} {_bare(identity.public_key('host_sms'))}",
        f"{','.join(names)} {_bare(identity.public_key('host_nodes'))}",
    ]
    other = cluster.runner
    if other is not None:
        rows.append(f"{other.name},{other.boot_card.address} {_bare(identity.public_key('host_runner'))}")
    return rows


def _bare(public_key: str) -> str:
    return " ".join(public_key.split()[:2])


def _host_key(system: System, folder: str, identity: Identity, name: str) -> None:
    system.write(f"{folder}/ssh_host_ed25519_key", identity.private_key(name), mode=0o600)
    system.write(f"{folder}/ssh_host_ed25519_key.pub", (identity.public_key(name) + "\n").encode())


def install_users(system: System, identity: Identity, *, renew: bool = False) -> None:
    """Sets up the lab's users: password, home folder on shared storage, and an ssh key valid on every node.

    A password is set only once, so that learners can change it; with `renew` it is set again.
    """
    passwords = identity.passwords()
    if renew or not system.exists("/etc/rackling/credentials.json"):
        lines = "".join(f"{user}:{passwords[user]}\n" for user in USERS)
        done = system.run(["chpasswd", "--crypt-method", "SHA512"], lines.encode())
        if done.status != 0:
            raise OSError(f"chpasswd: {done.err.decode(errors='replace').strip()}")
        listed = [{"name": user, "password": passwords[user]} for user in USERS]
        system.write("/etc/rackling/credentials.json", json.dumps({"users": listed}).encode(), mode=0o600)
    for offset, user in enumerate(USERS):
        _home(system, identity, user, FIRST_UID + offset)


def _home(system: System, identity: Identity, user: str, uid: int) -> None:
    home = f"/home/{user}"
    if system.exists(f"{home}/.ssh/authorized_keys"):
        return
    system.make_dir(home, mode=0o700)
    for name in system.names("/etc/skel"):
        system.write(f"{home}/{name}", system.read(f"/etc/skel/{name}"))
    system.make_dir(f"{home}/.ssh", mode=0o700)
    system.write(f"{home}/.ssh/id_ed25519", identity.private_key(user), mode=0o600)
    system.write(f"{home}/.ssh/authorized_keys", (identity.public_key(user) + "\n").encode(), mode=0o600)
    for folder, _, files in os.walk(system.path(home)):
        for path in [folder, *(os.path.join(folder, name) for name in files)]:
            os.chown(path, uid, uid)


def prepare_chroot(system: System, cluster: Description, identity: Identity) -> bool:
    """Writes the keys that all nodes share to their chroot; returns whether anything changed."""
    changed = _known_hosts(system, f"{CHROOT}/etc/ssh/ssh_known_hosts", cluster, identity)
    if not changed and system.exists(f"{CHROOT}/etc/ssh/ssh_host_ed25519_key"):
        return False
    _host_key(system, f"{CHROOT}/etc/ssh", identity, "host_nodes")
    system.make_dir("/etc/warewulf/vnfs/ssh", mode=0o700)
    _host_key(system, "/etc/warewulf/vnfs/ssh", identity, "host_nodes")
    system.make_dir(f"{CHROOT}/root/.ssh", mode=0o700)
    trusted = f"{CHROOT}/root/.ssh/authorized_keys"
    text = kept_lines.authorized_keys(system.text(trusted, ""), identity.public_key("root"))
    system.write(trusted, text.encode("utf-8", "surrogateescape"), mode=0o600)
    return True
