"""Options of `wwsh provision set`, and the edits that they stand for."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

from lab.guest.warewulf import filesystem, truth
from lab.guest.warewulf.edits import Edit, setting
from lab.guest.warewulf.errors import WarewulfError
from lab.guest.warewulf.lookup import pattern, select
from lab.guest.warewulf.model import UNDEF, Kind, Record, cleared
from lab.guest.warewulf.options import Option, Parsed
from lab.guest.warewulf.session import Session, change_line


class RefusedError(WarewulfError):
    """An invalid value; the command changes nothing."""


OPTIONS = (
    Option("lookup", ("lookup", "l")),
    Option("bootstrap", ("bootstrap", "b")),
    Option("vnfs", ("vnfs", "V")),
    Option("validate", ("validate",)),
    Option("preshell", ("preshell",)),
    Option("postshell", ("postshell",)),
    Option("postnetdown", ("postnetdown",)),
    Option("postreboot", ("postreboot",)),
    Option("bootlocal", ("bootlocal",)),
    Option("master", ("master",)),
    Option("bootserver", ("bootserver",)),
    Option("files", ("files",)),
    Option("fileadd", ("fileadd",)),
    Option("filedel", ("filedel",)),
    Option("kargs", ("kargs",)),
    Option("console", ("console",)),
    Option("transport", ("transport",)),
    Option("pxeloader", ("pxeloader",)),
    Option("ipxeurl", ("ipxeurl",)),
    Option("ucode", ("ucode",)),
    Option("selinux", ("selinux",)),
    Option("bootloader", ("bootloader",)),
    Option("fs", ("filesystem", "f")),
    Option("dformat", ("dformat",)),
    Option("dpartition", ("dpartition",)),
)
"""In the order in which Warewulf handles them, regardless of their order on the line."""

SELINUX = {"DISABLED": "", UNDEF: "", "ENABLED": "0", "ENFORCED": "1"}
BOOTLOCAL = {UNDEF: "", "0": "", "NO": "", "N": "", "FALSE": "", "NORMAL": "0", "EXIT": "-1"}
"""The words of Cli/Provision.pm, in any case, and what the data store holds for them."""


def changes(session: Session, parsed: Parsed, nodes: Sequence[Record]) -> list[Edit]:
    """Turns options into edits; reports an unknown name and skips only that option."""
    edits: list[Edit] = []
    for option in OPTIONS:
        if parsed.has(option.key):
            edits.extend(_HANDLERS[option.key](session, parsed, nodes, option.key))
    return edits


def _set_line(key: str, value: str) -> str:
    return change_line("SET", key, value)


def _undef_line(key: str) -> str:
    return change_line("UNDEF", key)


def _reference(session: Session, parsed: Parsed, nodes: Sequence[Record], key: str) -> Iterator[Edit]:
    """--bootstrap and --vnfs. Nodes reference the object by number, so it can be renamed."""
    kind = Kind(key)
    label = "VNFS" if kind is Kind.VNFS else "bootstrap"
    name = parsed.one(key)
    if cleared(name):
        yield setting(_undef_line(key.upper()), f"{key.upper()}ID", "")
        return
    # Cli/Provision.pm (exec) looks the name up as any other, so wildcards work; the first object counts.
    found = next(iter(select(session.store.records(kind), [name])), None)
    if found is None:
        session.error(f"No {label} named: {name}")
        return
    for node in nodes:
        theirs, ours = found.one("ARCH"), node.one("ARCH")
        if theirs and ours and theirs != ours:
            session.error(f"{label} {name}: ARCH ({theirs}) does not match node ARCH ({ours}), skipping!")
            return
    yield setting(_set_line(key.upper(), found.name), f"{key.upper()}ID", str(found.id))


def _switch(session: Session, parsed: Parsed, nodes: Sequence[Record], key: str) -> Iterator[Edit]:
    field = "VALIDATE_VNFS" if key == "validate" else key.upper()
    word = parsed.one(key)
    if truth.switch(word):
        yield setting(_set_line(field, "1"), field, "1")
        return
    if truth.seems_on(word):
        session.warning(f"--{key}={word} means off: Warewulf reads a number here\nhint: --{key}=1")
    yield setting(_undef_line(field), field, "")


def _bootlocal(session: Session, parsed: Parsed, nodes: Sequence[Record], key: str) -> Iterator[Edit]:
    word = parsed.one(key).upper()
    if word not in BOOTLOCAL:
        raise RefusedError(f"Invalid value for bootlocal: {parsed.one(key)} (UNDEF, NORMAL or EXIT)")
    if BOOTLOCAL[word]:
        yield setting(_set_line("BOOTLOCAL", word), "BOOTLOCAL", BOOTLOCAL[word])
    else:
        yield setting(_undef_line("BOOTLOCAL"), "BOOTLOCAL", "")


def _master(session: Session, parsed: Parsed, nodes: Sequence[Record], key: str) -> Iterator[Edit]:
    words = parsed.listed(key)
    if any(map(cleared, words)):
        yield setting(_undef_line("MASTER"), "MASTER", "")
    elif words and all(re.match(r"^[0-9]{1,3}(\.[0-9]{1,3}){3}$", word) for word in words):
        yield setting(_set_line("MASTER", ",".join(words)), "MASTER", words)
    else:
        # Provision.pm (master) takes addresses only.
        raise RefusedError("Option 'master' has invalid characters")


def _ignored(session: Session, parsed: Parsed, nodes: Sequence[Record], key: str) -> Iterator[Edit]:
    session.info(f"Option --{key} has no effect")
    return iter(())


# Files


def _files(session: Session, parsed: Parsed, nodes: Sequence[Record], key: str) -> Iterator[Edit]:
    if any(map(cleared, parsed.listed(key))):
        yield setting(_undef_line("FILES"), "FILEIDS", "")
        return
    found = _named_files(session, parsed.listed(key))
    if found:
        numbers = tuple(dict.fromkeys(str(record.id) for record in found))
        yield setting(_set_line("FILES", ",".join(record.name for record in found)), "FILEIDS", numbers)


def _fileadd(session: Session, parsed: Parsed, nodes: Sequence[Record], key: str) -> Iterator[Edit]:
    found = _named_files(session, parsed.listed(key))
    if found:
        numbers = tuple(str(record.id) for record in found)
        lines = "\n".join(f"     ADD: {'FILES':<20} = {record.name}" for record in found)
        # Unlike Warewulf, never add a file twice: it would be delivered twice.
        yield Edit(
            lines,
            lambda node, _: node.put("FILEIDS", tuple(dict.fromkeys((*node.many("FILEIDS"), *numbers)))),
        )


def _filedel(session: Session, parsed: Parsed, nodes: Sequence[Record], key: str) -> Iterator[Edit]:
    found = _named_files(session, parsed.listed(key))
    if found:
        numbers = {str(record.id) for record in found}
        lines = "\n".join(f"     DEL: {'FILES':<20} = {record.name}" for record in found)
        yield Edit(
            lines,
            lambda node, _: node.put("FILEIDS", tuple(n for n in node.many("FILEIDS") if n not in numbers)),
        )


def _named_files(session: Session, names: Sequence[str]) -> list[Record]:
    records = session.store.records(Kind.FILE)
    found: list[Record] = []
    for name in names:
        matches = [record for record in records if pattern(name).match(record.name)]
        if not matches:
            session.error(f"No file found for name: {name}")
        found.extend(matches)
    return found


# The rest


def _kargs(session: Session, parsed: Parsed, nodes: Sequence[Record], key: str) -> Iterator[Edit]:
    words = tuple(parsed.one(key).replace('"', "").replace("'", "").split())
    if not words:
        return
    # Provision.pm (kargs): the first word decides.
    if cleared(words[0]):
        yield setting(change_line("DEL", "KARGS", "[ALL]"), "KARGS", "")
        return
    if not all(word.isprintable() and word.isascii() for word in words):
        raise RefusedError("Option 'kargs' has invalid characters")
    yield setting(_set_line("KARGS", f'"{" ".join(words)}"'), "KARGS", words)


def _text(
    shape: str, *, lower: bool = False
) -> Callable[[Session, Parsed, Sequence[Record], str], Iterator[Edit]]:
    def handle(session: Session, parsed: Parsed, nodes: Sequence[Record], key: str) -> Iterator[Edit]:
        value = parsed.one(key).lower() if lower else parsed.one(key)
        if cleared(value):
            yield setting(f"     DEL: {key.upper()}", key.upper(), "")
        elif not re.match(f"^(?:{shape})$", value):
            raise RefusedError(f"Option '{key}' has invalid characters")
        else:
            yield setting(_set_line(key.upper(), value), key.upper(), value)

    return handle


def _ucode(session: Session, parsed: Parsed, nodes: Sequence[Record], key: str) -> Iterator[Edit]:
    word = parsed.one(key)
    if cleared(word):
        yield setting(_undef_line("UCODE"), "UCODE", "")
        return
    wanted = truth.ucode(word)
    if wanted is None:
        raise RefusedError(f"Invalid value for ucode: {word} (UNDEF, 0 or 1)")
    value = "1" if wanted else "0"
    yield setting(_set_line("UCODE", value), "UCODE", value)


def _selinux(session: Session, parsed: Parsed, nodes: Sequence[Record], key: str) -> Iterator[Edit]:
    word = parsed.one(key).upper()
    if word not in SELINUX:
        raise RefusedError(f"Invalid value for selinux: {parsed.one(key)} (DISABLED, ENABLED or ENFORCED)")
    if SELINUX[word]:
        yield setting(_set_line("SELINUX", word), "SELINUX", SELINUX[word])
    else:
        yield setting("     DEL: SELINUX", "SELINUX", "")


def _bootloader(session: Session, parsed: Parsed, nodes: Sequence[Record], key: str) -> Iterator[Edit]:
    value = parsed.one(key).removeprefix("/dev/")
    if cleared(value):
        yield setting(_undef_line("BOOTLOADER"), "BOOTLOADER", "")
    elif re.match(r"^[A-Za-z0-9_/]+$", value):
        yield setting("       SET: {:<20} = {}".format("BOOTLOADER", value), "BOOTLOADER", value)
    else:
        raise RefusedError("Option 'bootloader' has invalid characters")


def _filesystem(session: Session, parsed: Parsed, nodes: Sequence[Record], key: str) -> Iterator[Edit]:
    if cleared(parsed.one(key)):
        yield setting(_undef_line("FS"), "FS", "")
        return
    try:
        layout = filesystem.load(session.system, parsed.one(key))
    except filesystem.LayoutError as error:
        session.error(str(error))
        return
    for warning in layout.warnings:
        session.warning(warning)
    yield setting("       SET: {:<20} = {}".format("FS", ",".join(layout.commands)), "FS", layout.commands)


_HANDLERS: dict[str, Callable[[Session, Parsed, Sequence[Record], str], Iterator[Edit]]] = {
    "lookup": lambda *_: iter(()),
    "bootstrap": _reference,
    "vnfs": _reference,
    "validate": _switch,
    "preshell": _switch,
    "postshell": _switch,
    "postnetdown": _switch,
    "postreboot": _switch,
    "bootlocal": _bootlocal,
    "master": _master,
    "bootserver": _ignored,
    "files": _files,
    "fileadd": _fileadd,
    "filedel": _filedel,
    "kargs": _kargs,
    # Cli/Provision.pm's patterns, held to the end of the value, where Warewulf cuts off what does not fit.
    "console": _text(r"(?:tty|lp)[A-Z]*[0-9]+(?:,[0-9]{4,6}(?:[noe](?:[0-9]r?)?)?)?"),
    "transport": _text(r"https?", lower=True),
    "pxeloader": _text(r"[A-Za-z0-9./_-]+"),
    "ipxeurl": _text(r"[A-Za-z0-9:./_%${}?=&-]+"),
    "ucode": _ucode,
    "selinux": _selinux,
    "bootloader": _bootloader,
    "fs": _filesystem,
    "dformat": _ignored,
    "dpartition": _ignored,
}
