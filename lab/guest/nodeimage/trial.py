"""`try`: boots a release on one node, whichever is active, and sees that the node comes up with it.

What is tried is the artefact itself: the packed image and its kernel, by the way that nodes boot. The node's
next boot takes what it took before.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Optional

from lab.guest.nodeimage import boot, content
from lab.guest.nodeimage.boot_entry import Node
from lab.guest.nodeimage.errors import BOOT, FAILED, USAGE, NodeImageError
from lab.guest.nodeimage.manifest import Manifest
from lab.guest.nodeimage.output import Output, Result
from lab.guest.nodeimage.places import Places, locked, read_json, write_json
from lab.guest.nodeimage.verify import verified
from lab.guest.system import System

RECORD = "boots.json"
"""In the role's folder of the state: releases that a node has booted."""
SSH = ("ssh", "-o", "BatchMode=yes", "-o", "ConnectTimeout=5")
LONGEST = 30.0
"""Seconds of one look at a node: one that dies meanwhile answers nothing."""
PAUSE = 2.0
LOOK = """\
echo "boot $(cat /proc/sys/kernel/random/boot_id)"
state=none
if command -v systemctl >/dev/null; then state=$(systemctl is-system-running 2>/dev/null); fi
echo "state $state"
systemctl --failed --plain --no-legend 2>/dev/null | sed 's/^/failed /'
sed 's/^/stamp /' /etc/image-release
"""
ILL = ("degraded", "maintenance", "stopping")
"""States of systemd (systemctl(1), is-system-running) of a node that has not come up well."""
WELL = ("running", "none")
"""Of one that has; none: it has no systemd, and answers."""


@dataclass(frozen=True)
class Job:
    """Which release is tried on which node, and for how many seconds it is waited for."""

    boot: boot.Job
    output: Output
    release: str
    signers: str
    seconds: int
    sleep: Callable[[float], None] = time.sleep

    @property
    def system(self) -> System:
        """The head node."""
        return self.boot.system

    @property
    def places(self) -> Places:
        """The two folders."""
        return self.boot.places


@dataclass
class Look:
    """What a node says of itself."""

    boot: str = ""
    state: str = ""
    failed: list[str] = field(default_factory=list)
    stamp: str = ""


def run(job: Job) -> Result:
    """Boots the release and waits for the node; the record of it is what `show` tells."""
    if not job.system.is_root:
        raise NodeImageError(FAILED, "only root can change what nodes boot", hint="use sudo")
    role = job.boot.role
    folder = job.places.served(role, job.release)
    found, _ = verified(job.system, folder, job.signers, role=role, release=job.release)
    with locked(job.boot.path(), "boot entries"):
        nodes = boot.named(job.boot)
        if len(nodes) != 1:
            names = " ".join(node.name for node in nodes)
            raise NodeImageError(
                USAGE, f"a release is tried on one node, not on {names}", hint="wwsh node list"
            )
        (node,) = nodes
        _refuse_jobs(job, node)
        before = boot.seen(job.boot, node)
        begun = job.system.clock()
        with _ended_by_signals():
            try:
                boot.offer(job.boot, nodes, job.release)
                with job.output.step(f"{node.name} boots {role} {job.release}"):
                    _booted(job, node, found)
            finally:
                boot.put_back(job.boot, before)
    return _noted(job, node, found, job.system.clock() - begun)


def _refuse_jobs(job: Job, node: Node) -> None:
    """Refuses a node on which jobs of Slurm run; without Slurm, nothing is known of jobs."""
    done = job.system.run(["squeue", "-h", "-w", node.name, "-t", "R,CG,S", "-o", "%i"])
    if done.status == 0 and done.out.strip():
        raise NodeImageError(
            FAILED,
            f"jobs run on {node.name}: {' '.join(done.out.decode(errors='replace').split())}",
            hint=f"scontrol update nodename={node.name} state=drain reason=try, and wait for them",
        )


def _booted(job: Job, node: Node, found: Manifest) -> None:
    """Reboots the node and waits until it is up with the release, and well."""
    first = _look(job, node)
    if first is None:
        job.output.say(f"{node.name} does not answer: power it on")
    else:
        _ssh(job, node, "systemctl reboot || reboot")
    end = job.system.clock() + job.seconds
    last: Optional[Look] = None
    while job.system.clock() < end:
        job.sleep(PAUSE)
        last = _look(job, node)
        if last is None or (first is not None and last.boot == first.boot):
            continue
        if last.state in (*WELL, *ILL):
            _judge(job, node, found, last)
            return
    raise _error(job, node, f"is not up after {job.seconds} s", _told(last, first))


def _judge(job: Job, node: Node, found: Manifest, look: Look) -> None:
    expected = content.stamp(found.facts).decode()
    if look.stamp != expected:
        evidence = f"expected: {expected.splitlines()[2]}\nfound:    {look.stamp or 'no stamp'}"
        raise _error(job, node, "has booted another image", evidence)
    if look.state in ILL:
        raise _error(job, node, f"is {look.state}", "\n".join(look.failed))


def _error(job: Job, node: Node, what: str, evidence: str) -> NodeImageError:
    return NodeImageError(
        BOOT,
        f"{node.name} was to boot {job.boot.role} {job.release}, and {what}",
        evidence="\n".join(line for line in evidence.splitlines() if line.isprintable()),
        hint=f"look at its console; its next boot takes what it took before: ssh {node.name} reboot",
    )


def _told(last: Optional[Look], first: Optional[Look]) -> str:
    if last is None:
        return "it does not answer by ssh"
    if first is not None and last.boot == first.boot:
        return "it has not rebooted"
    return f"it is {last.state or 'in an unknown state'}"


def _look(job: Job, node: Node) -> Optional[Look]:
    """What the node says of itself; None if it does not answer."""
    told = _ssh(job, node, LOOK)
    found = Look()
    for line in told.splitlines():
        key, _, value = line.partition(" ")
        if key == "boot":
            found.boot = value
        elif key == "state":
            found.state = value.strip()
        elif key == "failed":
            found.failed.append(value.strip())
        elif key == "stamp":
            found.stamp += f"{value}\n"
    return found if found.boot else None


def _ssh(job: Job, node: Node, script: str) -> str:
    done = job.system.run([*SSH, node.name, script], timeout=LONGEST)
    return done.out.decode(errors="replace")


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """A plain kill ends the trial as Ctrl-C does, so that the node's entry is put back."""
    old = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, old)


def _noted(job: Job, node: Node, found: Manifest, seconds: float) -> Result:
    role = job.boot.role
    path = job.places.role(role, RECORD)
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(job.system.clock()))
    noted = {"node": node.name, "seconds": round(seconds, 1), "at": at, "image": found.files["image"][1]}
    with locked(job.places.role(role), role):
        write_json(job.system, path, {**read_json(path), job.release: noted})
    line = (
        f"{node.name} is up with {role} {job.release} after {seconds:.0f} s; its next boot takes what it took"
    )
    data = {"role": role, "release": job.release, **noted, "changed": True}
    return Result(data, (line, f"next: nodeimage activate {role} {job.release}"))


def record(places: Places, role: str, release: str, image: str) -> str:
    """Where and when a release was booted by `try`, in words; empty if it was not."""
    noted = read_json(places.role(role, RECORD)).get(release, {})
    if not isinstance(noted, dict) or noted.get("image") != image:
        return ""
    return f"on {noted.get('node')} within {noted.get('seconds')} s, {noted.get('at')}"
