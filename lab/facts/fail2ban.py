"""Facts about fail2ban, from its log."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass

from lab.facts.fact import Fact, require_success

LOG = "/var/log/fail2ban.log"
_EVENT = re.compile(r"\[(\S+)\] (Found|Ban|Unban) (\S+)")


@dataclass(frozen=True)
class Ban:
    """A ban in the log: the address, and how many failures fail2ban had counted for it since the last ban."""

    address: str
    failures: int


@dataclass(frozen=True)
class Bans:
    """All bans of a jail since the log began, in order, and the failures that the jail allows."""

    allowed: int
    bans: tuple[Ban, ...]

    def earned(self, address: str) -> bool:
        """Whether failures led to a ban of this address.

        fail2ban writes "Found" for each failure (server/filter.py, processLineAndAdd) and "Ban" for each ban
        (server/actions.py, __checkBan); `fail2ban-client set JAIL banip` writes "Ban" only.
        """
        return any(ban.address == address and ban.failures >= self.allowed for ban in self.bans)

    def banned(self, address: str) -> bool:
        """Whether there was any ban of this address."""
        return any(ban.address == address for ban in self.bans)


def _bans(jail: str, status: int, output: str) -> Bans:
    require_success(f"fail2ban-client get {jail} maxretry", status, output)
    first, _, log = output.partition("\n")
    counted: dict[str, int] = {}
    found = []
    for named, event, address in _EVENT.findall(log):
        if named != jail:
            continue
        if event == "Found":
            counted[address] = counted.get(address, 0) + 1
        else:
            failures = counted.pop(address, 0)
            found += [Ban(address, failures)] if event == "Ban" else []
    return Bans(int(first), tuple(found))


def bans(jail: str) -> Fact[Bans]:
    """The bans of a jail; the fact raises a FactError if fail2ban has no such jail."""
    named = shlex.quote(jail)
    command = f"fail2ban-client get {named} maxretry && {{ grep -hE '(Found|Ban|Unban) ' {LOG} || :; }}"
    return Fact(command, lambda status, output: _bans(jail, status, output))
