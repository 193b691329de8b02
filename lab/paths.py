"""Names every file and folder that the harness reads or writes on the host."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lab.errors import LabError

PACKAGE = Path(__file__).resolve().parent
CONFIG_NAME = "lab.toml"
SCHEMA = PACKAGE / "config" / "schema.json"


@dataclass(frozen=True)
class Paths:
    """The folders of one user."""

    state: Path  # locks; may be lost when the host reboots
    data: Path  # progress, transcripts, crash reports
    cache: Path  # may be deleted at any time

    def lock(self, lab: str) -> Path:
        """Returns the lock file of one lab."""
        return self.state / f"{lab}.lock"

    def transcript(self, lab: str, node: str, user: str) -> Path:
        """Returns the file that records what checks and solutions type into a node."""
        return self.data / "transcripts" / lab / f"{node}-{user}.log"

    def crash(self, stamp: str) -> Path:
        """Returns the file for the traceback of an unexpected error."""
        return self.data / "crashes" / f"{stamp}.txt"


def user_paths(environ: Mapping[str, str]) -> Paths:
    """Finds the folders of a user by the XDG rules; creates none."""
    home = home_folder(environ)
    data = Path(environ.get("XDG_DATA_HOME") or home / ".local" / "share")
    cache = Path(environ.get("XDG_CACHE_HOME") or home / ".cache")
    return Paths(state=_state(environ), data=data / "rackling", cache=cache / "rackling")


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
    return Path(environ.get("XDG_STATE_HOME") or home / ".local" / "state") / "rackling"


def _state(environ: Mapping[str, str]) -> Path:
    runtime = environ.get("XDG_RUNTIME_DIR")
    if runtime:
        return Path(runtime) / "rackling"
    by_uid = Path(f"/run/user/{os.getuid()}")
    if by_uid.is_dir():
        return by_uid / "rackling"
    return kept_state(environ)


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
    """Creates a folder and its parents, with access only for the owner."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder
