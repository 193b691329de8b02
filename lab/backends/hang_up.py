"""How a command that runs in a node is ended when whoever started it has gone.

An engine's client that is killed leaves in the node what it started: Docker's engine signals nothing, and
sshd only closes pipes, which a silent command does not notice. So the first process in the node carries a
mark in its surroundings, and a second command finds by it what is to be ended.
"""

from __future__ import annotations

import secrets

MARK = "RACKLING_SHELL"
"""The variable that holds the mark; `enter` of a chassis and of a machine's door keep it to themselves."""

# The children of marked processes lead the sessions of the command; the marked ones wait for it, and report
# its end. A background process that has a session of its own is none of ours, as with a lost terminal.
_SCRIPT = r"""
signal=$2 quiet=0 tries=0
while [ $tries -lt 25 ] && [ $quiet -lt 2 ]; do
    marked=$(grep -lzsxF "RACKLING_SHELL=$1" /proc/[0-9]*/environ | tr -dc '0-9\n' | tr '\n' ' ')
    victims=$(sed -n 's/^\([0-9]*\) (.*) . \([0-9]*\) [0-9]* \([0-9]*\) .*/\1 \2 \3/p' /proc/[0-9]*/stat |
        awk -v marked=" $marked" '
            { session[$1] = $3; if (index(marked, " " $2 " ")) wanted[$3] = 1 }
            END { for (p in session) if (session[p] in wanted && !index(marked, " " p " ")) print p }')
    [ $tries -lt 10 ] || victims=${victims:-$marked}   # a shell in the ramdisk has only marked processes
    if [ -n "$victims" ]; then
        kill -$signal $victims; kill -CONT $victims
        signal=1 quiet=0
    elif [ -z "$marked" ]; then
        quiet=$((quiet + 1))
    fi
    tries=$((tries + 1))
    sleep 0.1
done 2>/dev/null
"""
HANG_UP = ("/bin/sh", "-c", _SCRIPT, "sh")
"""Runs in a node as root, with a mark and the number of a signal: sends it, then SIGHUP until all has ended.

It gives up after some seconds: what ignores SIGHUP, as under nohup(1), goes on, as it would with ssh.
"""


def new_mark() -> str:
    """A mark that no other shell has."""
    return secrets.token_hex(8)
