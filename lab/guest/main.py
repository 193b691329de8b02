"""The entry point of all guest programs: selects a program by the name it was called with."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module

PROGRAMS = {
    "wwsh": "lab.guest.warewulf.wwsh",
    "wwvnfs": "lab.guest.warewulf.wwvnfs",
    "wwbootstrap": "lab.guest.warewulf.wwbootstrap",
    "wwinit": "lab.guest.warewulf.wwinit",
    "wwnodescan": "lab.guest.warewulf.wwnodescan",
    "wwmkchroot": "lab.guest.warewulf.wwmkchroot",
    "wwlivesync": "lab.guest.warewulf.wwlivesync",
    "wwconfig": "lab.guest.warewulf.wwconfig",
    "absent": "lab.guest.warewulf.absent",
    "wwserver": "lab.guest.warewulf.server",
    "nodeimage": "lab.guest.nodeimage.program",
    "runner": "lab.guest.runner.program",
    "admit-release": "lab.guest.runner.admission",
    "handout": "lab.guest.setup.program",
    "renew": "lab.guest.setup.rotate_identity",
}
"""Maps a program's name to the module whose `main(arguments, system)` runs it."""


def main(argv: Sequence[str]) -> int:
    """Runs the program named by argv[0], or by the first argument when argv[0] names none of them."""
    from lab.guest.system import System

    name, arguments = os.path.basename(argv[0]), list(argv[1:])
    if name not in PROGRAMS:
        if not arguments or arguments[0] not in PROGRAMS:
            sys.stderr.write(f"usage: {name} {{{'|'.join(sorted(PROGRAMS))}}} ...\n")
            return 2
        name = arguments.pop(0)
    try:
        status = import_module(PROGRAMS[name]).main(arguments, System(os.environ.get("RACKLING_ROOT", "/")))
        sys.stdout.flush()
        return int(status)
    except BrokenPipeError:
        # The reader (head, less) has closed the pipe: end quietly, as a C program ends by SIGPIPE.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except OSError as error:
        # Most often a full or a read-only file system, or standard output on one.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        where = f"{os.fsdecode(error.filename)}: " if isinstance(error.filename, (str, bytes)) else ""
        sys.stderr.write(f"ERROR:  {name}: {where}{error.strerror or error}\nhint: df -h; findmnt\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("\n")
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv))
