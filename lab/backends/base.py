"""What every backend offers; callers ask `probe()` what it cannot do, never what class it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from lab.host_speed import HostSpeed
from lab.model import ClusterSpec, LabRecord, NodeStatus

Say = Callable[[str], None]
"""Takes one line of progress, for people; may be called often."""
HANDOUT = "handout"
"""The snapshot that is always there: the lab as it was first made, with its kept identity."""


@dataclass(frozen=True)
class Finding:
    """One line of `lab doctor`: what was looked at, whether it is well, and the fix."""

    subject: str
    ok: bool | None  # None: could not look
    evidence: str
    fix: str = ""


@dataclass(frozen=True)
class Capabilities:
    """What an engine can and cannot do here."""

    engine: str  # for people, e.g. "Docker 20.10.24, cgroup v1, overlay2"
    usable: bool
    findings: tuple[Finding, ...]
    missing: frozenset[str]
    """Of: "kernel-modules", "kernel-version", "block-devices", "snapshot", "shared-states"."""


@dataclass(frozen=True)
class State:
    """A start state that is kept for every lab of the same shape."""

    name: str
    created: str  # ISO 8601, UTC
    size: int  # bytes it takes besides what it is built on


class Backend(Protocol):
    """Makes nodes and networks, and keeps what it must remember in the engine's own objects."""

    name: str
    timeout_scale: float
    """How many times longer than in a container things take in a node of a quiet host."""

    @property
    def host_speed(self) -> HostSpeed:
        """How slow this host is just now: time limits follow it, and measurements go there."""

    def probe(self) -> Capabilities:
        """Says what this engine can do, by trying it; never raises for a missing engine."""

    def labs(self) -> tuple[LabRecord, ...]:
        """Lists every lab on this engine, orphans included."""

    def create(self, spec: ClusterSpec, say: Say) -> None:
        """Makes whatever of the lab is missing, wires it, and powers its new nodes on.

        Calling it again changes nothing that is already so; after a host reboot it puts the
        same machines back under power and on their wires.
        """

    def on_first_ready(self, lab: str, say: Say) -> None:
        """Hears that a lab made just now stands well: a moment to keep, if that makes going back quicker."""

    def delete(self, lab: str, say: Say, nodes: Sequence[str] | None = None) -> None:
        """Removes the lab and all that belongs to it (or only the named nodes), files of ours or not."""

    def status(self, lab: str) -> tuple[NodeStatus, ...]:
        """Says how each node stands, without entering any."""

    def start(self, lab: str, nodes: Sequence[str]) -> None:
        """Powers nodes on; nothing happens to one that is on."""

    def stop(self, lab: str, nodes: Sequence[str], *, hard: bool = False) -> None:
        """Powers nodes off: by asking the system, or (hard) by pulling the plug."""

    def shell(self, lab: str, node: str, command: Sequence[str] | None, *, user: str, tty: bool) -> list[str]:
        """Returns the argument list of a host process that opens a shell or runs a command.

        The process enters with the limits a login has. `command` None: a login shell.
        """

    def console(self, lab: str, node: str, *, follow: bool, tail: int | None = None) -> Iterator[bytes]:
        """Yields what the node wrote to its console, oldest first; with `follow`, without end."""

    def attach(self, lab: str, node: str) -> list[str]:
        """Returns the argument list of a host process that connects its terminal to the node's console.

        A backend whose consoles only show raises UsageError.
        """

    def copy_in(self, lab: str, node: str, tar: bytes, folder: str) -> None:
        """Unpacks a tar archive into a folder of the node's running system."""

    def copy_out(self, lab: str, node: str, path: str) -> bytes:
        """Returns a tar archive of a file or folder of the node's running system."""

    def snapshot(self, lab: str, name: str, say: Say) -> None:
        """Keeps the lab's state under a name; replaces one of the same name."""

    def restore(self, lab: str, name: str, say: Say, *, ephemeral_identity: bool = False) -> None:
        """Puts the lab back to a snapshot or a start state; works from any state, broken nodes included.

        The lab keeps its identity: keys and passwords. With `borrowed` it runs under a fresh one of its own
        until the next `restore`, so that what `keep` keeps meanwhile holds no secret of any lab. A lab whose
        `restore` was cut short, or that runs under an ephemeral identity, says so in its record (`pending`).
        """

    def snapshots(self, lab: str) -> tuple[str, ...]:
        """Names of the snapshots kept for a lab, oldest first."""

    def forget(self, lab: str, name: str) -> None:
        """Removes a snapshot of the lab."""

    def origin(self) -> str:
        """What an SMS made now is made of: start states kept under another origin are of no use."""

    def keep(self, lab: str, name: str, say: Say) -> None:
        """Keeps the present state of a lab under an ephemeral identity as a start state for all labs.

        A backend that cannot says so and keeps nothing.
        """

    def states(self) -> tuple[State, ...]:
        """The start states kept, oldest first."""

    def drop(self, names: Sequence[str]) -> None:
        """Removes start states; one that is not there is fine."""
