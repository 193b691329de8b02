"""A clean checkout of one commit: never a working tree that somebody has touched."""

from __future__ import annotations

import os
import re
import shutil
import socket
from collections.abc import Iterable
from dataclasses import dataclass

from lab.guest.runner.places import BUILDS, ENVIRONMENT, RunnerError, repository
from lab.guest.system import System

REF = re.compile(r"refs/(heads|tags)/([A-Za-z0-9][A-Za-z0-9._/+-]{0,199})")
"""Names that no shell and no program mistakes for anything else: pipelines have them in variables."""
_SHA = re.compile(r"[0-9a-f]{40,64}")


@dataclass(frozen=True)
class Push:
    """A branch or tag of a repository, and the commit that it leads to now."""

    repository: str
    kind: str  # heads or tags
    name: str
    commit: str

    @property
    def short(self) -> str:
        """The commit as people write it."""
        return self.commit[:12]


def pushes(name: str, lines: Iterable[str]) -> tuple[list[Push], list[str]]:
    """What a push has changed (githooks(5), post-receive), and the names of refs that no pipeline takes."""
    found, refused = [], []
    for line in lines:
        _, new, ref = [*line.rstrip("\n").split(" ", 2), "", ""][:3]
        known = REF.fullmatch(ref)
        if not _SHA.fullmatch(new) or not new.strip("0"):
            continue  # a ref was removed
        if known:
            found.append(Push(name, known[1], known[2], new))
        else:
            refused.append(ref)
    return found, refused


def make(system: System, push: Push) -> str:
    """Makes the checkout anew and returns its folder; its objects stay in the repository."""
    source = system.path(repository(push.repository))
    build = system.path(f"{BUILDS}/{push.repository}")
    shutil.rmtree(build, ignore_errors=True)
    os.makedirs(build)
    git(system, build, "init", "--quiet")
    for name, text in (
        ("objects/info/alternates", f"{source}/objects"),
        ("info/exclude", ".gitlab-ci-local/"),
    ):
        os.makedirs(os.path.dirname(f"{build}/.git/{name}"), exist_ok=True)
        with open(f"{build}/.git/{name}", "w", encoding="utf-8") as file:
            file.write(f"{text}\n")
    # gitlab-ci-local takes the names of project and group from the address of the remote.
    remote = f"git@{socket.gethostname()}:lab/{push.repository}.git"
    git(system, build, "remote", "add", "origin", remote)
    git(system, build, "fetch", "--quiet", "--no-tags", source, "refs/tags/*:refs/tags/*")
    commit = git(system, build, "rev-parse", "--verify", f"{push.commit}^{{commit}}").strip()
    if push.kind == "heads":
        git(system, build, "update-ref", f"refs/heads/{push.name}", commit)
        git(system, build, "symbolic-ref", "HEAD", f"refs/heads/{push.name}")
    else:
        git(system, build, "update-ref", "--no-deref", "HEAD", commit)
    git(system, build, "reset", "--quiet", "--hard", commit)
    return build


def described(system: System, push: Push) -> tuple[str, str]:
    """Author and subject of a commit: text of whoever made it."""
    told = git(system, system.path(repository(push.repository)), "log", "-1", "--format=%an%n%s", push.commit)
    author, _, subject = told.partition("\n")
    return author, subject.rstrip("\n")


def git(system: System, folder: str, *words: str) -> str:
    """Runs git in a folder and returns its output; RunnerError if it fails."""
    done = system.run(["git", "-C", folder, *words], environment=ENVIRONMENT)
    if done.status:
        raise RunnerError(
            f"git {words[0]} failed in {folder}",
            evidence=(done.err + done.out).decode(errors="replace").strip(),
            hint=f"git -C {folder} fsck",
        )
    return done.out.decode(errors="replace")
