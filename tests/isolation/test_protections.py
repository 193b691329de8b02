"""The table of `lab doctor` is about this engine: what all labs rely on is given, and nothing is unknown."""

from __future__ import annotations

import pytest

from lab.backends.docker.backend import DockerBackend

RELIED_ON = ("no privileged containers", "rules of devices", "list of system calls", "limit of memory")

pytestmark = [pytest.mark.engine, pytest.mark.quick]


def test_what_every_lab_relies_on_is_given_here() -> None:
    found = {one.name: one for one in DockerBackend().probe().protections()}
    assert {name: found[name].given for name in RELIED_ON} == dict.fromkeys(RELIED_ON, True), found
    assert [name for name, one in found.items() if one.given is None] == []
