"""Finds the module that a wwsh command line names and runs the command."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module

from lab.guest.warewulf.errors import WarewulfError
from lab.guest.warewulf.session import Session, split_flags

MODULES = {
    "bootstrap": "Kernels and initial file systems that nodes boot",
    "dhcp": "The DHCP service",
    "events": "Whether changes take effect at once",
    "file": "Files that nodes are given",
    "ipmi": "Management controllers: settings only",
    "node": "Nodes and their network devices",
    "object": "Any object and any of its keys",
    "output": "How much wwsh prints",
    "provision": "What each node boots and is given",
    "pxe": "The boot configuration of each node",
    "ssh": "Run a command on many nodes",
    "ucode": "Processor microcode",
    "vnfs": "Root file systems of nodes",
}
"""Module name to its summary. Each is a file cmd_NAME.py, except those in SHARED_FILES."""

SHARED_FILES = {
    **dict.fromkeys(("dhcp", "events", "output", "pxe", "ssh", "ucode"), "cmd_admin"),
    **dict.fromkeys(("bootstrap", "vnfs"), "cmd_image"),
}
"""Modules that share a file, where each is a function of its name."""

USAGE = """USAGE: wwsh [options] [module command ...]
       wwsh [options] FILE
       ... | wwsh [options]

Options, anywhere on a line:
   -h, --help           show this text
   -d, --debug          print debugging output
   -v, --verbose        print more
   -q, --quiet          print less, never ask
   -y, --yes, --noask   answer every question with yes
   --nodhcp             do not update the DHCP service

Modules:"""

Run = Callable[[Session, Sequence[str]], bool]


def usage() -> str:
    """The text of `wwsh --help`."""
    return USAGE + "\n" + "".join(f"  {name:<17} {text}\n" for name, text in MODULES.items())


def run_text(session: Session, line: str) -> bool:
    """Runs one line of text. Quotes work as in a shell; `#` starts a comment."""
    import shlex

    try:
        words = shlex.split(line, comments=True)
    except ValueError as error:
        return session.error(f"{error}: {line.strip()}")
    return run_line(session, words) if words else True


def run_line(session: Session, line: Sequence[str]) -> bool:
    """Runs one command given as words; wwsh's own options apply to this line only."""
    words, session.flags = split_flags(line, session.lasting)
    try:
        if session.flags.help:
            session.row(usage().rstrip())
            return True
        return _dispatch(session, words) if words else True
    except (WarewulfError, OSError) as error:
        return session.error(str(error))
    finally:
        session.flags = session.lasting


def _dispatch(session: Session, words: Sequence[str]) -> bool:
    name, rest = words[0], words[1:]
    if name in ("exit", "quit"):
        session.stopped = True
        return True
    if name == "help":
        return _help(session, rest)
    if name not in MODULES:
        return session.error(f"Warewulf command '{name}' not available")
    return command(name)(session, rest)


def command(name: str) -> Run:
    """The function that runs a module's commands; imported on first use, which keeps the start fast."""
    if name in SHARED_FILES:
        run: Run = getattr(import_module(f"lab.guest.warewulf.{SHARED_FILES[name]}"), name)
    else:
        run = import_module(f"lab.guest.warewulf.cmd_{name}").run
    return run


def _help(session: Session, words: Sequence[str]) -> bool:
    if words and words[0] in MODULES:
        return command(words[0])(session, ["help"]) or not session.strict
    if words:
        return session.error(f"Warewulf command '{words[0]}' not available")
    session.row(usage().rstrip())
    session.row("  {:<17} {}".format("exit", "Leave this shell (also: quit, Ctrl-D)"))
    return True
