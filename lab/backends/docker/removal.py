"""Removes a lab: repeats until the engine lists nothing of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

from lab.backends.base import Say
from lab.backends.docker import strays
from lab.backends.docker.engine import lab_filter, translate_errors
from lab.backends.parallel import for_each_parallel
from lab.errors import LabError

if TYPE_CHECKING:
    from docker import APIClient

ROUNDS = 5  # a killed `up` may have sent a request that the engine executes after our first listing


def lab(client: APIClient, name: str, say: Say) -> None:
    """Removes every container, volume and snapshot image of a lab, by its label.

    Of what only has a name of the lab's, volumes without any label go, too: `lab down` asks about them. What
    has another's label stays.
    """
    left: list[str] = []
    for _ in range(ROUNDS):
        left = _round(client, name, say)
        if not left:
            return
    raise LabError(
        f"lab {name} could not be removed completely",
        evidence="\n".join(left),
        hint=f"lab down -l {name} again, or docker rm -f / docker volume rm by hand",
    )


def containers(client: APIClient, names: Iterable[str]) -> None:
    """Removes containers, running or not; one that is already gone is fine."""
    for_each_parallel(
        names, lambda name: _gone(lambda: client.remove_container(name, force=True, v=True), name)
    )


def volumes(client: APIClient, names: Iterable[str]) -> None:
    """Removes volumes; one that is already gone is fine."""
    for name in names:
        _gone(partial(client.remove_volume, name, force=True), name)


def images(client: APIClient, names: Iterable[str], *, force: bool = False) -> None:
    """Removes images; one that a container or another image still uses is left."""
    for name in names:
        _gone(partial(client.remove_image, name, force=force), name)


def _round(client: APIClient, name: str, say: Say) -> list[str]:
    """Removes what one listing shows; returns it, so that the caller can repeat."""
    wanted = lab_filter(name)
    found_containers = [entry["Id"] for entry in client.containers(all=True, filters=wanted)]
    found_volumes = [entry["Name"] for entry in client.volumes(filters=wanted)["Volumes"] or ()]
    found_volumes += [stray.name for stray in strays.find(client, name) if stray.is_nobodys]
    # By tag: if a shared start state was built on an image, only its name can be removed.
    found_images = [name for entry in client.images(filters=wanted) for name in _names(entry)]
    if found_containers:
        say(f"removing {len(found_containers)} containers")
    containers(client, found_containers)
    volumes(client, found_volumes)
    images(client, found_images, force=True)
    return [*found_containers, *found_volumes, *found_images]


def _names(image: dict[str, Any]) -> list[str]:
    return [tag for tag in image["RepoTags"] or () if not tag.startswith("<")] or [image["Id"]]


def _gone(remove: Callable[[], object], what: str) -> None:
    import docker

    with translate_errors(f"removing {what}"):
        try:
            remove()
        except docker.errors.NotFound:
            pass
        except docker.errors.APIError as problem:
            # 409: somebody else is removing it; the next round looks again.
            if problem.status_code != 409:
                raise
