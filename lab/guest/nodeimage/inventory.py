"""`list`, `show` and `prune`: which releases there are, what one holds, and which are no longer needed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass

from lab.guest.nodeimage import active, manifest, trial
from lab.guest.nodeimage.errors import UNKNOWN, NodeImageError
from lab.guest.nodeimage.manifest import Manifest
from lab.guest.nodeimage.output import Output, Result, size_text
from lab.guest.nodeimage.places import Places, locked
from lab.guest.nodeimage.publish import STAGING
from lab.guest.nodeimage.role import NAME

REMOVED = f"{STAGING}removed-"
"""A release gets a name that begins so before its files are removed: it is there whole, or not at all."""


@dataclass(frozen=True)
class Release:
    """A release on the disk; `manifest` is None if it has none that can be read."""

    role: str
    name: str
    published: float
    state: str
    manifest: Manifest | None

    @property
    def size(self) -> int:
        """Bytes of all its files."""
        return sum(size for size, _ in self.manifest.files.values()) if self.manifest else 0


def releases(places: Places, role: str) -> list[Release]:
    """The releases of a role, oldest first."""
    folder = places.served(role)
    known = active.now(folder)
    found = [_release(places, role, name, known) for name in _names(folder)]
    return sorted(found, key=lambda one: (one.published, one.name))


def _names(folder: str) -> Iterator[str]:
    try:
        names = sorted(os.listdir(folder))
    except OSError:
        return
    for name in names:
        path = os.path.join(folder, name)
        if NAME.fullmatch(name) and os.path.isdir(path) and not os.path.islink(path):
            yield name


def _release(places: Places, role: str, name: str, known: active.Active | None) -> Release:
    path = places.served(role, name)
    state = ""
    if known is not None and name in (known.release, known.before):
        state = "active" if name == known.release else "before"
    try:
        read = manifest.read(path)
    except NodeImageError:
        return Release(role, name, os.lstat(path).st_mtime, state or "damaged", None)
    return Release(role, name, os.lstat(path).st_mtime, state, read)


def listed(places: Places, role: str) -> Result:
    """All releases, of one role or of all."""
    roles = [role] if role else list(_names(places.releases))
    found = [one for each in roles for one in releases(places, each)]
    rows = [("ROLE", "RELEASE", "STATE", "SIZE", "UNPACKED", "REF", "COMMIT'S TIME")]
    for one in found:
        about = one.manifest
        unpacked = size_text(about.unpacked) if about else "-"
        facts = (about.facts["ref"], about.facts["date"]) if about else ("-", "-")
        rows.append((one.role, one.name, one.state or "-", size_text(one.size), unpacked, *facts))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]
    data = [{"role": one.role, "release": one.name, "state": one.state, "size": one.size} for one in found]
    return Result({"releases": data}, lines if found else [f"no releases in {places.releases}"])


def shown(places: Places, role: str, release: str) -> Result:
    """One release, by default the active one. Its signature is what `verify` looks at."""
    if not release:
        known = active.now(places.served(role))
        if known is None:
            raise NodeImageError(UNKNOWN, f"no release of {role} is active", hint=f"nodeimage list {role}")
        release = known.release
    folder = places.served(role, release)
    if not os.path.isdir(folder):
        raise NodeImageError(
            UNKNOWN, f"there is no release {release} of {role}", hint=f"nodeimage list {role}"
        )
    found = manifest.read(folder)
    rows = [("role", role), ("release", release), *((key, found.facts[key]) for key in manifest.FACTS[1:])]
    rows += [("unpacked", size_text(found.unpacked)), ("tests", tests_text(found.tests))]
    rows += [
        ("booted", trial.record(places, role, release, found.files["image"][1]) or "not by `nodeimage try`")
    ]
    rows += [(name, f"{size_text(size)}, sha256 {sha}") for name, (size, sha) in sorted(found.files.items())]
    return Result({**found.data, "place": folder}, [f"{key:<14} {value}" for key, value in rows])


def tests_text(tests: object) -> str:
    """A summary of tests as people read it."""
    if not isinstance(tests, dict) or "passed" not in tests:
        return "none: the role says so"
    return f"{tests['passed']} passed, {tests.get('skipped', 0)} skipped"


def prune(output: Output, places: Places, role: str, keep: int) -> Result:
    """Removes the oldest releases of a role but `keep` of them, the active one, and the one before."""
    folder = places.served(role)
    if not os.path.isdir(folder):
        raise NodeImageError(UNKNOWN, f"there are no releases of {role} in {folder}", hint="nodeimage list")
    with locked(folder, role):
        found = releases(places, role)
        spared = {one.name for one in found if one.state in ("active", "before")}
        spared |= {one.name for one in found[len(found) - min(keep, len(found)) :]}
        gone = [one for one in found if one.name not in spared]
        for one in gone:
            output.say(f"removing {role} {one.name}")
            hidden = os.path.join(folder, f"{REMOVED}{one.name}")
            os.rename(places.served(role, one.name), hidden)
        for name in os.listdir(folder):
            if name.startswith(STAGING):
                shutil.rmtree(os.path.join(folder, name))
    freed = sum(one.size for one in gone)
    line = f"removed {len(gone)} of {len(found)} releases of {role}, {size_text(freed)}"
    names = [one.name for one in gone]
    return Result({"role": role, "removed": names, "freed": freed, "changed": bool(gone)}, (line,))
