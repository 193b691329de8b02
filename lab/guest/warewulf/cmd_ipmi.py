"""wwsh ipmi: what the data store knows of management controllers; this lab's nodes have none to talk to."""

from __future__ import annotations

import re
from collections.abc import Sequence

from lab.guest.warewulf.addresses import counted, is_address
from lab.guest.warewulf.edits import Edit, agreed_and_kept, applied, setting
from lab.guest.warewulf.lookup import select
from lab.guest.warewulf.model import UNDEF, Kind, Record, cleared
from lab.guest.warewulf.options import Option, Parsed, parse
from lab.guest.warewulf.session import Session, change_line, print_line, shortened, title_line

HELP = """USAGE: wwsh ipmi COMMAND [options] [node ...]

Commands:
   set            store settings of management controllers
   list           show one line per node
   print          show all settings of each node
   help           show this text
   poweron, poweroff, powercycle, powerstatus, ident, noident, printsel, clearsel, printsdr, console,
   forcepxe, forcedisk, forcecdrom, forcebios
                  not in this lab: its nodes have no management controller on the network. Their power
                  buttons and consoles are on your own machine: lab power, lab status, lab console

Options:
   -l, --lookup FIELD   field that the names on the line refer to (default: name)
       --ipaddr ADDR    address; incremented for each further node
       --netmask  --vlan  --uid  --lanchannel  --username  --password
       --proto lan|lanplus|open|free|ibm|bmc|lipmi
       --target 0xNN    controller of a chassis with several nodes
       --autoconfig 0|1, --noautoconfig
   -d, --delay  -f, --fanout   accepted, have no effect

The value UNDEF, in any case, clears a setting."""

KEYS = ("ipaddr", "vlanid", "netmask", "uid", "lanchannel", "username", "password", "autoconfig", "proto",
        "target")  # fmt: skip
"""The settings, in the order of `print`; each is a key IPMI_… of the node."""

OPTIONS = (
    Option("lookup", ("lookup", "l")),
    Option("vlanid", ("vlan",)),
    *(Option(key, (key,)) for key in KEYS if key != "vlanid"),
    Option("noautoconfig", ("noautoconfig",), flag=True),
    Option("padding", ("delay", "d", "padding", "p")),
    Option("fanout", ("fanout", "f")),
)
PROTOCOLS = ("lan", "lanplus", "open", "free", "ibm", "bmc", "lipmi")
_WORD = re.compile(r"^[A-Za-z0-9]+$")
_DIGITS = re.compile(r"^[0-9]+$")
SHAPES = {
    "vlanid": re.compile(r"^(?:off|[0-9]{1,4})$"),
    "uid": _DIGITS,
    "lanchannel": _DIGITS,
    "username": _WORD,
    "password": _WORD,
    "target": re.compile(r"^0x[0-9A-Fa-f]{2}$"),
    "proto": re.compile(f"^(?:{'|'.join(PROTOCOLS)})$"),
    "autoconfig": _DIGITS,
}
"""The patterns of Warewulf's Ipmi.pm (ipmi/lib/Warewulf/Ipmi.pm)."""


_POWER = {"poweron": "on", "poweroff": "off", "powercycle": "cycle"}
INSTEAD: dict[str, str] = {
    **{name: f"lab power {word}" for name, word in _POWER.items()},
    "powerstatus": "lab status",
    "console": "lab console",
    **dict.fromkeys(("forcepxe", "forcedisk", "forcecdrom", "forcebios"), "wwsh provision set --bootlocal"),
    **dict.fromkeys(("ident", "noident", "printsel", "clearsel", "printsdr"), "lab logs"),
}
"""What to type instead of a command that needs a management controller; mostly on one's own machine."""


def run(session: Session, words: Sequence[str]) -> bool:
    """Runs one command of the module."""
    parsed = parse(OPTIONS, words, session.warning)
    if not parsed.words or parsed.words[0] == "help":
        session.row(HELP)
        return bool(parsed.words)
    name, targets = parsed.words[0], parsed.words[1:]
    if name in INSTEAD:
        return _absent(session, name, targets)
    if name not in ("set", "list", "print"):
        return session.error(f"Unknown command: {name}\nhint: wwsh ipmi help")
    if name == "set" and not targets:
        return session.error("To make changes, you must provide a list of nodes to operate on.")
    nodes = select(session.store.records(Kind.NODE), targets, parsed.one("lookup", "name"))
    if not nodes:
        session.notice("No nodes found")
        return False
    if name == "set":
        return _set(session, parsed, nodes)
    (_list if name == "list" else _print)(session, nodes)
    return True


def _absent(session: Session, name: str, targets: Sequence[str]) -> bool:
    command = INSTEAD[name]
    where = "" if command.startswith("wwsh") else " (on your own machine)"
    nodes = " ".join(targets) or "NODE"
    return session.error(
        f"Cannot run {name}: the nodes of this lab have no management controller on the network"
        f"\nhint: {command} {nodes}{where}"
    )


def _set(session: Session, parsed: Parsed, nodes: list[Record]) -> bool:
    wrong = _wrong(parsed)
    if wrong:
        return session.error(wrong)
    edits = [_edit(key, parsed.one(key)) for key in KEYS if parsed.has(key) and key != "autoconfig"]
    ready = [applied(node, edits, number) for number, node in enumerate(nodes)]
    if _wanted(parsed) and not all(map(_reachable, ready)):
        return session.error(
            "The IPMI network is not properly configured for this node!"
            "\nhint: wwsh ipmi set NODE --ipaddr=ADDRESS --netmask=MASK --autoconfig=1"
        )
    if parsed.has("autoconfig") or parsed.has("noautoconfig"):
        edits.append(_edit("autoconfig", "1" if _wanted(parsed) else UNDEF))
    if not edits:
        return session.error("To change settings, you must say what to change\nhint: wwsh ipmi help")
    return agreed_and_kept(session, nodes, edits)


def _wrong(parsed: Parsed) -> str:
    for key in KEYS:
        value = parsed.one(key).lower() if key == "proto" else parsed.one(key)
        if not value or cleared(value):
            continue
        fits = is_address(value) if key in ("ipaddr", "netmask") else SHAPES[key].match(value)
        if not fits and key == "proto":
            return f"IPMI protocol {value} is not supported."
        if not fits:
            return f"Option '{'vlan' if key == 'vlanid' else key}' has invalid characters"
    return ""


def _wanted(parsed: Parsed) -> bool:
    word = parsed.one("autoconfig")
    return not parsed.has("noautoconfig") and not cleared(word) and bool(int(word or "0"))


def _reachable(node: Record) -> bool:
    return bool(node.one("IPMI_IPADDR") and node.one("IPMI_NETMASK"))


def _edit(key: str, value: str) -> Edit:
    field = f"IPMI_{key.upper()}"
    if cleared(value):
        return setting(change_line("UNDEF", field), field, "")
    value = value.lower() if key == "proto" else value
    line = change_line("SET", field, value)
    if key == "ipaddr":
        return Edit(line, lambda node, n: node.put(field, counted(value, n)))
    return setting(line, field, value)


def _list(session: Session, nodes: list[Record]) -> None:
    session.notice("{:<19} {:<4}    {:<14} {:<14}".format("NAME", "AUTO", "IPMI_IPADDR", "IPMI_NETMASK"))
    session.notice("=" * 80)
    for node in nodes:
        auto = "yes" if node.one("IPMI_AUTOCONFIG") else "no"
        values = (
            shortened(node.name, 19),
            auto,
            node.one("IPMI_IPADDR", UNDEF),
            node.one("IPMI_NETMASK", UNDEF),
        )
        session.row("{:<19} {:<4}    {:<14} {:<14}".format(*values))


def _print(session: Session, nodes: list[Record]) -> None:
    for node in nodes:
        session.notice(title_line(node.name))
        for key in KEYS:
            default = "lanplus" if key == "proto" else UNDEF
            field = f"IPMI_{key.upper()}"
            session.row(print_line(node.name, field, node.one(field, default)))
