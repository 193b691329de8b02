"""Names every file and folder that the harness reads or writes on the host."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lab.errors import LabError

PACKAGE = Path(__file__).resolve().parent
CONFIG_NAME = "lab.toml"
OURS = "rackling"
"""Name of every folder that we make for a user; all below it is for that user alone."""
OTHERS = 0o077
SCHEMA = PACKAGE / "config" / "schema.json"


@dataclass(frozen=True)
class Paths:
    """The folders of one user."""

    data: Path  # progress, transcripts, crash reports
    cache: Path  # may be deleted at any time

    def transcript(self, lab: str, node: str, user: str) -> Path:
        """Returns the file that records what checks and solutions type into a node."""
        return self.data / "transcripts" / lab / f"{node}-{user}.log"

    def crash(self, stamp: str) -> Path:
        """Returns the file for the traceback of an unexpected error."""
        return self.data / "crashes" / f"{stamp}.txt"


def user_paths(environ: Mapping[str, str]) -> Paths:
    """Finds the folders of a user by the XDG rules; creates none."""
    data = Path(environ.get("XDG_DATA_HOME") or home_folder(environ) / ".local" / "share")
    return Paths(data=data / OURS, cache=_cache(environ))


def home_folder(environ: Mapping[str, str]) -> Path:
    """Returns the user's home folder; raises LabError if there is none."""
    try:
        return Path(environ.get("HOME") or Path.home())
    except RuntimeError as problem:
        raise LabError(
            "this account has no home folder", evidence=str(problem), hint="export HOME=FOLDER, then repeat"
        ) from problem


def kept_state(environ: Mapping[str, str]) -> Path:
    """Returns the folder for state that outlives a reboot of the host, by the XDG rules."""
    home = home_folder(environ)
    return Path(environ.get("XDG_STATE_HOME") or home / ".local" / "state") / OURS


def account_locks(environ: Mapping[str, str]) -> Path:
    """Returns the folder of locks for an engine of the account's own; may be lost when the host reboots.

    libvirt looks for such an engine in the same places, so one engine has one folder of locks.
    """
    runtime = Path(environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}")
    return (runtime / OURS if runtime.is_dir() else _cache(environ)) / "locks"


def _cache(environ: Mapping[str, str]) -> Path:
    return Path(environ.get("XDG_CACHE_HOME") or home_folder(environ) / ".cache") / OURS


def find_config(folder: Path) -> Path | None:
    """Returns the lab.toml of a folder, or None."""
    found = folder / CONFIG_NAME
    return found if found.is_file() else None


def data_folder(name: str) -> Path:
    """Returns a folder of data: `exercises`, `containers` or `vms`.

    In a checkout it is at the top level; in a wheel it is inside the package, under `_data`.
    """
    packed = PACKAGE / "_data" / name
    return packed if packed.is_dir() else PACKAGE.parent / name


def private_folder(folder: Path) -> Path:
    """Creates a folder and its missing parents, with access only for the owner, whatever the umask is.

    Closes those of ours that an earlier version left open for others: from the last one called `rackling` on,
    since one above may be anybody's, such as this program's own checkout.
    """
    above = (
        len(folder.parts) - folder.parts[::-1].index(OURS) - 1 if OURS in folder.parts else len(folder.parts)
    )
    for place in (*reversed(folder.parents), folder):
        try:
            place.mkdir(mode=0o700)
        except FileExistsError as problem:
            if not place.is_dir():  # a plain file, or a link to a disk that is not mounted
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(place)) from problem
            if len(place.parts) > above:
                _close(place)
        except FileNotFoundError as problem:
            # All folders above it were seen, so their file system takes no new ones, as /proc does.
            raise PermissionError(errno.EPERM, "No folder can be made there", str(place)) from problem
        except OSError:
            if not place.is_dir():  # one that exists may also refuse: on a read-only disk, or above a mount
                raise
        else:
            place.chmod(0o700)
    return folder


def _close(place: Path) -> None:
    """Takes others' access to a folder of ours away; one of somebody else's stays as it is."""
    found = place.lstat()
    if stat.S_ISDIR(found.st_mode) and found.st_mode & OTHERS and found.st_uid == os.geteuid():
        place.chmod(found.st_mode & 0o700)
