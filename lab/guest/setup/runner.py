"""What the SMS does for a runner: makes its keys, hands them to it, and takes the releases that it signs."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterable

from lab.guest.setup.cluster import Description
from lab.guest.setup.identity import RUNNER_KEYS, USERS, Identity
from lab.guest.system import System

KEYS = "/etc/rackling/runner/keys.tar"
ASKER = "/etc/rackling/runner/asker"
"""Address and card of the runner: wwserver gives the keys to it only (lab/guest/warewulf/handlers.py)."""
SIGNERS = "/etc/nodeimage/allowed_signers"
AUTHORIZED = "/root/.ssh/authorized_keys"
MARK = "rackling-runner"
"""The comment of our lines in the files of ssh."""
ADMIT = 'restrict,command="/usr/lib/rackling/bin/admit-release"'
"""All that the key for deliveries can do here (sshd(8), AUTHORIZED_KEYS FILE FORMAT)."""


def make_keys(cluster: Description, identity: Identity) -> None:
    """Generates the runner's keys, once."""
    if cluster.runner is not None:
        identity.make_ssh_keys(RUNNER_KEYS)


def install(system: System, cluster: Description, identity: Identity) -> None:
    """Prepares the keys for the runner, and trusts what it signs; without a runner, trusts nobody."""
    if cluster.runner is None:
        system.remove(KEYS)
        system.remove(ASKER)
        _renew(system, SIGNERS, (), mode=0o644)
        _renew(system, AUTHORIZED, (), mode=0o600)
        return
    _renew(system, SIGNERS, [f'runner namespaces="nodeimage" {_key(identity, "signing")}'], mode=0o644)
    _renew(system, AUTHORIZED, [f"{ADMIT} {_key(identity, 'delivery')}"], mode=0o600)
    system.make_dir("/etc/rackling/runner", mode=0o755)
    system.write(KEYS, _archive(_files(cluster, identity)), mode=0o640)
    system.give_to_group(KEYS, "www-data")
    card = cluster.runner.boot_card
    system.write(ASKER, f"{card.address} {card.mac}\n".encode())


def _files(cluster: Description, identity: Identity) -> dict[str, bytes]:
    """What the runner gets (lab/guest/runner/set_up.py)."""
    users = [identity.public_key(name) for name in ("root", *USERS)]
    names = f"{cluster.sms.name},{cluster.sms.boot_card.address}"
    return {
        "host_key": identity.private_key("host_runner"),
        "host_key.pub": f"{identity.public_key('host_runner')}\n".encode(),
        "known_hosts": f"{names} {_bare(identity.public_key('host_sms'))}\n".encode(),
        "root_keys": f"{users[0]}\n".encode(),
        "git_keys": "".join(f"{key}\n" for key in users).encode(),
        "delivery_key": identity.private_key("delivery"),
        "signing_key": identity.private_key("signing"),
    }


def _archive(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(data), 0o600
            archive.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()


def _renew(system: System, path: str, lines: Iterable[str], *, mode: int) -> None:
    """Replaces our lines of a file and keeps all others; makes no file that nobody needs."""
    before = system.text(path, "")
    kept = [line for line in before.splitlines() if not line.endswith(f" {MARK}")]
    text = "".join(f"{line}\n" for line in [*kept, *(f"{line} {MARK}" for line in lines)])
    if text != before:
        system.make_dir(path.rpartition("/")[0], mode=0o755 if mode & 0o004 else 0o700)
        system.write(path, text.encode("utf-8", "surrogateescape"), mode=mode)


def _key(identity: Identity, name: str) -> str:
    return _bare(identity.public_key(name))


def _bare(public_key: str) -> str:
    return " ".join(public_key.split()[:2])
