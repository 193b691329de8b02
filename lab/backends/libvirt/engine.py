"""The one door to libvirt: a connection, errors to act on, names, and what objects say of themselves."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from xml.etree import ElementTree as ET

from lab.backends.object_names import PREFIX, object_name
from lab.errors import LabError

NAMESPACE = "https://rackling.invalid/lab/1"
BRIDGE = "rk-"
"""What the names of all labs' bridges begin with."""
STARTS = 5
"""How often a machine's start is asked for; as often as libbpf loads a program (PROG_LOAD_ATTEMPTS)."""
SYSTEM, SESSION = "qemu:///system", "qemu:///session"
"""Root's daemon; and everybody's own, which can make no bridge."""


def uri() -> str:
    """The daemon that LAB_LIBVIRT_URI names; else the system's for root, and their own for all others."""
    return os.environ.get("LAB_LIBVIRT_URI") or (SYSTEM if os.geteuid() == 0 else SESSION)


def is_session() -> bool:
    """Whether the daemon is a user's own: it has no rights beyond theirs."""
    return uri().endswith("/session")


def connect() -> Any:
    """A connection to the daemon; LabError when none answers."""
    try:
        import libvirt
    except ImportError as problem:
        raise LabError(
            "Python's libvirt binding is not installed",
            evidence=str(problem),
            hint="./quickstart --backend libvirt",
        ) from problem
    libvirt.registerErrorHandler(lambda _context, _error: None, None)
    try:
        return libvirt.open(uri())
    except libvirt.libvirtError as problem:
        raise LabError(
            f"libvirt does not answer at {uri()}",
            evidence=str(problem),
            hint="./quickstart --backend libvirt   (starts it)",
        ) from problem


@contextmanager
def translate_errors(what: str, hint: str = "lab --backend libvirt doctor") -> Iterator[None]:
    """Turns libvirt's refusal into a LabError that says what was being done."""
    import libvirt

    try:
        yield
    except libvirt.libvirtError as problem:
        raise LabError(f"libvirt refused: {what}", evidence=str(problem), hint=hint) from problem


def insist(start: Callable[[], object]) -> None:
    """Starts a machine, again if a signal interrupted the kernel: the machine is then off, as it was.

    With cgroup v2, libvirt loads a BPF program for each machine's devices (vircgroupv2devices.c). The kernel
    ends that with EAGAIN when a signal comes (kernel/bpf/verifier.c), and libvirt does not ask again.
    """
    import libvirt

    for left in reversed(range(STARTS)):
        try:
            start()
        except libvirt.libvirtError as problem:
            if not left or "BPF" not in str(problem) or os.strerror(errno.EAGAIN) not in str(problem):
                raise
        else:
            return


@contextmanager
def ignore_missing() -> Iterator[None]:
    """Passes over that something is not there, or not any more; and over a machine that is off already."""
    import libvirt

    try:
        yield
    except libvirt.libvirtError as problem:
        gone = (
            libvirt.VIR_ERR_NO_DOMAIN,
            libvirt.VIR_ERR_NO_NETWORK,
            libvirt.VIR_ERR_OPERATION_INVALID,
        )
        if problem.get_error_code() not in gone:
            raise


def domain_name(lab: str, node: str) -> str:
    """What libvirt calls a machine."""
    return object_name(lab, node)


def network_name(lab: str, network: str) -> str:
    """What libvirt calls a wire."""
    return f"{PREFIX}-{lab}-{network}"


def bridge_name(lab: str, network: str) -> str:
    """Name of a wire's bridge on this computer: interfaces have at most 15 letters."""
    return BRIDGE + hashlib.sha256(f"{lab}/{network}".encode()).hexdigest()[:10]


def metadata_of(xml: str) -> dict[str, str]:
    """What an object of ours says of itself, its text under `spec`; empty for somebody else's."""
    found = ET.fromstring(xml).find(f".//metadata/{{{NAMESPACE}}}lab")  # noqa: S314 (libvirt's own)
    if found is None:
        return {}
    return {**found.attrib, "spec": (found.text or "").strip()}
