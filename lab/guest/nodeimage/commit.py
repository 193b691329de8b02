"""The commit that an image is built of, from git or from what the command line says."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass

from lab.guest.nodeimage.errors import FAILED, PROGRAM, USAGE, NodeImageError
from lab.guest.system import System

_SHA = re.compile(r"[0-9a-f]{7,64}(?:-dirty)?")


@dataclass(frozen=True)
class Commit:
    """A commit, the branch or tag it was built from, and its time in seconds since 1970."""

    sha: str
    ref: str
    seconds: int

    @property
    def short(self) -> str:
        """The commit as people write it."""
        return shortened(self.sha)

    @property
    def date(self) -> str:
        """The commit's time, in UTC."""
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self.seconds))


def shortened(sha: str) -> str:
    """A commit as people write it, which is also the name of its release."""
    return sha[:12] + ("-dirty" if sha.endswith("-dirty") else "")


def given(sha: str, ref: str, seconds: str) -> Commit:
    """A commit that the command line names, for machines without git and without the repository."""
    if not _SHA.fullmatch(sha):
        raise NodeImageError(
            USAGE, f"--commit {sha} is no commit: 7 to 64 digits of 0-9a-f", hint="git log -1"
        )
    if not seconds.isdigit():
        hint = "--date $(git log -1 --format=%ct)"
        raise NodeImageError(
            USAGE, "--commit needs --date, the commit's time in seconds since 1970", hint=hint
        )
    if not ref or not ref.isprintable() or ref.split() != [ref]:
        raise NodeImageError(
            USAGE, "--commit needs --ref, the branch or tag, without blanks", hint="--ref main"
        )
    return Commit(sha, ref, int(seconds))


def of_folder(system: System, folder: str, *, allow_dirty: bool = False) -> Commit:
    """The commit that a folder's checkout is at. Refuses changes that are not committed."""
    head = _git(system, folder, "log", "-1", "--format=%H %ct").split()
    dirty = _git(system, folder, "status", "--porcelain", "--", ".")
    if dirty and not allow_dirty:
        raise NodeImageError(
            USAGE,
            f"{folder} has changes that are not committed, so no commit would describe the image",
            evidence="\n".join(dirty.splitlines()[:10]),
            hint=f"git -C {folder} commit -a, or to try something: --allow-dirty",
        )
    return Commit(head[0] + ("-dirty" if dirty else ""), _ref(system, folder), int(head[1]))


def _ref(system: System, folder: str) -> str:
    """The tag at this commit or, without one, the branch."""
    for words in (("describe", "--tags", "--exact-match"), ("symbolic-ref", "--short", "HEAD")):
        done = system.run(["git", "-C", folder, *words])
        if done.status == 0 and done.out.strip():
            return done.out.decode(errors="replace").strip()
    return "detached"


def _git(system: System, folder: str, *words: str) -> str:
    done = system.run(["git", "-C", folder, *words])
    if done.status == 127:
        raise NodeImageError(
            PROGRAM, "git is not installed", hint="apt install git, or name the commit: --commit --ref --date"
        )
    if done.status:
        raise NodeImageError(
            FAILED,
            f"git does not know the commit of {folder}",
            evidence=done.err.decode(errors="replace").strip(),
            hint=f"git -C {folder} status, or name the commit: --commit --ref --date",
        )
    return done.out.decode(errors="replace").rstrip("\n")
