"""The ways in which nodeimage can fail, each with an exit status of its own."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Kind:
    """One exit status and what it means; the help and docs/nodeimage.md list them."""

    status: int
    meaning: str


OK = Kind(0, "done, or nothing to do")
FAILED = Kind(1, "a command or the operating system refused")
USAGE = Kind(2, "wrong usage, or an error in image.toml")
BUG = Kind(3, "nodeimage itself failed")
BUSY = Kind(4, "another nodeimage works on this role")
TASK = Kind(10, "a task of the configuration failed")
CONTROL = Kind(11, "a control (a test of the tree) failed")
UNPROVEN = Kind(12, "this tree was not configured and tested for this commit, so there is no image")
IN_USE = Kind(13, "the tree is in use: a container runs in it, or something is mounted below it")
BUDGET = Kind(14, "the unpacked image is larger than the role's memory budget")
SECRET = Kind(15, "the tree holds secrets")
PROGRAM = Kind(16, "a program that is needed is not installed")
CONFLICT = Kind(17, "a release of this name exists with other content")
INVALID = Kind(18, "the release is not what was signed: changed, incomplete, with more files, or unsigned")
UNKNOWN = Kind(19, "there is no such role, image or release")
WRITE = Kind(20, "cannot write: no space, or a read-only file system")
KEY = Kind(21, "no key to sign with, or no list of signers to verify with")
BOOT = Kind(22, "a node did not come up well with the release that was tried on it")
INTERRUPTED = Kind(130, "interrupted")

KINDS = (
    OK, FAILED, USAGE, BUG, BUSY, TASK, CONTROL, UNPROVEN, IN_USE, BUDGET, SECRET, PROGRAM, CONFLICT,
    INVALID, UNKNOWN, WRITE, KEY, BOOT, INTERRUPTED,
)  # fmt: skip


class NodeImageError(Exception):
    """A verb failed: what failed, the evidence (lines), and the next command to type."""

    def __init__(self, kind: Kind, message: str, *, evidence: str = "", hint: str = "") -> None:
        super().__init__(message)
        self.kind = kind
        self.evidence = evidence
        self.hint = hint

    def text(self) -> str:
        """The error as people read it."""
        lines = [f"error: {self}", *(f"  {line}" for line in self.evidence.splitlines())]
        return "\n".join([*lines, f"hint: {self.hint}"] if self.hint else lines)


def missing_program(name: str, install: str) -> NodeImageError:
    """The error for a program that is not installed."""
    return NodeImageError(PROGRAM, f"{name} is not installed", hint=install)
