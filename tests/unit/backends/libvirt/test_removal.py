"""What is removed with a machine that libvirt forgets: its files, and what libvirt itself keeps of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from lab.backends.libvirt import removal
from lab.backends.libvirt.storage import LabFolder

pytest.importorskip("libvirt")


class Domain:
    """A machine with power."""

    def __init__(self, name: str) -> None:
        self._name = name
        self.done: list[str] = []

    def name(self) -> str:
        return self._name

    def isActive(self) -> bool:  # noqa: N802 (libvirt's)
        return True

    def destroy(self) -> None:
        self.done.append("destroy")

    def undefine(self) -> None:
        self.done.append("undefine")


class Door:
    def __init__(self, *_: object) -> None: ...

    def close(self) -> None: ...


@pytest.mark.parametrize("uri", ["qemu:///session", "qemu:///system"])
def test_the_log_of_a_machine_ends_with_it_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, uri: str
) -> None:
    """It holds the command line: the strings that its firmware was told, paths, names."""
    monkeypatch.setenv("LAB_LIBVIRT_URI", uri)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert (
        str(removal.log_folder())
        == {
            "qemu:///session": f"{tmp_path}/libvirt/qemu/log",
            "qemu:///system": "/var/log/libvirt/qemu",
        }[uri]
    )
    logs = tmp_path / "libvirt/qemu/log"
    logs.mkdir(parents=True)
    monkeypatch.setattr(removal, "log_folder", lambda: logs)
    monkeypatch.setattr(removal, "Door", Door)
    monkeypatch.setattr(removal, "LabFolder", lambda lab: LabFolder(lab, tmp_path))
    others = ("rackling-mine-c10.log", "rackling-mine-sms.log", "rackling-mine-b-c1.log", "somebodys.log")
    for name in ("rackling-mine-c1.log", "rackling-mine-c1.log.0", "rackling-mine-c1.log.1", *others):
        (logs / name).touch()
    domain = Domain("rackling-mine-c1")
    removal.machine("mine", cast("Any", domain))
    assert domain.done == ["destroy", "undefine"]
    assert {path.name for path in logs.iterdir()} == set(others)


def test_a_log_that_is_another_accounts_stops_no_removal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "rackling-mine-c1.log").mkdir()  # cannot be unlinked, whoever asks
    monkeypatch.setattr(removal, "log_folder", lambda: tmp_path)
    removal.forget_log("rackling-mine-c1")
    assert list(tmp_path.iterdir())
