"""The packages that are installed in a tree, from the databases of dpkg or rpm."""

from __future__ import annotations

import hashlib
import os

from lab.guest.nodeimage.errors import FAILED, PROGRAM, NodeImageError
from lab.guest.system import System

DPKG = "var/lib/dpkg/status"
RPM = ("usr/lib/sysimage/rpm", "var/lib/rpm")
INSTALLED = "install ok installed"


def listing(system: System, tree: str) -> str:
    """One line a package: name, version and architecture; empty for a tree without a package database."""
    status = os.path.join(tree, DPKG)
    if os.path.isfile(status):
        with open(status, encoding="utf-8", errors="replace") as file:
            rows = _dpkg(file.read())
    elif any(
        os.path.isdir(os.path.join(tree, place)) and os.listdir(os.path.join(tree, place)) for place in RPM
    ):
        rows = _rpm(system, tree)
    else:
        rows = []
    return "".join(f"{row}\n" for row in sorted(rows))


def digest(text: str) -> str:
    """The digest of a listing, as the stamp names it."""
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def _dpkg(text: str) -> list[str]:
    """The rows of a dpkg status file: its fields are those of deb-control(5), in paragraphs."""
    rows = []
    for paragraph in text.split("\n\n"):
        fields = dict(
            line.split(": ", 1) for line in paragraph.splitlines() if ": " in line and line[0] > " "
        )
        if fields.get("Status") == INSTALLED:
            rows.append(" ".join(fields.get(key, "-") for key in ("Package", "Version", "Architecture")))
    return rows


def _rpm(system: System, tree: str) -> list[str]:
    query = "%{NAME} %{EPOCHNUM}:%{VERSION}-%{RELEASE} %{ARCH}\n"
    done = system.run(["rpm", "--root", tree, "-qa", "--qf", query])
    if done.status == 127:
        raise NodeImageError(
            PROGRAM, "the tree was installed by rpm, and rpm is not installed here", hint="apt install rpm"
        )
    if done.status:
        told = done.err.decode(errors="replace").strip()
        raise NodeImageError(FAILED, "rpm cannot list the tree's packages", evidence=told, hint=f"ls {tree}")
    return done.out.decode(errors="replace").splitlines()
