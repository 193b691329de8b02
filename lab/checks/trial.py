"""A trial: a shell script of a check's own that may do anything on a node, and leaves nothing behind."""

from __future__ import annotations

import shlex

NO_ROOM = 70
"""The exit status if the node has no room for a trial."""
MARK = "@@trial"
"""Begins a line of a trial's output that names the part which follows."""
# A mount namespace of its own, with an overlay on each folder: only the trial sees what is written there,
# with sudo or without, and it is lost when the trial ends. Mounts inside are bound over the overlays.
_ROOM = f"""\
mount -t tmpfs trial /mnt || exit {NO_ROOM}
for place in etc srv var; do
    mkdir -p /mnt/$place /mnt/.$place /mnt/was/$place
    inside=$(findmnt -rno TARGET | grep "^/$place/")
    mount --rbind /$place /mnt/was/$place
    layers=lowerdir=/$place,upperdir=/mnt/$place,workdir=/mnt/.$place
    mount -t overlay -o $layers trial /$place || exit {NO_ROOM}
    for path in $inside; do mount --bind /mnt/was$path $path; done
done
mount -t tmpfs trial /tmp || exit {NO_ROOM}
"""


def trial(script: str) -> str:
    """The command that runs a script as root; of what it writes to /etc, /srv, /tmp and /var nothing lasts.

    /home and the other folders are the real ones: the script must not write there.
    """
    return f"unshare --mount --propagation private sh -c {shlex.quote(_ROOM + script)}"


def trial_parts(output: str) -> dict[str, list[str]]:
    """The lines of each part of a trial's output; what stands before the first part is left out."""
    found: dict[str, list[str]] = {}
    here: list[str] = []
    for line in output.splitlines():
        if line.startswith(MARK):
            here = found.setdefault(line.removeprefix(MARK).strip(), [])
        else:
            here.append(line)
    return found
