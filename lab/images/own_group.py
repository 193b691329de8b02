"""Commands that need the account's own group as their group ID."""

from __future__ import annotations

import grp
import os
import pwd
import shlex
from collections.abc import Sequence


def in_own_group(argv: Sequence[str]) -> list[str]:
    """Returns the command, run under the primary group that the account has in the user database.

    `newgrp docker` and `sg docker` change a process's group ID. newuidmap, which gives an ordinary account
    the subordinate IDs to build a root file system with, then refuses: "Target process is owned by a
    different user" (shadow, src/newuidmap.c).
    """
    if os.geteuid() == 0:
        return list(argv)
    own = pwd.getpwuid(os.getuid()).pw_gid
    if os.getgid() == own:
        return list(argv)
    return ["sg", grp.getgrgid(own).gr_name, "-c", f"exec {shlex.join(argv)}"]
