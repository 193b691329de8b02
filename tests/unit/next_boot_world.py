"""What the store of a scripted SMS holds for the next boot of nodes."""

from __future__ import annotations

import json
from collections.abc import Mapping

from tests.unit.checks_world import World

BUILT = 900  # seconds since 1970; the nodes of these tests booted at 1000


def with_bootstrap(
    world: World,
    *modules: str,
    loads: tuple[str, ...] = (),
    kernel: str = "6.12.0",
    name: str = r"\S+",
    built: int = BUILT,
) -> World:
    """The SMS has a bootstrap with these modules; `name` is a pattern."""
    held = {"built": built, "kernel": kernel, "modules": list(modules), "builtin": [], "loads": list(loads)}
    return world.says("sms", rf"(?s)^python3 -I -c .* bootstrap {name}\Z", json.dumps(held) + "\n")


def with_image(
    world: World,
    files: Mapping[str, tuple[str | None, str | None]],
    *,
    name: str = r"\S+",
    packed: int = BUILT,
) -> World:
    """The SMS has an image; each file has its text in the image and in the chroot, None for no file."""

    def state(text: str | None) -> dict[str, object] | None:
        mode = 0o100755
        return None if text is None else {"mode": mode, "uid": 0, "gid": 0, "size": len(text), "text": text}

    held = {
        "tree": "/opt/ohpc/admin/images/debian13",
        "packed": packed,
        "files": {
            path: {"image": state(image), "tree": state(tree), "same": image == tree}
            for path, (image, tree) in files.items()
        },
        "changes": {},
        "count": 0,
    }
    return world.says("sms", rf"(?s)^python3 -I -c .* vnfs {name}( |\Z)", json.dumps(held) + "\n")


def without_image(world: World, problem: str) -> World:
    """The SMS can read no image and no bootstrap, for this reason."""
    return world.says("sms", "^python3 -I -c", json.dumps({"problem": problem}) + "\n")
