"""wwconfig: prints where Warewulf is installed, for scripts that ask it."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from lab.guest.system import System
from lab.guest.warewulf.errors import WarewulfError
from lab.guest.warewulf.options import Option, parse

USAGE = """USAGE: wwconfig [options] [NAME ...]

   -a, --all    print all values
   -s, --sh     print lines for a Bourne shell; -e, --exp: and export them
   -c, --csh    print lines for a C shell
   -h, --help   show this text

Names: {names}
"""
OPTIONS = (
    Option("help", ("help", "h"), flag=True),
    Option("sh", ("sh", "s"), flag=True),
    Option("csh", ("csh", "c"), flag=True),
    Option("all", ("all", "a"), flag=True),
    Option("exp", ("exp", "e"), flag=True),
)
VALUES = {
    "PROGNAME": "warewulf-common",
    "VERSION": "3.10.0",
    "GITVERSION": "",
    "PREFIX": "/usr",
    "DATAROOTDIR": "/usr/share",
    "DATADIR": "/usr/share",
    "LIBDIR": "/usr/lib",
    "LIBEXECDIR": "/usr/lib",
    "PERLMODDIR": "",
    "STATEDIR": "/srv",
    "SYSCONFDIR": "/etc",
}
"""The names of common/bin/wwconfig; the version is the one that this lab follows."""


def main(arguments: Sequence[str], system: System) -> int:
    """Runs wwconfig."""
    try:
        parsed = parse(OPTIONS, arguments, lambda _: None)  # no option has a value that could be empty
    except WarewulfError as error:
        sys.stderr.write(f"ERROR:  {error}\n")
        return 1
    names = list(VALUES) if parsed.has("all") else [word.upper() for word in parsed.words]
    if parsed.has("help") or not names:
        sys.stdout.write(USAGE.format(names=" ".join(VALUES)))
        return 0
    for name in names:
        value = VALUES.get(name, "")
        if parsed.has("sh") or parsed.has("exp"):
            sys.stdout.write(f'WAREWULF_{name}="{value}"\n')
            sys.stdout.write(f"export WAREWULF_{name}\n" if parsed.has("exp") else "")
        elif parsed.has("csh"):
            sys.stdout.write(f'setenv WAREWULF_{name} "{value}"\n')
        else:
            sys.stdout.write(f"{value}\n" if len(parsed.words) == 1 else f"{name}: {value}\n")
    return 0
