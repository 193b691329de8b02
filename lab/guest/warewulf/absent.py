"""Programs of Warewulf, and around it, that this lab does not have: each says what to use instead."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass

from lab.guest.system import System


@dataclass(frozen=True)
class Instead:
    """Why a program is not here, and the next command to type."""

    reason: str
    hint: str


_LAYOUTS = "wwsh provision set NODE --filesystem=NAME (examples: ls /etc/warewulf/filesystem/examples)"
_CHROOT = "the chroot of the nodes is made with the lab"
PROGRAMS = {
    "wwuseradd": Instead(
        "users are made with the system's own command and then sent to the nodes",
        "useradd NAME; wwsh file resync passwd group shadow; pdsh -a /warewulf/bin/wwgetfiles",
    ),
    "wwmngchroot": Instead(
        "a chroot is changed with the commands of its own system", "chroot $CHROOT apt install PACKAGE"
    ),
    "wwbuildroot": Instead(_CHROOT, "wwmkchroot debian-13 PATH"),
    "wwcreatevnfs": Instead("wwvnfs has taken its place", "wwvnfs --chroot $CHROOT"),
    "wwhybridize": Instead("wwvnfs does this by itself", "wwvnfs --chroot $CHROOT --hybridpath=PATH"),
    "ww-configure-stateful.sh": Instead("a disk layout is a property of the node", _LAYOUTS),
    "ww-disable-stateful.sh": Instead(
        "a disk layout is a property of the node",
        "wwsh provision set NODE --filesystem=UNDEF --bootloader=UNDEF --bootlocal=UNDEF",
    ),
    "wwshd": Instead("wwsh runs each command by itself", "wwsh help"),
    "wwfirstboot": Instead("nodes are set up by their VNFS and files", "wwsh provision print NODE"),
    "cluster-env": Instead("users' keys for the nodes are made with ssh-keygen", "ssh-keygen -t ed25519"),
    "ipmitool": Instead(
        "nodes have no management controller on the network",
        "on your own machine: lab power cycle NODE, lab console NODE",
    ),
}


def main(arguments: Sequence[str], system: System) -> int:
    """Says what to use instead of the program that the first argument names."""
    name = arguments[0] if arguments else ""
    instead = PROGRAMS.get(name)
    if instead is None:
        sys.stderr.write(f"usage: absent {{{'|'.join(sorted(PROGRAMS))}}}\n")
        return 2
    sys.stderr.write(f"ERROR:  {name} is not part of this lab: {instead.reason}\nhint: {instead.hint}\n")
    return 1
