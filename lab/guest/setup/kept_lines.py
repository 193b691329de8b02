"""Renews the set-up's own lines in files of ssh and keeps all others, which are an administrator's."""

from __future__ import annotations

from collections.abc import Iterable

OURS = "lab"
"""The comment that ends our lines of known_hosts; ssh does not use it (sshd(8), on known_hosts)."""


def known_hosts(before: str, rows: Iterable[str]) -> str:
    """A known_hosts file with these rows, without our former ones, and with all other lines of before."""
    kept = [line for line in before.splitlines() if line.split()[3:] != [OURS]]
    return "\n".join([*(f"{row} {OURS}" for row in rows), *kept]) + "\n"


def authorized_keys(before: str, key: str) -> str:
    """An authorized_keys file that has a key, given with its comment; all lines of before stay."""
    if key.split()[1] in before.split():
        return before
    return "".join(f"{line}\n" for line in [*before.splitlines(), key])
