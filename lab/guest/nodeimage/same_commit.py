"""Whether two releases named after one commit differ only in the branch or tag that their stamps name."""

from __future__ import annotations

import os

from lab.guest.archive import cpio
from lab.guest.nodeimage.commit import shortened
from lab.guest.nodeimage.content import STAMP
from lab.guest.nodeimage.manifest import Manifest
from lab.guest.nodeimage.role import COMPRESSORS
from lab.guest.system import System


def differ_in_ref_only(system: System, new: Manifest, old: Manifest) -> bool:
    """Whether a commit's release exists already, built from another branch or tag.

    Everything else is compared: what was built, with which packages and tests, and every byte of both images
    but for the stamp. So one commit has one release, and a stamp never names what was not built.
    """
    if new.release != old.release or new.release != shortened(new.facts["commit"]):
        return False  # a name that somebody gave promises more than the commit
    if new.facts["ref"] == old.facts["ref"] or _but_ref(new) != _but_ref(old):
        return False
    return _digest(system, new) == _digest(system, old)


def _but_ref(manifest: Manifest) -> object:
    """What must be equal; the image's checksum and its size depend on the stamp."""
    facts = {key: value for key, value in manifest.facts.items() if key != "ref"}
    files = {name: found for name, found in manifest.files.items() if name != "image"}
    return facts, manifest.tests, files


def _digest(system: System, manifest: Manifest) -> str:
    """A digest of the unpacked image without its stamp; of an unreadable one, what equals no other."""
    program = COMPRESSORS.get(manifest.facts["compress"], ("",))[0]
    path = os.path.join(manifest.folder, "image")
    try:
        return system.reading([program, "-dc", path], lambda archive: cpio.digest(archive, without=STAMP))
    except (OSError, ValueError):
        return f"{path} cannot be read"
