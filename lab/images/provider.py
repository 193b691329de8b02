"""Chooses how to list and build the images of a backend, by the format that the backend names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from lab.backends.base import Backend, ImageFormat, Say
from lab.images import disk, pipeline
from lab.images.pipeline import ImageRecord


class ImageProvider(Protocol):
    """Lists and builds images of one format."""

    def inventory(self, *, optional: bool = False) -> tuple[ImageRecord, ...]:
        """Lists the images that a lab needs, whether built or not; with `optional`, all images."""

    def build(self, names: Sequence[str], cache: Path, say: Say, *, force: bool = False) -> None:
        """Builds the named images, or those that a lab needs; skips what is up to date, unless `force`."""


class ContainerImages:
    """Images in Docker's engine."""

    def inventory(self, *, optional: bool = False) -> tuple[ImageRecord, ...]:
        """Lists the container images."""
        from lab.backends.docker.images import ImageStore

        return pipeline.inventory(ImageStore(), optional=optional)

    def build(self, names: Sequence[str], cache: Path, say: Say, *, force: bool = False) -> None:
        """Builds container images."""
        from lab.backends.docker.images import ImageStore

        pipeline.build(names, ImageStore(), cache, say, force=force)


class DiskImages:
    """Disks of virtual machines; a name still means a container image."""

    def inventory(self, *, optional: bool = False) -> tuple[ImageRecord, ...]:
        """Lists the disks; all are needed."""
        from lab.backends.libvirt.storage import DiskStore

        del optional
        return disk.inventory(DiskStore())

    def build(self, names: Sequence[str], cache: Path, say: Say, *, force: bool = False) -> None:
        """Builds the disks."""
        from lab.backends.libvirt.storage import DiskStore

        if names:
            ContainerImages().build(names, cache, say, force=force)
        else:
            disk.build(DiskStore(), cache, say, force=force)


def images_of(backend: Backend) -> ImageProvider:
    """Returns the provider of the images from which a backend's nodes start."""
    return DiskImages() if backend.image_format is ImageFormat.DISK else ContainerImages()
