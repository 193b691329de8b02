"""wwmkchroot: makes the chroot of a VNFS, in this lab as a copy of the chroot that is there."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from lab.guest.system import System
from lab.guest.warewulf.errors import WarewulfError
from lab.guest.warewulf.options import Option, parse

TEMPLATES = {"debian-13": "Debian 13, the system of this lab's nodes"}
SOURCE = "/opt/ohpc/admin/images/debian13"
"""The chroot that the lab is made with."""

USAGE = """USAGE: wwmkchroot [options] TEMPLATE_NAME PATH

   -d, -v   debug, verbose
   -g       without signature checks; has no effect: nothing is downloaded
   -h       show this text

Templates:
{templates}
A new chroot is a copy of {source} as it is now; the lab has no mirror of packages to install a system from.

Example:
   wwmkchroot debian-13 /opt/ohpc/admin/images/test
   wwvnfs --chroot /opt/ohpc/admin/images/test
"""
OPTIONS = (
    Option("help", ("h",), flag=True),
    Option("verbose", ("v",), flag=True),
    Option("debug", ("d",), flag=True),
    Option("nogpg", ("g",), flag=True),
)


def main(arguments: Sequence[str], system: System) -> int:
    """Runs wwmkchroot."""
    try:
        parsed = parse(OPTIONS, arguments, lambda _: None)
        if parsed.has("help") or not parsed.words:
            (sys.stdout if parsed.has("help") else sys.stderr).write(usage())
            return 0 if parsed.has("help") else 1
        path = _checked(system, parsed.words)
        if parsed.has("verbose") or parsed.has("debug"):
            sys.stdout.write(
                f"Using template {parsed.words[0]}: a copy of {SOURCE}\nInstalling into {path}\n"
            )
            sys.stdout.flush()
        _copy(system, path)
    except (WarewulfError, OSError) as error:
        sys.stderr.write(f"ERROR:  {error}\n")
        return 1
    return 0


def usage() -> str:
    """The text of `wwmkchroot -h`."""
    rows = "".join(f"   * {name:<20} {text}\n" for name, text in TEMPLATES.items())
    return USAGE.format(templates=rows, source=SOURCE)


def _checked(system: System, words: Sequence[str]) -> str:
    if words[0] not in TEMPLATES:
        name = next(iter(TEMPLATES))
        raise WarewulfError(
            f"There is no template {words[0]}: the nodes of this lab run {TEMPLATES[name].split(',')[0]}"
            f"\nhint: wwmkchroot {' '.join([name, *words[1:2]]) if words[1:] else f'{name} PATH'}"
        )
    if len(words) != 2:
        raise WarewulfError(
            f"You must define the directory to build the chroot\nhint: wwmkchroot {words[0]} PATH"
        )
    if not system.is_root:
        raise WarewulfError("Only root can make a chroot\nhint: use sudo")
    if not system.is_dir(f"{SOURCE}/etc"):
        raise WarewulfError(f"The lab's chroot is missing: {SOURCE}")
    path = os.path.abspath(words[1])
    if f"{path}/".startswith(f"{SOURCE}/"):
        raise WarewulfError(
            f"{path} lies in {SOURCE}, which is to be copied\nhint: choose a folder beside it"
        )
    if system.names(path):
        raise WarewulfError(f"{path} is not empty\nhint: ls {path}")
    return path


def _copy(system: System, path: str) -> None:
    system.make_dir(path)
    # Not what is mounted below: a learner may have /proc or shared folders there.
    copied = system.run(
        ["cp", "-a", "--one-file-system", "--reflink=auto", f"{system.path(SOURCE)}/.", system.path(path)]
    )
    if copied.status:
        raise WarewulfError(f"cp: {copied.err.decode(errors='replace').strip()}\nhint: df -h {path}")
