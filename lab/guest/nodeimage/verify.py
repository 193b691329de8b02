"""`verify`: shows that a release is complete, unchanged, and signed by somebody who may."""

from __future__ import annotations

import os

from lab.guest.nodeimage import manifest, signature
from lab.guest.nodeimage.errors import INVALID, UNKNOWN, NodeImageError
from lab.guest.nodeimage.manifest import Manifest
from lab.guest.nodeimage.output import Result, size_text
from lab.guest.system import System


def verified(
    system: System, folder: str, signers: str, *, role: str = "", release: str = ""
) -> tuple[Manifest, str]:
    """The manifest of a release and its signer. Raises NodeImageError for the first thing that is wrong.

    A release whose folder says another role or name than what was signed is refused, too: else an old
    one could be given the name of a new one.
    """
    if not os.path.isdir(folder) or os.path.islink(folder):
        raise NodeImageError(UNKNOWN, f"there is no release {folder}", hint="nodeimage list")
    if not os.path.lexists(os.path.join(folder, manifest.FILE + signature.SUFFIX)):
        raise NodeImageError(
            INVALID, f"{folder} is not signed", evidence=f"{manifest.FILE}{signature.SUFFIX}: missing",
            hint="copy or publish the release anew",
        )  # fmt: skip
    data = manifest.raw(folder)
    who = signature.verify(system, signers, os.path.join(folder, manifest.FILE), data)
    found = manifest.parse(folder, data)
    wrong = manifest.problems(found)
    for is_called, wanted in ((found.facts["role"], role), (found.release, release)):
        if wanted and is_called != wanted:
            wrong.append(f"signed as {is_called}, and lies there as {wanted}")
    if wrong:
        raise NodeImageError(
            INVALID, f"{folder} is not what {who} signed", evidence="\n".join(wrong),
            hint="copy or publish the release anew",
        )  # fmt: skip
    return found, who


def run(system: System, folder: str, signers: str, *, role: str = "", release: str = "") -> Result:
    """Verifies a release and tells what it is."""
    found, who = verified(system, folder, signers, role=role, release=release)
    total = sum(size for size, _ in found.files.values())
    line = f"{folder} is as {who} signed it: {len(found.files)} files, {size_text(total)}"
    return Result({**found.data, "place": folder, "signer": who, "valid": True}, (line,))
