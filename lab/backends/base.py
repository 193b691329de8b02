"""What every backend offers, in four protocols; callers ask `probe()` what it cannot do, never its class."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Protocol

from lab.backends.actions import Action, Stale
from lab.host_speed import HostSpeed
from lab.lock import Locks
from lab.model import ClusterSpec, LabRecord, NodeStatus, PendingBoot

Say = Callable[[str], None]
"""Takes one line of progress, for people; may be called often."""
HANDOUT = "handout"
"""The snapshot that is always there: the lab as it was first made, with its own identity."""


@dataclass(frozen=True)
class Finding:
    """One line of `lab doctor`: what was examined, whether it is in order, and the fix."""

    subject: str
    ok: bool | None  # None: unknown, it could not be examined
    evidence: str
    fix: str = ""


@dataclass(frozen=True)
class Protection:
    """One row of `lab doctor`'s table: something that stands between root in a node and this host."""

    name: str
    protects: str
    given: bool | None  # None: unknown, it could not be examined
    evidence: str
    advice: str = ""  # what to do for more


@dataclass(frozen=True)
class Capabilities:
    """What an engine can and cannot do here."""

    engine: str  # for people, e.g. "Docker 20.10.24, cgroup v1, overlay2"
    usable: bool
    findings: tuple[Finding, ...]
    missing: frozenset[str]
    """Of: "kernel-modules", "kernel-version", "block-devices", "snapshot", "shared-states"."""
    protections: Callable[[], tuple[Protection, ...]] = tuple
    """Looks, when called, at which protection this host gives: that takes a moment."""


@dataclass(frozen=True)
class State:
    """A start state that is kept for every lab of the same shape."""

    name: str
    created: str  # ISO 8601, UTC
    size: int  # bytes it takes in addition to what it is built on


class ImageFormat(Enum):
    """What nodes of a backend start from."""

    CONTAINER = "container image"
    DISK = "disk"


@dataclass(frozen=True)
class Storage:
    """Where an engine stores what labs are made of, and how to free room there."""

    folder: Path | None  # None: unknown
    cleanup: str  # a command for people


class Lifecycle(Protocol):
    """Makes nodes and networks and gives them power; what it must remember is in the engine's own objects."""

    name: str
    timeout_scale: float
    """How many times longer than in a container things take in a node of a quiet host."""
    image_format: ImageFormat
    rights_needed_for: frozenset[str]
    """What nodes lack in a lab with `trust = "nobody"`, since it takes rights on the host; as `missing`."""

    @property
    def locks(self) -> Locks:
        """The locks of labs, which all accounts that may use this engine share."""

    @property
    def host_speed(self) -> HostSpeed:
        """How slow this host is just now: time limits follow it, and measurements go there."""

    def storage(self) -> Storage:
        """Says where the engine stores images and labs."""

    def probe(self) -> Capabilities:
        """Says what this engine can do, by trying it; never raises for a missing engine."""

    def labs(self) -> tuple[LabRecord, ...]:
        """Lists every lab on this engine, orphans included."""

    def stale(self, spec: ClusterSpec) -> tuple[Stale, ...]:
        """Says which existing nodes are not as a specification asks, by what they show; changes nothing.

        A node is compared with its own description only: that other nodes come or go makes none stale.
        """

    def apply(self, spec: ClusterSpec, actions: Sequence[Action], say: Say) -> None:
        """Executes a plan, and decides nothing itself: nodes that no action names are not touched.

        Records the specification as the lab's. Created and remade nodes get power. Actions of the kinds
        RESTORE and WAIT are the caller's.
        """

    def note_boot(self, spec: ClusterSpec, boot: PendingBoot | None) -> None:
        """Keeps in the lab's record what a command has begun; None: it is completed.

        A backend may ignore it for a lab that does not exist yet.
        """

    def on_first_ready(self, lab: str, say: Say) -> None:
        """Called once, when a lab that was just made is ready for the first time; may take a checkpoint."""

    def delete(self, lab: str, say: Say, nodes: Sequence[str] | None = None) -> None:
        """Removes the lab and all that belongs to it (or only the named nodes), files of ours or not."""

    def status(self, lab: str) -> tuple[NodeStatus, ...]:
        """Says how each node stands, without entering any."""

    def start(self, lab: str, nodes: Sequence[str]) -> None:
        """Powers nodes on; nothing happens to one that is on."""

    def stop(self, lab: str, nodes: Sequence[str], *, hard: bool = False) -> None:
        """Powers nodes off: by asking the system, or (hard) by cutting the power."""


class Access(Protocol):
    """Ways into a node and to its console."""

    def shell(
        self, lab: str, node: str, command: Sequence[str] | None, *, user: str, tty: bool, mark: str = ""
    ) -> list[str]:
        """Returns the argument list of a host process that opens a shell or runs a command.

        The process enters with the limits of a login. Words may hold bytes that are not UTF-8, as surrogate
        escapes. `command` None: a login shell, which without a terminal reads a script from its input. The
        status is the command's, or 128 + N after signal N. With a `mark`, `hang_up` finds the command.
        """

    def hang_up(self, lab: str, node: str, mark: str) -> list[str]:
        """Returns the argument list of a host process that ends the command with this mark in the node.

        Its last word is yet to be added: the number of the signal to begin with.
        """

    def console(self, lab: str, node: str, *, follow: bool, tail: int | None = None) -> Iterator[bytes]:
        """Yields what the node wrote to its console, oldest first; with `follow`, without end."""

    def attach(self, lab: str, node: str) -> list[str]:
        """Returns the argument list of a host process that connects its terminal to the node's console.

        A backend with read-only consoles raises UsageError.
        """


class Snapshots(Protocol):
    """States of one lab."""

    def base_id(self, spec: ClusterSpec) -> str:
        """Identifies what an SMS made now is made of: states saved under another one cannot be used.

        Here rather than in `SharedStates`: a lab's own snapshots are outdated by a new image, too.
        """

    def snapshot(self, lab: str, name: str, say: Say) -> None:
        """Saves the lab's state under a name; replaces one of the same name."""

    def restore(self, lab: str, name: str, say: Say, *, ephemeral_identity: bool = False) -> None:
        """Returns the lab to a snapshot or a start state; works from any state, broken nodes included.

        The lab keeps its identity: keys and passwords. With `ephemeral_identity` it runs under a fresh one
        until the next `restore`, so that a shared state that is saved meanwhile holds no secret of any lab.
        A lab whose `restore` was interrupted, or that runs under an ephemeral identity, says so in its
        record (`pending`).
        """

    def snapshots(self, lab: str) -> tuple[str, ...]:
        """Names of the snapshots of a lab, oldest first."""

    def forget(self, lab: str, name: str) -> None:
        """Removes a snapshot of the lab."""


class SharedStates(Protocol):
    """Start states that every lab of the same shape may use."""

    def save(self, lab: str, name: str, say: Say) -> None:
        """Saves the present state of a lab that runs under an ephemeral identity."""

    def list(self) -> tuple[State, ...]:
        """The start states, oldest first."""

    def delete(self, names: Sequence[str]) -> None:
        """Removes start states; one that does not exist is fine."""


class Backend(Lifecycle, Access, Snapshots, Protocol):
    """All that the harness needs of an engine."""

    @property
    def shared_states(self) -> SharedStates | None:
        """Start states of all labs; None where a state holds secrets of its lab."""
