"""`lab portal` beside the one of the other tests: a second portal, a port that is taken, and nothing left."""

from __future__ import annotations

import socket

from tests.portal.conftest import lab
from tests.portal.page import NAME, Page, docker


def objects(name: str) -> list[str]:
    """Everything in the engine that has the portal's name or label."""
    found = []
    for line in ("ps -a --format {{.Names}}", "volume ls -q", "network ls --format {{.Name}}"):
        words = line.split()
        found += [one for one in docker(*words).stdout.split() if one.startswith(f"rackling_portal-{name}")]
        found += docker(*words, "--filter", f"label=rackling.portal={name}").stdout.split()
    return sorted(set(found))


def test_a_second_portal_is_another_one_and_leaves_nothing(page: Page) -> None:
    before = {*docker("volume", "ls", "-q").stdout.split()}
    try:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = str(taken.getsockname()[1])
            refused = lab("portal", "up", "proof2", "--release", page.release, "--port", port, check=False)
            assert refused.returncode == 3
            assert f"if port {port} is taken: lab portal down proof2" in refused.stderr
        assert lab("portal", "down", "proof2", "-y").stdout == "removed portal proof2\n"
        address = lab("portal", "up", "proof2", "--release", page.release).stdout.strip()
        other = Page(address, page.release)
        assert other.base != page.base
        number = page.submit("#!/bin/bash\nsleep 60\n")
        assert other.queue() == {}
        page.ask("DELETE", "scancel", {"job_ids": [number]})
        shown = lab("portal", "status").stdout
        assert NAME in shown
        assert "proof2" in shown
    finally:
        lab("portal", "down", "proof2", "-y")
    assert objects("proof2") == []
    left = {*docker("volume", "ls", "-q").stdout.split()} - before
    assert not left, f"volumes are left: {left}"
