"""Replaces another identity's keys on an SMS disk.

Start states that all labs share are made under an ephemeral identity; a lab that restores one needs its own.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator

from lab.guest.setup import inprocess
from lab.guest.setup.identity import SSH_KEYS, USERS, Identity
from lab.guest.system import System

MARK = "/etc/rackling/identity.json"
"""Public keys that the disk was set up with: enough to find what must be replaced, and not secret."""
IMAGES = "/opt/ohpc/admin/images"
NODES_KEY = "/etc/warewulf/vnfs/ssh/ssh_host_ed25519_key"
MUNGE_KEY = "/etc/munge/munge.key"
WITH_KEYS = ("etc/ssh/ssh_known_hosts", "root/.ssh/authorized_keys", "root/.ssh/known_hosts")
FILES = ("passwd", "group", "shadow", "munge.key")
"""Warewulf file objects whose content depends on the identity."""


class Adoption:
    """Finds files on the disk that belong to another identity, and replaces them with this lab's.

    Only `finish` records that this is done: a set-up that is killed starts again at the next boot.
    """

    def __init__(self, system: System, identity: Identity) -> None:
        self.system = system
        self.identity = identity
        former = json.loads(system.text(MARK, "{}"))
        self._munge_key = system.read(MUNGE_KEY) if system.is_file(MUNGE_KEY) else b""
        self._ours = {name: _bare(identity.public_key(name)) for name in SSH_KEYS}
        self.swaps = {
            former[name]: ours for name, ours in self._ours.items() if former.get(name, ours) != ours
        }

    @property
    def needed(self) -> bool:
        """Whether the disk was set up under another identity."""
        return bool(self.swaps)

    def homes(self) -> None:
        """Replaces users' own keys and the keys that they trust."""
        for user in USERS:
            ssh = f"/home/{user}/.ssh"
            if self.system.exists(f"{ssh}/id_ed25519"):
                self._rewrite(f"{ssh}/id_ed25519", self.identity.private_key(user))
            for name in self.system.names(ssh):
                self._swap(f"{ssh}/{name}")
        for name in self.system.names("/root/.ssh"):
            self._swap(f"/root/.ssh/{name}")

    def chroots(self) -> list[str]:
        """Replaces nodes' keys in every chroot, learners' copies included; returns the changed ones."""
        self._host_key(NODES_KEY)
        return [folder for folder in self._chroots() if self._chroot(folder)]

    def vnfs_of(self, chroots: list[str]) -> Iterator[tuple[str, str]]:
        """Yields name and chroot of each VNFS that is packed from one of these chroots."""
        listed = inprocess.run(self.system, ["wwsh", "vnfs", "list"]).out.decode(errors="replace")
        for line in listed.splitlines():
            words = line.split()
            if len(words) >= 4 and words[-1] in chroots:
                yield words[0], words[-1]

    def finish(self) -> None:
        """Records that the disk has this lab's identity."""
        self.system.write(MARK, json.dumps(self._ours, sort_keys=True).encode())

    def _chroots(self) -> Iterator[str]:
        for name in self.system.names(IMAGES):
            if self.system.is_dir(f"{IMAGES}/{name}/etc/ssh"):
                yield f"{IMAGES}/{name}"

    def _chroot(self, folder: str) -> bool:
        changed = [self._swap(f"{folder}/{name}") for name in WITH_KEYS]
        changed.append(self._host_key(f"{folder}/etc/ssh/ssh_host_ed25519_key"))
        munge_key = folder + MUNGE_KEY  # only there if a learner copied it
        if self._munge_key and self._is_file(munge_key) and self.system.read(munge_key) == self._munge_key:
            self._rewrite(munge_key, self.identity.munge_key())
            changed.append(True)
        return any(changed)

    def _host_key(self, path: str) -> bool:
        """Replaces a host key pair whose public half was the former nodes'."""
        if not self._swap(f"{path}.pub"):
            return False
        self._rewrite(path, self.identity.private_key("host_nodes"))
        return True

    def _swap(self, path: str) -> bool:
        """Replaces the former public keys in a text file; returns whether it held any."""
        if not self._is_file(path):
            return False
        text = self.system.text(path)
        fresh = text
        for former, ours in self.swaps.items():
            fresh = fresh.replace(former, ours)
        if fresh != text:
            self._rewrite(path, fresh.encode("utf-8", "surrogateescape"))
        return fresh != text

    def _is_file(self, path: str) -> bool:
        """Whether the path is a regular file and not a link to one."""
        return self.system.is_file(path) and stat.S_ISREG(self.system.lstat(path).st_mode)

    def _rewrite(self, path: str, data: bytes) -> None:
        """Replaces a file's content; keeps owner and mode."""
        was = self.system.lstat(path)
        self.system.write(path, data, mode=was.st_mode & 0o777)
        os.chown(self.system.path(path), was.st_uid, was.st_gid)


def _bare(public_key: str) -> str:
    return " ".join(public_key.split()[:2])
