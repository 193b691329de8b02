"""`activate` and `rollback`: which release nodes boot, and which one they booted before, as one link.

`current` leads to a link in `.active` whose name tells both: activate@NEW@OLD or rollback@OLD@NEW. One
rename of `current` changes the two at once, so that no kill leaves one without the other.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Optional

from lab.guest.nodeimage.errors import CONFLICT, UNKNOWN, NodeImageError
from lab.guest.nodeimage.files import sync_folder
from lab.guest.nodeimage.output import Result
from lab.guest.nodeimage.places import CURRENT, Places, locked
from lab.guest.nodeimage.role import NAME
from lab.guest.nodeimage.verify import verified
from lab.guest.system import System

LINKS = ".active"
VERBS = ("activate", "rollback")


@dataclass(frozen=True)
class Active:
    """The release that is active, the one before it (empty: none), and how it became active."""

    release: str
    before: str
    verb: str

    @property
    def link(self) -> str:
        """The name of the inner link."""
        return f"{self.verb}@{self.release}@{self.before}"


def now(folder: str) -> Optional[Active]:
    """What is active in a role's folder; None if nothing is, or if the link is not ours."""
    try:
        target = os.readlink(os.path.join(folder, CURRENT))
    except OSError:
        return None
    parts = os.path.basename(target).split("@")
    if os.path.dirname(target) != LINKS or len(parts) != 3 or parts[0] not in VERBS:
        return None
    return Active(parts[1], parts[2], parts[0]) if NAME.fullmatch(parts[1]) else None


def activate(system: System, places: Places, role: str, release: str, signers: str) -> Result:
    """Makes a release the one that nodes boot, once it is verified."""
    folder = places.served(role)
    _need(folder, role)
    with locked(folder, role):
        verified(system, os.path.join(folder, release), signers, role=role, release=release)
        known = now(folder)
        if known is not None and known.release == release:
            return _result(folder, role, known, changed=False)
        chosen = Active(release, known.release if known else "", "activate")
        _switch(folder, chosen)
    return _result(folder, role, chosen, changed=True)


def rollback(system: System, places: Places, role: str, signers: str) -> Result:
    """Makes the release before the active one active again. A second rollback has nothing to do."""
    folder = places.served(role)
    _need(folder, role)
    with locked(folder, role):
        known = now(folder)
        if known is None:
            raise NodeImageError(
                UNKNOWN, f"no release of {role} is active", hint=f"nodeimage activate {role} RELEASE"
            )
        if known.verb == "rollback":
            return _result(folder, role, known, changed=False)
        if not known.before:
            raise NodeImageError(
                UNKNOWN,
                f"no release of {role} was active before {known.release}",
                hint=f"nodeimage list {role}",
            )
        verified(system, os.path.join(folder, known.before), signers, role=role, release=known.before)
        chosen = Active(known.before, known.release, "rollback")
        _switch(folder, chosen)
    return _result(folder, role, chosen, changed=True)


def _need(folder: str, role: str) -> None:
    if not os.path.isdir(folder):
        raise NodeImageError(
            UNKNOWN, f"there are no releases of {role} in {folder}", hint=f"nodeimage publish {role}"
        )


def _switch(folder: str, chosen: Active) -> None:
    """Points the link at a release: everything is prepared beside it, and one rename does it."""
    current = os.path.join(folder, CURRENT)
    if os.path.lexists(current) and not os.path.islink(current):
        raise NodeImageError(
            CONFLICT,
            f"{current} is not a link, so it is not nodeimage's",
            hint=f"ls -l {folder}; move it away",
        )
    links = os.path.join(folder, LINKS)
    os.makedirs(links, exist_ok=True)
    _link(os.path.join("..", chosen.release), os.path.join(links, chosen.link))
    sync_folder(links)
    _link(os.path.join(LINKS, chosen.link), current)
    sync_folder(folder)
    # Older links name what nothing leads to any more. One that a kill leaves here does no harm.
    for name in os.listdir(links):
        if name != chosen.link:
            os.unlink(os.path.join(links, name))


def _link(target: str, path: str) -> None:
    """Makes a link, or replaces one at once."""
    temporary = f"{path}.new"
    if os.path.lexists(temporary):
        os.unlink(temporary)
    os.symlink(target, temporary)
    os.rename(temporary, path)


def _result(folder: str, role: str, active: Active, *, changed: bool) -> Result:
    data = {"role": role, "release": active.release, "before": active.before or None, "changed": changed}
    how = "is active" if changed else "is active already"
    before = ""
    if active.verb == "rollback":
        before = f" (rolled back from {active.before})"
    elif active.before:
        before = f" (before: {active.before})"
    return Result(
        {**data, "place": os.path.join(folder, CURRENT)}, (f"{role} {active.release} {how}{before}",)
    )
