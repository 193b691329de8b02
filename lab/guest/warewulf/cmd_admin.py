"""The small modules of wwsh: dhcp, pxe, ssh, events, output, ucode."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from lab.guest.warewulf import events as effects
from lab.guest.warewulf.lookup import select
from lab.guest.warewulf.model import Kind
from lab.guest.warewulf.network import boot_network
from lab.guest.warewulf.options import Option, parse
from lab.guest.warewulf.session import Flags, Session

SSH = ("ssh", "-o", "BatchMode=yes", "-o", "ConnectTimeout=5")
AT_ONCE = 32
LEVELS = ("quiet", "debug", "verbose")
LOOKUP = (Option("lookup", ("lookup", "l")),)
SSH_OPTIONS = (*LOOKUP, Option("all", ("allnodes", "a"), flag=True))


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
    parsed = parse(LOOKUP, words, session.warning)
    if parsed.words[:1] != ("update",):
        session.row("USAGE: wwsh pxe update [-l FIELD] [node ...]")
        return parsed.words == ("help",)
    if not session.system.is_root:
        return session.error("Only root can write the boot configuration\nhint: use sudo")
    nodes = session.store.records(Kind.NODE)
    chosen = select(nodes, parsed.words[1:], parsed.one("lookup", "name"))
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
    # Only options before the first word are wwsh's: Warewulf would take those of the remote command, too.
    parsed = parse(SSH_OPTIONS, words[:leading], session.warning)
    rest = list(words[leading:])
    targets = [] if parsed.has("all") else rest[:1]
    command = rest if parsed.has("all") else rest[1:]
    if not command:
        session.row("USAGE: wwsh ssh [-l FIELD] [USER@]NODES COMMAND ...\n       wwsh ssh -a COMMAND ...")
        return rest == ["help"]
    user, _, wanted = targets[0].rpartition("@") if targets else ("", "", "")
    words_of_target = [wanted] if "[" in wanted else [word for word in wanted.split(",") if word]
    nodes = select(session.store.records(Kind.NODE), words_of_target, parsed.one("lookup", "name"))
    if not nodes:
        session.notice("No nodes found")
        return False
    failed = _everywhere(session, [node.name for node in nodes], command, f"{user}@" if user else "")
    return not failed and not session.strict


def _everywhere(session: Session, names: Sequence[str], command: Sequence[str], user: str) -> int:
    from concurrent.futures import ThreadPoolExecutor

    def run(name: str) -> tuple[str, int, bytes]:
        done = session.system.run([*SSH, f"{user}{name}", " ".join(command)])
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
    word = words[0].lower() if len(words) == 1 else ""
    if word not in ("enable", "disable"):
        session.row("USAGE: wwsh events enable|disable")
        return word == "help"
    session.notice(f"{word[:-1].capitalize()}ing the Warewulf Event Handler")
    session.events_on = word == "enable"
    return True


def output(session: Session, words: Sequence[str]) -> bool:
    """Module output: sets how much this session prints."""
    level = words[0].lower() if words else _level(session.lasting)
    if level == "help":
        session.row("USAGE: wwsh output [normal|quiet|verbose|debug]")
        return True
    if level not in ("normal", *LEVELS):
        return session.error(f"Unknown output level: {level}\nhint: wwsh output help")
    session.lasting = replace(session.lasting, **{one: one == level for one in LEVELS})
    if level != "quiet":
        session.notice(f"Current output level: {level.upper()}")
    return True


def _level(flags: Flags) -> str:
    return next((level for level in LEVELS if getattr(flags, level)), "normal")


def ucode(session: Session, words: Sequence[str]) -> bool:
    """Module ucode: warns that bootstraps of the lab carry no microcode."""
    if list(words) != ["update"]:
        session.row("USAGE: wwsh ucode update")
        return list(words) == ["help"]
    session.warning("Nothing to update: bootstraps of this lab carry no processor microcode")
    return True
