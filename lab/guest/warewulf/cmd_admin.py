"""The small modules of wwsh: dhcp, pxe, ssh, events, output, ucode."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from lab.guest.warewulf import events as effects
from lab.guest.warewulf.lookup import select
from lab.guest.warewulf.model import Kind
from lab.guest.warewulf.network import boot_network
from lab.guest.warewulf.options import Option, parse
from lab.guest.warewulf.session import Session

SSH = ("ssh", "-o", "BatchMode=yes", "-o", "ConnectTimeout=5")
AT_ONCE = 32
LOOKUP = (Option("lookup", ("lookup", "l")), Option("all", ("all", "a"), flag=True))


def dhcp(session: Session, words: Sequence[str]) -> bool:
    """Module dhcp: rewrites dnsmasq's reservations for nodes, or restarts dnsmasq."""
    if list(words) == ["update"]:
        if not session.system.is_root:
            return session.error("Only root can write the DHCP configuration\nhint: use sudo")
        session.notice("Rebuilding the DHCP configuration")
        system = session.system
        if effects.write_dhcp(system, session.store.records(Kind.NODE), boot_network(system)):
            effects.reload_dhcp(system)
        session.notice("Done.")
        return True
    if list(words) == ["restart"]:
        session.notice("Restarting the DHCP service")
        done = session.system.run(["systemctl", "restart", "dnsmasq"])
        if done.status:
            complaint = done.err.decode(errors="replace").strip()
            return session.error(f"{complaint}\nhint: systemctl status dnsmasq")
        session.notice("Done.")
        return True
    session.row("USAGE: wwsh dhcp update|restart")
    return list(words) == ["help"]


def pxe(session: Session, words: Sequence[str]) -> bool:
    """Module pxe: rewrites the iPXE script of every node."""
    if not words or words[0] != "update":
        session.row("USAGE: wwsh pxe update [node ...]")
        return list(words) == ["help"]
    if not session.system.is_root:
        return session.error("Only root can write the boot configuration\nhint: use sudo")
    nodes = session.store.records(Kind.NODE)
    chosen = select(nodes, words[1:])
    if not chosen:
        session.notice("No nodes found")
        return False
    # Writes all scripts, whichever nodes were named: it takes no longer, and removes stale scripts.
    effects.write_ipxe(session.system, session.store, nodes, boot_network(session.system))
    for node in chosen:
        session.info(f"Building iPXE configuration for: {node.name}")
    return True


def ssh(session: Session, words: Sequence[str]) -> bool:
    """Module ssh: runs one command on many nodes in parallel."""
    leading = 0
    while leading < len(words) and words[leading].startswith("-"):
        leading += 2 if words[leading] in ("-l", "--lookup") else 1
    parsed = parse(LOOKUP, words[:leading])
    rest = list(words[leading:])
    targets = [] if parsed.has("all") else rest[:1]
    command = rest if parsed.has("all") else rest[1:]
    if not command:
        session.row("USAGE: wwsh ssh [-l FIELD] NODES COMMAND ...\n       wwsh ssh -a COMMAND ...")
        return False
    words_of_target = targets[0].split(",") if targets and "[" not in targets[0] else targets
    nodes = select(session.store.records(Kind.NODE), words_of_target, parsed.one("lookup", "name"))
    if not nodes:
        session.notice("No nodes found")
        return False
    failed = _everywhere(session, [node.name for node in nodes], command)
    return not failed and not session.strict


def _everywhere(session: Session, names: Sequence[str], command: Sequence[str]) -> int:
    from concurrent.futures import ThreadPoolExecutor

    def run(name: str) -> tuple[str, int, bytes]:
        done = session.system.run([*SSH, name, " ".join(command)])
        return name, done.status, done.out + done.err

    failed = 0
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for name, status, output in pool.map(run, names):
            failed += status != 0
            for line in output.decode(errors="replace").splitlines():
                session.row(f"{name}: {line}")
    return failed


def events(session: Session, words: Sequence[str]) -> bool:
    """Module events: sets whether changes of this session take effect at once."""
    if list(words) not in (["enable"], ["disable"]):
        session.row("USAGE: wwsh events enable|disable")
        return list(words) == ["help"]
    session.events_on = words[0] == "enable"
    return True


def output(session: Session, words: Sequence[str]) -> bool:
    """Module output: sets how much this session prints."""
    if len(words) != 1 or words[0] not in ("normal", "quiet", "verbose", "debug"):
        session.row("USAGE: wwsh output normal|quiet|verbose|debug")
        return list(words) == ["help"]
    level = words[0]
    session.lasting = replace(
        session.lasting, quiet=level == "quiet", verbose=level == "verbose", debug=level == "debug"
    )
    return True


def ucode(session: Session, words: Sequence[str]) -> bool:
    """Module ucode: warns that bootstraps of the lab carry no microcode."""
    if list(words) != ["update"]:
        session.row("USAGE: wwsh ucode update")
        return list(words) == ["help"]
    session.warning("Nothing to update: bootstraps of this lab carry no processor microcode")
    return True
