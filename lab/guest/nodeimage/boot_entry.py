"""Boot entries of a node for iPXE and PXELINUX: kernel and whole system of a role's active release."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lab.guest.nodeimage.places import CURRENT

KARGS = "net.ifnames=0 biosdevname=0 quiet"
"""Arguments of all kernels, unless the site has others: those of Warewulf 3."""


@dataclass(frozen=True)
class Node:
    """A node as Warewulf knows it: its name, and the card that it boots from."""

    name: str
    device: str
    mac: str
    address: str
    netmask: str


@dataclass(frozen=True)
class Entry:
    """What a node is to load, and from where."""

    node: Node
    role: str
    server: str
    initrds: Sequence[str]
    kargs: str
    release: str = CURRENT
    """A release, or the link to the active one."""

    @property
    def base(self) -> str:
        """The address below which the releases lie."""
        return f"http://{self.server}/nodeimage"

    @property
    def kernel(self) -> str:
        """The address of the release's kernel."""
        return f"{self.base}/{self.role}/{self.release}/kernel"

    @property
    def images(self) -> list[str]:
        """The addresses of all initial file systems, in the order in which they are unpacked."""
        more = [f"{self.base}/.boot/initrd/{name}" for name in self.initrds]
        return [f"{self.base}/{self.role}/{self.release}/image", *more]

    @property
    def arguments(self) -> str:
        """The kernel's arguments; those with ww are what Warewulf 3 tells its nodes."""
        return " ".join(self._arguments())

    def _arguments(self) -> Iterator[str]:
        node = self.node
        # With `root=`, the system's file system is a ramfs, which may take all memory: without, half of it
        # (Linux, init/do_mounts.c, init_rootfs).
        yield f"rw root=/dev/ram {self.kargs}"
        yield f"wwhostname={node.name} wwtransport=http wwmaster={self.server} wwipaddr={node.address}"
        yield f"wwnetmask={node.netmask} wwnetdev={node.device} wwhwaddr={node.mac}"


def _about(entry: Entry) -> tuple[str, str]:
    command = f"nodeimage boot {entry.role} {entry.node.name}"
    which = "the active image of " if entry.release == CURRENT else f"the release {entry.release} of "
    return (
        f"# Written by nodeimage; changes are lost. To write it again: {command}",
        f"Now booting {entry.node.name} with {which}{entry.role}",
    )


def ipxe(entry: Entry) -> str:
    """The iPXE script of a node."""
    comment, says = _about(entry)
    loads = (f"initrd {url}" for url in entry.images)
    lines = ("#!ipxe", comment, f"echo {says}", f"kernel {entry.kernel} {entry.arguments}", *loads, "boot")
    return "\n".join((*lines, ""))


def pxelinux(entry: Entry) -> str:
    """The PXELINUX configuration of a node."""
    comment, says = _about(entry)
    lines = (
        comment,
        f"SAY {says}",
        f"DEFAULT {entry.role}",
        "PROMPT 0",
        f"LABEL {entry.role}",
        f"  KERNEL {entry.kernel}",
        f"  INITRD {','.join(entry.images)}",
        f"  APPEND {entry.arguments}",
        "  IPAPPEND 2",
    )
    return "\n".join((*lines, ""))


def ipxe_name(node: Node) -> str:
    """The name of a node's iPXE script: what ${mac} stands for in iPXE."""
    return node.mac


def pxelinux_name(node: Node) -> str:
    """The name of a node's PXELINUX configuration: hardware type 1 (Ethernet), then the address."""
    return f"01-{node.mac.replace(':', '-')}"
