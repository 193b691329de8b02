"""The working copy of a base tree: an overlay of it or, where none can be mounted, a copy."""

from __future__ import annotations

import os
import shutil

from lab.guest.nodeimage import in_use
from lab.guest.nodeimage.errors import FAILED, IN_USE, NodeImageError
from lab.guest.system import System


def renew(system: System, folder: str, base: str, *, copy: bool) -> tuple[str, str]:
    """Makes a fresh working copy; returns its root, and how it was made (overlay or copy).

    What an earlier pipeline did to its copy is gone; the base tree is never written to.
    """
    root = os.path.join(folder, "root")
    remove(system, folder)
    os.makedirs(root)
    if not copy and _overlay(system, folder, base, root):
        return root, "overlay"
    os.rmdir(root)
    done = system.run(["cp", "-a", "--reflink=auto", base, root])
    if done.status:
        told = done.err.decode(errors="replace").strip()
        raise NodeImageError(FAILED, f"cannot copy {base}", evidence=told, hint=f"df -h {folder}")
    return root, "copy"


def remove(system: System, folder: str) -> None:
    """Removes a working copy, unless something still uses it."""
    root = os.path.join(folder, "root")
    if os.path.isdir(root):
        in_use.refuse(root)
    if os.path.ismount(root):
        done = system.run(["umount", root])
        if done.status:
            told = done.err.decode(errors="replace").strip()
            raise NodeImageError(IN_USE, f"{root} is in use", evidence=told, hint=f"fuser -vm {root}")
    if os.path.isdir(folder):
        shutil.rmtree(folder)


def _overlay(system: System, folder: str, base: str, root: str) -> bool:
    """Mounts an overlay; False where this machine or its file system cannot."""
    upper, work = os.path.join(folder, "upper"), os.path.join(folder, "overlay-work")
    if any(letter in f"{base}{folder}" for letter in ",:\\"):  # they separate options and folders there
        return False
    os.makedirs(upper)
    os.makedirs(work)
    info = os.stat(base)
    os.chmod(upper, info.st_mode & 0o7777)
    options = f"lowerdir={base},upperdir={upper},workdir={work}{'' if _whole_machine() else ',userxattr'}"
    if system.run(["mount", "-t", "overlay", "overlay", "-o", options, root]).status == 0:
        return True
    shutil.rmtree(upper)
    shutil.rmtree(work)
    return False


def _whole_machine() -> bool:
    """Whether root is the machine's. In a user namespace, overlays need userxattr to mark removed folders.

    Linux, Documentation/filesystems/overlayfs.rst, "User xattr".
    """
    with open("/proc/self/uid_map", encoding="ascii") as file:
        return file.read().split() == ["0", "0", "4294967295"]


def refuse_in_use(state: str, base: str) -> None:
    """Refuses to replace a base tree while an overlay of it is mounted."""
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        users = [line.split()[4] for line in file if f"lowerdir={base}/" in line]
    if users:
        raise NodeImageError(
            IN_USE, f"working copies of {base} are mounted", evidence="\n".join(users),
            hint=f"umount {' '.join(users)}; all of them lie in {state}/roles",
        )  # fmt: skip
