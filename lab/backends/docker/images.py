"""Images in Docker's engine: inspects, builds from a context, tags, and removes unused ones."""

from __future__ import annotations

import re
import time
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from lab.backends.docker import snapshots
from lab.backends.docker.engine import IMAGE, connect, translate_errors
from lab.backends.editions import edition
from lab.errors import LabError

if TYPE_CHECKING:
    from docker import APIClient

SHOWN_LINES = 12
DIGEST = re.compile(r"[0-9a-f]{12}\Z")
RECENT = 24 * 3600  # seconds: another checkout may still need a younger image


class ImageStore:
    """The engine's images of ours, by tag."""

    @cached_property
    def client(self) -> APIClient:
        """The engine; a build may print nothing for minutes."""
        return connect(timeout=1200)

    def look(self, tag: str) -> tuple[int, str]:
        """Size in bytes and creation time of an image; (0, "") when it does not exist."""
        import docker

        try:
            found = self.client.inspect_image(tag)  # type: ignore[no-untyped-call]  # the stubs' gap
        except docker.errors.ImageNotFound:
            return 0, ""
        return int(found["Size"]), str(found["Created"])

    def build(self, context: Path, tag: str, arguments: dict[str, str]) -> None:
        """Builds an image from a context's tar file; LabError with the last lines when a step fails."""
        lines: list[str] = []
        with translate_errors(f"building {tag}", "lab images build"), context.open("rb") as stream:
            for event in self.client.build(
                fileobj=stream,
                custom_context=True,
                tag=tag,
                buildargs=arguments,
                labels={IMAGE: tag},
                network_mode="none",
                rm=True,
                forcerm=True,
                decode=True,
            ):
                lines += str(event.get("stream", "")).splitlines()
                if "error" in event:
                    raise LabError(
                        f"the image {tag} could not be built",
                        evidence="\n".join([*lines[-SHOWN_LINES:], event["error"]]),
                        hint="fix the cause shown above, then: lab images build",
                    )

    def use(self, tag: str) -> None:
        """Tags an image as the one that new labs are created from."""
        repository = tag.partition(":")[0]
        with translate_errors(f"naming {tag}"):
            self.client.tag(tag, repository, edition(), force=True)

    def prune(self, wanted: set[str]) -> None:
        """Removes our images that no lab, no edition and no recent checkout uses."""
        import docker

        self._drop_states()
        repositories = {tag.partition(":")[0] for tag in wanted}
        for image in self.client.images(filters={"label": [IMAGE]}):
            tags = [tag.partition(":") for tag in image["RepoTags"] or ()]
            if any(_kept(repository, key, image["Created"]) for repository, _, key in tags):
                continue
            for repository, _, key in tags:
                tag = f"{repository}:{key}"
                if repository not in repositories or tag in wanted:
                    continue
                try:
                    self.client.remove_image(tag)
                except docker.errors.APIError:
                    continue  # a lab still uses it; the next build tries again

    def _drop_states(self) -> None:
        """Removes start states whose base image belongs to no edition any more."""
        bases = [
            image["Id"]
            for image in self.client.images(filters={"label": [IMAGE]})
            if any(not DIGEST.match(tag.partition(":")[2]) for tag in image["RepoTags"] or ())
        ]
        snapshots.delete_shared(self.client, snapshots.outdated(self.client, bases))


def _kept(repository: str, key: str, created: int) -> bool:
    """Whether a tag keeps its image: an edition always does, a base for a day since it is slow to build."""
    fresh = repository.endswith("-base") and time.time() - created < RECENT
    return fresh or not DIGEST.match(key)
