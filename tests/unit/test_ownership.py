"""Owners and modes of what is packed for nodes and images."""

from __future__ import annotations

import tarfile

import pytest

from lab.ownership import owned_by


def entry(name: str, mode: int, kind: bytes = tarfile.REGTYPE) -> tarfile.TarInfo:
    """An entry as a careless checkout would make it."""
    info = tarfile.TarInfo(name)
    info.mode, info.type, info.uid, info.gid, info.uname = mode, kind, 1234, 1234, "somebody"
    return info


@pytest.mark.parametrize(
    ("made", "mode"),
    [
        (entry("a", 0o600), 0o644),
        (entry("a", 0o700), 0o755),
        (entry("a", 0o700, tarfile.DIRTYPE), 0o755),
    ],
)
def test_modes_do_not_depend_on_a_umask(made: tarfile.TarInfo, mode: int) -> None:
    found = owned_by(1001, "user1")(made)
    assert found is not None
    assert (found.mode, found.uid, found.gid, found.uname) == (mode, 1001, 1001, "user1")


def test_modes_are_kept_where_asked() -> None:
    found = owned_by(keep_mode=True)(entry("x/__pycache__/y", 0o640))
    assert found is not None
    assert (found.mode, found.uname) == (0o640, "root")


def test_compiled_python_is_left_out() -> None:
    assert owned_by()(entry("lab/__pycache__/x.pyc", 0o644)) is None
