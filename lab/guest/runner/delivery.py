"""`deliver` and `activate`: hand a signed release to the SMS, which verifies it before it is there."""

from __future__ import annotations

import json
import os
import re
import tarfile
from collections.abc import Iterator, Sequence

from lab.guest.runner.places import DELIVERY_KEY, ENVIRONMENT, RUN, SMS, RunnerError
from lab.guest.system import System
from lab.printable import printable

OPTIONS = (
    "IdentitiesOnly=yes", "BatchMode=yes", "StrictHostKeyChecking=yes",
    "UserKnownHostsFile=/etc/ssh/ssh_known_hosts", "ConnectTimeout=20", "LogLevel=ERROR",
)  # fmt: skip


def named(tag: str) -> str:
    """The name of a tag's release: its image is stamped with the tag, so it is not the commit's release."""
    return re.sub(r"[^A-Za-z0-9._-]", "-", tag)


def deliver(system: System, role: str, *, activate: bool, release: str = "") -> list[str]:
    """Publishes the image that was packed last, and hands the release to the SMS; returns its answers.

    Without a name, `nodeimage publish` calls the release after the commit.
    """
    name_it = ["--release", release] if release else []
    done = system.run(["nodeimage", "publish", role, *name_it, "--json"])
    try:
        published = json.loads(done.out)
        name, place = str(published["release"]), str(published["place"])
    except (ValueError, KeyError, TypeError):
        why = (done.err or done.out).decode(errors="replace").strip()
        raise RunnerError(
            f"{role} is not published", evidence=why, hint=f"nodeimage publish {role}"
        ) from None
    told = [send(system, role, name, place)]
    if ref := published.get("built_from"):
        told.insert(0, f"{role} {name} is published already: it was built from {ref}, of the same commit")
    if activate:
        told.append(ask(system, "activate", role, name))
    return told


def send(system: System, role: str, release: str, place: str) -> str:
    """Sends the files of a release as a tar stream; returns what the SMS said."""
    answer = f"{RUN}/answer"
    done = system.pour(ssh(system, "deliver", role, release), stream(place), system.path(answer))
    return _answered(done.status, system.text(answer, "") + done.err.decode(errors="replace"), release)


def stream(place: str) -> Iterator[bytes]:
    """The files of a folder as the bytes of a tar archive."""
    for name in sorted(os.listdir(place)):
        entry = tarfile.TarInfo(name)
        with open(os.path.join(place, name), "rb") as file:
            entry.size = os.fstat(file.fileno()).st_size
            yield entry.tobuf()
            while chunk := file.read(1 << 20):
                yield chunk
        yield bytes(-entry.size % tarfile.BLOCKSIZE)
    yield bytes(2 * tarfile.BLOCKSIZE)


def ask(system: System, verb: str, role: str, release: str) -> str:
    """Asks the SMS to do something with a release that it has."""
    done = system.run(ssh(system, verb, role, release), environment=ENVIRONMENT)
    return _answered(done.status, (done.out + done.err).decode(errors="replace"), release)


def ssh(system: System, *words: str) -> Sequence[str]:
    """The command that reaches the SMS with the key that can do nothing else there."""
    options = [part for option in OPTIONS for part in ("-o", option)]
    key = system.path(DELIVERY_KEY)
    address = system.text(SMS).strip()
    return ["ssh", "-F", "none", "-T", "-i", key, *options, f"root@{address}", *words]


def _answered(status: int, answer: str, release: str) -> str:
    text = printable(answer).strip()
    if status:
        raise RunnerError(
            f"the SMS did not take the release {release}", evidence=text, hint="nodeimage list, on the SMS"
        )
    return text
