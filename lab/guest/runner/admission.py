"""`admit-release`, on the SMS: takes a release only if it is what was signed. The runner can do no more.

sshd runs it instead of the command that the runner asks for, which is in SSH_ORIGINAL_COMMAND (sshd(8)).
"""

from __future__ import annotations

import os
import shutil
import sys
import tarfile
from collections.abc import Callable, Sequence
from typing import IO

from lab.guest.nodeimage import active, manifest, same_commit, verify
from lab.guest.nodeimage.errors import CONFLICT, INVALID, WRITE, NodeImageError
from lab.guest.nodeimage.files import sync_folder
from lab.guest.nodeimage.manifest import Manifest
from lab.guest.nodeimage.places import RELEASES, STATE, Places, checked, locked
from lab.guest.nodeimage.publish import STAGING
from lab.guest.nodeimage.signature import SIGNERS_FILE
from lab.guest.system import System
from lab.printable import printable_line

MOST_FILES, MOST_BYTES = 16, 8 << 30


def main(_arguments: Sequence[str], system: System) -> int:
    """Does what the runner asks for, if it is one of the two things that it may ask."""
    verbs: dict[str, Callable[[System, Places, str, str], str]] = {"deliver": _deliver, "activate": _activate}
    words = os.environ.get("SSH_ORIGINAL_COMMAND", "").split()
    if len(words) != 3 or words[0] not in verbs:
        sys.stderr.write("error: this key can only ask for: deliver ROLE RELEASE, activate ROLE RELEASE\n")
        return 2
    places = Places(system.path(STATE), system.path(RELEASES))
    try:
        told = verbs[words[0]](system, places, checked(words[1], "role"), checked(words[2], "release"))
    except NodeImageError as error:
        evidence = [f"  {printable_line(line)}" for line in error.evidence.splitlines()]
        sys.stderr.write("\n".join([f"error: {printable_line(str(error))}", *evidence, ""]))
        return error.kind.status
    sys.stdout.write(f"{told}\n")
    return 0


def _deliver(system: System, places: Places, role: str, release: str) -> str:
    return admit(system, places, role, release, sys.stdin.buffer)


def admit(system: System, places: Places, role: str, release: str, stream: IO[bytes]) -> str:
    """Takes the files of a release; it is there whole and verified, or not at all."""
    folder = places.served(role)
    os.makedirs(folder, exist_ok=True)
    stage, final = os.path.join(folder, f"{STAGING}{release}"), os.path.join(folder, release)
    with locked(folder, role):
        shutil.rmtree(stage, ignore_errors=True)
        os.mkdir(stage)
        try:
            _unpack(stream, stage)
            sent, who = verify.verified(system, stage, system.path(SIGNERS_FILE), role=role, release=release)
            if os.path.lexists(final):
                return _there_already(system, sent, final)
            sync_folder(stage)
            os.rename(stage, final)
        finally:
            shutil.rmtree(stage, ignore_errors=True)
        sync_folder(folder)
    return f"the SMS has {role} {release}, as {who} signed it; there: nodeimage activate {role} {release}"


def _unpack(stream: IO[bytes], stage: str) -> None:
    """Writes the plain files of a tar stream; names that are paths, links and devices are refused."""
    room, count = MOST_BYTES, 0
    try:
        with tarfile.open(fileobj=stream, mode="r|") as archive:
            for member in archive:
                count, room = count + 1, room - member.size
                source = archive.extractfile(member) if member.isreg() else None
                if source is None or count > MOST_FILES or room < 0:
                    raise NodeImageError(
                        INVALID, "the runner sent something else than the files of a release"
                    )
                _need_room(stage, member.size)
                with open(os.path.join(stage, checked(member.name, "file")), "xb") as file:
                    shutil.copyfileobj(source, file)
                    file.flush()
                    os.fsync(file.fileno())
    except tarfile.TarError as error:
        raise NodeImageError(
            INVALID, "the files of the release did not arrive", evidence=str(error)
        ) from error


def _need_room(stage: str, size: int) -> None:
    free = os.statvfs(stage)
    if free.f_bavail * free.f_frsize < size:
        raise NodeImageError(
            WRITE, f"no room for the release in {os.path.dirname(stage)}", hint="nodeimage prune ROLE"
        )


def _there_already(system: System, sent: Manifest, final: str) -> str:
    """A release never changes under its name. One of the same commit from another branch is the same."""
    name = f"{sent.facts['role']} {sent.release}"
    if manifest.raw(sent.folder) == manifest.raw(final):
        return f"the SMS has {name} already"
    known = manifest.read(final)
    if same_commit.differ_in_ref_only(system, sent, known):
        return f"the SMS has {name} already, built from {known.facts['ref']}"
    raise NodeImageError(CONFLICT, f"the release {name} exists on the SMS with other content")


def _activate(system: System, places: Places, role: str, release: str) -> str:
    return "\n".join(active.activate(system, places, role, release, system.path(SIGNERS_FILE)).lines)
