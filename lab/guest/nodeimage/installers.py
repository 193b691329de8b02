"""The command lines that install a base tree: mmdebstrap for Debian, dnf for Enterprise Linux."""

from __future__ import annotations

import re
from collections.abc import Sequence

from lab.guest.nodeimage.errors import USAGE, NodeImageError
from lab.guest.nodeimage.role import TreePlan

AUTOMOUNT = "/usr/share/mmdebstrap/hooks/file-mirror-automount"
"""Shows file: sources to dpkg in the tree; mmdebstrap(1) has it since 0.8.0."""
_LOCAL = re.compile(r"(?:file|copy):/*(/[^\s]*)")


def command(plan: TreePlan, sources: Sequence[str], target: str, *, automount: bool) -> list[str]:
    """The command that installs a plan's packages into a folder that does not exist yet."""
    if not plan.packages:
        raise NodeImageError(
            USAGE, "the role names no packages", hint='[tree] packages = ["systemd-sysv", …] in image.toml'
        )
    if not plan.release:
        raise NodeImageError(
            USAGE, "the role names no release", hint='[tree] release = "trixie" in image.toml'
        )
    if plan.installer == "dnf":
        return _dnf(plan, sources, target)
    return _mmdebstrap(plan, sources, target, automount=automount)


def _mmdebstrap(plan: TreePlan, sources: Sequence[str], target: str, *, automount: bool) -> list[str]:
    # Without a source, mmdebstrap takes Debian's own mirror.
    lines = [_deb_line(source) for source in sources]
    hook = [f"--hook-dir={AUTOMOUNT}"] if automount and any("file:" in line for line in lines) else []
    return [
        "mmdebstrap", "--mode=root", "--format=directory", f"--variant={plan.variant}",
        f"--include={','.join(plan.packages)}", *(f"--dpkgopt=path-exclude={path}" for path in plan.exclude),
        *hook, plan.release, target, *lines,
    ]  # fmt: skip


def _deb_line(source: str) -> str:
    """A line of sources.list(5). A path is a flat repository of this machine, and needs no signature."""
    return f"deb [trusted=yes] copy:{source} ./" if source.startswith("/") else source


def _dnf(plan: TreePlan, sources: Sequence[str], target: str) -> list[str]:
    """`dnf --installroot` (dnf(8)); without a source it uses the repositories of this machine."""
    named = [(f"nodeimage{number}", _url(source)) for number, source in enumerate(sources)]
    repositories = [
        word for name, url in named for word in (f"--repofrompath={name},{url}", f"--repo={name}")
    ]
    return [
        "dnf", "-y", f"--installroot={target}", f"--releasever={plan.release}", *repositories,
        "--setopt=install_weak_deps=False", "--setopt=keepcache=False", "install", *plan.packages,
    ]  # fmt: skip


def _url(source: str) -> str:
    return f"file://{source}" if source.startswith("/") else source


def local_folders(sources: Sequence[str]) -> list[str]:
    """The folders of this machine that sources name: what lies there decides which packages are installed."""
    found = []
    for source in sources:
        if source.startswith("/"):
            found.append(source)
        else:
            found += _LOCAL.findall(source)
    return found
