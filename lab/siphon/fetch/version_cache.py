"""Remembers the version of each controller in the user's cache directory. Failures are ignored."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping

from lab.siphon.fetch.servers import Server
from lab.siphon.protocol.versions import Version, by_release

LIFETIME = 86400.0
"""Seconds. After an upgrade of the controller the old version still works, but it may omit files."""


def directory(environment: Mapping[str, str]) -> str | None:
    """The cache directory of siphon, or None for a user without a home directory."""
    base = environment.get("XDG_CACHE_HOME", "")
    if not base.startswith("/"):
        home = environment.get("HOME", "")
        if not home.startswith("/"):
            return None
        base = f"{home}/.cache"
    return f"{base}/siphon"


def recall(place: str | None, server: Server) -> Version | None:
    """The version that this server accepted within the last day."""
    if place is None:
        return None
    try:
        descriptor = os.open(_path(place, server), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        age = time.time() - os.fstat(descriptor).st_mtime
        text = os.read(descriptor, 16).decode("ascii", "replace").strip()
    except OSError:
        return None
    finally:
        os.close(descriptor)
    return by_release(text) if 0 <= age < LIFETIME else None


def remember(place: str | None, server: Server, version: Version) -> None:
    """Stores the version for the next run."""
    if place is None:
        return
    path = _path(place, server)
    temporary = f"{path}.{os.getpid()}"
    try:
        os.makedirs(place, mode=0o700, exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(temporary, flags, 0o600)
        try:
            os.write(descriptor, f"{version.release}\n".encode())
        finally:
            os.close(descriptor)
        os.rename(temporary, path)
    except OSError:
        return


def forget(place: str | None, server: Server) -> None:
    """Removes a version that the server no longer accepts."""
    if place is not None:
        try:
            os.unlink(_path(place, server))
        except OSError:
            return


def _path(place: str, server: Server) -> str:
    return f"{place}/{str(server).replace('/', '_')}"
