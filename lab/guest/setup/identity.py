"""A lab's keys and passwords: generated once, and kept outside the SMS's disk so that a reset keeps them."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterable

from lab.guest.system import System

FOLDER = "/var/lib/rackling"
MUNGE_KEY, JWT_KEY, PASSWORDS = "munge.key", "jwt_hs256.key", "passwords.json"
USERS = ("user1", "user2")
SSH_KEYS = ("host_sms", "host_nodes", "root", *USERS)
RUNNER_KEYS = ("host_runner", "delivery", "signing")
"""Made only in a lab that has a runner."""
MUNGE_KEY_BYTES = 128  # munged(8): at least 32, at most 1024
SYLLABLES = [c + v for c in "bdfghjklmnprstvz" for v in "aeiou"]


def forget(system: System) -> None:
    """Removes the lab's identity; the next use generates a new one."""
    system.remove_tree(f"{FOLDER}/ssh")
    for name in (MUNGE_KEY, JWT_KEY, PASSWORDS):
        system.remove(f"{FOLDER}/{name}")


class Identity:
    """Reads the lab's identity folder and generates what is missing."""

    def __init__(self, system: System) -> None:
        self.system = system
        system.make_dir(f"{FOLDER}/ssh", mode=0o700)
        self.make_ssh_keys(SSH_KEYS)

    def munge_key(self) -> bytes:
        """The secret shared by all munge daemons of the cluster."""
        return self._kept(MUNGE_KEY, lambda: secrets.token_bytes(MUNGE_KEY_BYTES))

    def jwt_key(self) -> bytes:
        """The secret that signs Slurm's JSON web tokens."""
        return self._kept(JWT_KEY, lambda: secrets.token_bytes(32))

    def passwords(self) -> dict[str, str]:
        """Password of each user, by name."""
        made = {user: _password() for user in USERS}
        found: dict[str, str] = json.loads(self._kept(PASSWORDS, lambda: json.dumps(made).encode()))
        return found

    def private_key(self, name: str) -> bytes:
        """One of the ssh private keys that were made."""
        return self.system.read(f"{FOLDER}/ssh/{name}")

    def public_key(self, name: str) -> str:
        """The public half, as one line `ssh-ed25519 BASE64 COMMENT`."""
        return self.system.text(f"{FOLDER}/ssh/{name}.pub").strip()

    def make_ssh_keys(self, names: Iterable[str]) -> None:
        """Generates those of the named keys that are missing."""
        for name in names:
            path = f"{FOLDER}/ssh/{name}"
            if not self.system.exists(path):
                command = [
                    "ssh-keygen",
                    "-q",
                    "-t",
                    "ed25519",
                    "-N",
                    "",
                    "-C",
                    name,
                    "-f",
                    self.system.path(path),
                ]
                done = self.system.run(command)
                if done.status != 0:
                    raise OSError(f"ssh-keygen: {done.err.decode(errors='replace').strip()}")

    def _kept(self, name: str, make: Callable[[], bytes]) -> bytes:
        path = f"{FOLDER}/{name}"
        if not self.system.exists(path):
            self.system.write(path, make(), mode=0o600)
        return self.system.read(path)


def _password() -> str:
    """A password that is easy to type: three words of two syllables and a number, about 44 bits."""
    words = ["".join(secrets.choice(SYLLABLES) for _ in range(2)) for _ in range(3)]
    return "-".join([*words, f"{secrets.randbelow(90) + 10}"])
