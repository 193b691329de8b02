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
    """Disks of virtual machines; a name means a container image, unless only some labs need that disk."""

    def inventory(self, *, optional: bool = False) -> tuple[ImageRecord, ...]:
        """Lists the disks."""
        from lab.backends.libvirt.storage import DiskStore

        return disk.inventory(DiskStore(), optional=optional)

    def build(self, names: Sequence[str], cache: Path, say: Say, *, force: bool = False) -> None:
        """Builds the disks that labs need, or the named ones of others."""
        from lab.backends.libvirt.storage import DiskStore

        disks = [name for name in disk.names() if name in names and not disk.recipe(name).default]
        images = [name for name in names if name not in disks]
        if images:
            ContainerImages().build(images, cache, say, force=force)
        if disks or not names:
            disk.build(DiskStore(), cache, say, force=force, wanted_names=disks)


def images_of(backend: Backend) -> ImageProvider:
    """Returns the provider of the images from which a backend's nodes start."""
    return DiskImages() if backend.image_format is ImageFormat.DISK else ContainerImages()
