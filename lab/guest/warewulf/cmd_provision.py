"""wwsh provision: sets what each node boots and is given."""

from __future__ import annotations

from collections.abc import Sequence

from lab.guest.warewulf import conf
from lab.guest.warewulf.edits import agreed_and_kept
from lab.guest.warewulf.lookup import select
from lab.guest.warewulf.model import DEFAULT_KARGS, UNDEF, Kind, Record
from lab.guest.warewulf.options import Parsed, parse
from lab.guest.warewulf.provision_options import OPTIONS, RefusedError, changes
from lab.guest.warewulf.session import Session, print_line, shortened, title_line

HELP = """USAGE: wwsh provision COMMAND [options] [node ...]

Commands:
   set          change what nodes boot and are given
   list         show one line per node
   print        show all provisioning keys of each node
   help         show this text

Options:
   -l, --lookup FIELD       field that the names on the line refer to (default: name)
   -b, --bootstrap NAME     kernel and initial file system
   -V, --vnfs NAME          root file system
       --validate 0|1       check the VNFS's checksum after the download
       --master A[,B]       addresses of the SMS
       --bootserver ADDR    accepted, has no effect
       --files A[,B]        exactly these files; also --fileadd, --filedel
       --preshell --postshell --postnetdown --postreboot 0|1
       --bootlocal UNDEF|NORMAL|EXIT
       --console DEV        e.g. ttyS0,115200
       --kargs "ARGS"       kernel arguments; UNDEF: the defaults
       --transport http|https  --pxeloader PATH  --ipxeurl URL  --ucode 0|1
       --selinux DISABLED|ENABLED|ENFORCED
   -f, --filesystem NAME    disk layout; its file is read now, later changes have no effect
       --bootloader DISK    install a boot loader on that disk

Switches are numbers: 1 means on; anything that is not a number means off. UNDEF, in any case, clears.

Examples:
   wwsh provision set c1 --vnfs=debian13 --bootstrap=$(uname -r)
   wwsh provision set 'c*' --fileadd=slurm.conf
   wwsh provision print c1"""

SWITCHES = ("PRESHELL", "POSTSHELL", "POSTNETDOWN", "POSTREBOOT")
SELINUX = {"": "DISABLED", "0": "ENABLED", "1": "ENFORCED"}
BOOTLOCAL = {"": "FALSE", "0": "NORMAL", "-1": "EXIT"}


def run(session: Session, words: Sequence[str]) -> bool:
    """Runs one command of the module."""
    parsed = parse(OPTIONS, words, session.warning)
    if not parsed.words or parsed.words[0] == "help":
        session.row(HELP)
        return bool(parsed.words) and not session.strict
    name, targets = parsed.words[0], parsed.words[1:]
    if name == "status":
        session.warning("The provision status command is deprecated: nodes show their state on the console")
        return True
    if name not in ("set", "list", "print"):
        return session.error(f"Unknown command: {name}\nhint: wwsh provision help")
    if name == "set" and not targets:
        return session.error("To make changes, you must provide a list of nodes to operate on.")
    nodes = select(session.store.records(Kind.NODE), targets, parsed.one("lookup", "name"))
    if not nodes:
        session.notice("No nodes found")
        return False
    if name == "set":
        return _set(session, parsed, nodes)
    (_list if name == "list" else _print)(session, nodes)
    return not session.strict


def _set(session: Session, parsed: Parsed, nodes: list[Record]) -> bool:
    try:
        edits = changes(session, parsed, nodes)
    except RefusedError as error:
        return session.error(str(error))
    if not edits:
        return False
    return agreed_and_kept(session, nodes, edits)


# Showing


class _Names:
    """Names of the objects that nodes reference by number."""

    def __init__(self, session: Session) -> None:
        kinds = (Kind.VNFS, Kind.BOOTSTRAP, Kind.FILE)
        self._names = {kind: {str(r.id): r.name for r in session.store.records(kind)} for kind in kinds}

    def of(self, kind: Kind, number: str) -> str:
        return self._names[kind].get(number, UNDEF)

    def files(self, node: Record) -> str:
        known = self._names[Kind.FILE]
        return ",".join(sorted(known[number] for number in node.many("FILEIDS") if number in known)) or UNDEF


def _list(session: Session, nodes: list[Record]) -> None:
    names = _Names(session)
    session.notice("{:<19} {:<15} {:<21} {:<21}".format("NODE", "VNFS", "BOOTSTRAP", "FILES"))
    session.notice("=" * 80)
    for node in nodes:
        columns = (
            shortened(node.full_name, 19),
            shortened(names.of(Kind.VNFS, node.one("VNFSID")), 15),
            shortened(names.of(Kind.BOOTSTRAP, node.one("BOOTSTRAPID")), 21),
            shortened(names.files(node), 21),
        )
        session.row("{:<19} {:<15} {:<21} {:<21}".format(*columns))


def _print(session: Session, nodes: list[Record]) -> None:
    names = _Names(session)
    default = conf.read(session.system, "provision.conf").one("default kargs", DEFAULT_KARGS)
    for node in nodes:
        session.notice(title_line(node.full_name))
        for key, value in _rows(node, names, default):
            session.row(print_line(node.full_name, key, value))


def _rows(node: Record, names: _Names, kargs: str) -> list[tuple[str, str]]:
    rows = [
        ("MASTER", node.one("MASTER", UNDEF)),
        ("BOOTSTRAP", names.of(Kind.BOOTSTRAP, node.one("BOOTSTRAPID"))),
        ("VNFS", names.of(Kind.VNFS, node.one("VNFSID"))),
        ("VALIDATE", _switch(node, "VALIDATE_VNFS")),
        ("FILES", names.files(node)),
        *((key, _switch(node, key)) for key in SWITCHES),
        *((key, node.one(key, UNDEF)) for key in ("CONSOLE", "TRANSPORT", "PXELOADER", "IPXEURL")),
        ("SELINUX", SELINUX.get(node.one("SELINUX"), UNDEF)),
        ("UCODE", {"1": "TRUE", "0": "FALSE"}.get(node.one("UCODE"), UNDEF)),
        ("KARGS", f'"{" ".join(node.many("KARGS")) or kargs}"'),
    ]
    if node.many("FS"):
        rows.append(("FS", f'"{node.one("FS")}"'))
    if node.one("BOOTLOADER"):
        rows.append(("BOOTLOADER", node.one("BOOTLOADER")))
    rows.append(("BOOTLOCAL", BOOTLOCAL.get(node.one("BOOTLOCAL"), UNDEF)))
    return rows


def _switch(node: Record, key: str) -> str:
    return "TRUE" if node.one(key) == "1" else "FALSE"
