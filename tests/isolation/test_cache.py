"""Images that nodes share unpacked: what no node runs on is removed, whoever boots at the same moment."""

from __future__ import annotations

from tests.cases.conftest import Lab
from tests.isolation.conftest import inside

IMAGE = "/opt/ohpc/admin/images/debian13"
LOOK = "cd /cache && ls -d vnfs-* modules-* && cat users/node-*"


def cache(lab: Lab) -> tuple[list[str], list[str]]:
    """The names of what is unpacked, and those that nodes use; from a chassis, where nodes cannot look."""
    lines = inside(lab, "c1", LOOK).splitlines()
    used = {word for line in lines if " " in line for word in line.split()}
    return [line for line in lines if " " not in line], sorted(used)


def repack(lab: Lab, word: str) -> None:
    status, said = lab.on("sms", f"echo {word} >{IMAGE}/etc/probe && wwvnfs --chroot {IMAGE}")
    assert status == 0, said


def test_old_images_are_removed_and_none_that_a_node_runs_on(one: Lab) -> None:
    for word in ("first", "second"):
        repack(one, word)
        assert one.run("reset", "-y", "c2").returncode == 0
        kept, used = cache(one)
        assert sorted(kept) == used
        assert sum(name.startswith("vnfs-") for name in kept) <= 2
    assert one.on("c2", "cat /etc/probe") == (0, "second\n")
    # c1 still runs on the image of its own boot: a file that it has not read yet is there.
    assert one.on("c1", "cat /usr/bin/* >/dev/null") == (0, "")
    repack(one, "third")
    assert one.run("power", "reset", "c1", "c2").returncode == 0  # both at once
    kept, used = cache(one)
    assert (sorted(kept), len(kept)) == (used, 2)
    assert [one.on(node, "cat /etc/probe") for node in ("c1", "c2")] == [(0, "third\n")] * 2
