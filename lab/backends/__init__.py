"""Backends create nodes. Each one is imported only when it is used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.errors import UsageError

if TYPE_CHECKING:
    from lab.backends.base import Backend


def open_backend(name: str) -> Backend:
    """The backend of that name; its engine is not touched before it is used."""
    if name == "docker":
        from lab.backends.docker.backend import DockerBackend

        return DockerBackend()
    if name == "libvirt":
        from lab.backends.libvirt.backend import LibvirtBackend

        return LibvirtBackend()
    raise UsageError(f"this version has no backend {name}", hint='set backend = "docker" or "libvirt"')
