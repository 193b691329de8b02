"""Which accounts may have a token: ordinary ones of this machine, never root's or SlurmUser's."""

from __future__ import annotations

import os
import pwd
import re
from collections.abc import Callable
from dataclasses import dataclass, field

from lab.slurm_token.errors import Refused

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,31}\Z")
LEAST_UID = 1000
BARRED = ("root", "slurm", "nobody")


@dataclass(frozen=True)
class Accounts:
    """The rule, and where accounts are looked up; slurmctld looks them up on the same machine."""

    least_uid: int = LEAST_UID
    barred: tuple[str, ...] = BARRED
    own_uid: int = field(default_factory=os.geteuid)
    by_name: Callable[[str], pwd.struct_passwd] = pwd.getpwnam
    by_uid: Callable[[int], pwd.struct_passwd] = pwd.getpwuid

    def of_uid(self, uid: int) -> str:
        """The name of an account that may have a token. Raises `Refused`."""
        try:
            found = self.by_uid(uid)
        except (KeyError, OverflowError):
            raise _unknown() from None
        return self._allowed(found)

    def of_name(self, name: str) -> str:
        """The same, by a name that came from the network."""
        if not NAME.match(name):
            raise _unknown()
        try:
            found = self.by_name(name)
        except KeyError:
            raise _unknown() from None
        if found.pw_name != name:  # a directory that does not tell capitals apart
            raise _unknown()
        return self._allowed(found)

    def numbers(self, name: str) -> tuple[int, int]:
        """Number and group of an account that was found before. Raises `Refused`."""
        try:
            found = self.by_name(name)
        except KeyError:
            raise _unknown() from None
        return found.pw_uid, found.pw_gid

    def _allowed(self, found: pwd.struct_passwd) -> str:
        barred = {self._uid(name) for name in self.barred} | {0, self.own_uid}
        if found.pw_uid < self.least_uid or found.pw_uid in barred or found.pw_name in self.barred:
            raise Refused(403, "barred", "this account gets no token here")
        if not NAME.match(found.pw_name):
            raise _unknown()
        return found.pw_name

    def _uid(self, name: str) -> int:
        try:
            return self.by_name(name).pw_uid
        except KeyError:
            return 0


def _unknown() -> Refused:
    return Refused(403, "no-account", "slurmctld's machine has no account of this name")
