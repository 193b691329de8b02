"""The rows of `lab doctor`'s table for machines, on hosts that lack one thing or another."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from lab.backends.base import Protection
from lab.backends.libvirt import engine, protections, wire_guard

libvirt = pytest.importorskip("libvirt")

ARGV = "/usr/bin/qemu-system-x86_64 -S -no-user-config -nodefaults -sandbox on,spawn=deny -msg timestamp=on"
MODELS = {"none": "", "apparmor": "", "dac": "+64055:+64055"}


class Daemon:
    """A libvirt that would start QEMU so, and knows these models of security."""

    def __init__(self, argv: str = ARGV, **models: str) -> None:
        self._argv = argv
        self._models = models or MODELS

    def getCapabilities(self) -> str:  # noqa: N802 (libvirt's)
        listed = [
            f"<secmodel><model>{name}</model><doi>0</doi><baselabel type='kvm'>{label}</baselabel></secmodel>"
            for name, label in self._models.items()
        ]
        return f"<capabilities><host>{''.join(listed)}</host></capabilities>"

    def domainXMLToNative(self, form: str, described: str) -> str:  # noqa: N802
        assert (form, "<domain" in described) == ("qemu-argv", True)
        if not self._argv:
            raise libvirt.libvirtError("no emulator")
        return self._argv


@pytest.fixture(autouse=True)
def host(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A host where all is well: its folders."""
    (tmp_path / "cgroup" / "devices").mkdir(parents=True)
    (tmp_path / "etc").mkdir()
    monkeypatch.setattr(protections, "SETTINGS", tmp_path / "etc")
    monkeypatch.setattr(protections, "CONTROLLERS", tmp_path / "cgroup")
    monkeypatch.setattr(protections, "ROOT", tmp_path / "machines")
    monkeypatch.setattr(wire_guard, "open_cards", list)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setenv("LAB_LIBVIRT_URI", engine.SYSTEM)
    return tmp_path


def table(daemon: Any = None, *, kvm: bool = True) -> dict[str, Protection]:
    found = protections.examine(daemon or Daemon(), (kvm, "" if kvm else "too slow"))
    return {one.name: one for one in found}


def test_where_all_is_well_every_row_says_yes_and_why() -> None:
    found = table()
    assert [name for name, one in found.items() if one.given is not True] == []
    assert all(one.protects and one.evidence for one in found.values())
    assert found["QEMU's system calls"].evidence == "QEMU starts with -sandbox on,spawn=deny"


def test_emulated_processors_are_no_protection() -> None:
    found = table(kvm=False)["processors of KVM"]
    assert found.given is False
    assert "emulated (too slow)" in found.evidence
    assert found.advice


@pytest.mark.parametrize(
    ("daemon", "name", "given", "told"),
    [
        (Daemon(ARGV.replace("-sandbox on,spawn=deny ", "")), "QEMU's system calls", False, "-sandbox off"),
        (Daemon(""), "QEMU's system calls", None, "no emulator"),
        (Daemon(none="", dac="+0:+0"), "account of machines", False, "machines run as root"),
        (Daemon(none="", dac="+987654:+1"), "account of machines", True, "machines run as 987654, those of"),
        (Daemon(none="", dac="+0:+0"), "AppArmor or SELinux", False, "neither"),
        (Daemon(selinux="system_u:system_r:svirt_t:s0"), "AppArmor or SELinux", True, "selinux"),
    ],
)
def test_what_libvirt_says_differently_is_told(
    daemon: Daemon, name: str, given: bool | None, told: str
) -> None:
    found = table(daemon)[name]
    assert found.given is given
    assert told in found.evidence


@pytest.mark.parametrize(
    ("file", "line", "name", "given"),
    [
        ("qemu.conf", "namespaces = []", "/dev of its own", False),
        ("qemu.conf", '#namespaces = [ ]\nnamespaces = [ "mount" ]  # as it is', "/dev of its own", True),
        ("qemu.conf", 'cgroup_controllers = [\n  "cpu",\n  "memory"\n]', "cgroup", False),
        ("qemu.conf", 'cgroup_controllers = [ "cpu", "devices" ]', "cgroup", True),
        ("qemu.conf", 'stdio_handler = "file"', "bounded consoles", False),
        ("virtlogd.conf", "max_size = 0", "bounded consoles", False),
        ("virtlogd.conf", "max_size = 1048576", "bounded consoles", True),
    ],
)
def test_settings_of_the_daemon_count(host: Path, file: str, line: str, name: str, given: bool) -> None:
    (host / "etc" / file).write_text(f"# ours\n{line}\n")
    assert table()[name].given is given


def test_settings_that_may_not_be_read_are_unknown(host: Path) -> None:
    (host / "etc" / "qemu.conf").mkdir()  # not even root reads that
    unknown = {name for name, one in table().items() if one.given is None}
    assert unknown == {"/dev of its own", "cgroup", "bounded consoles"}


def test_an_accounts_own_libvirt_gives_less(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAB_LIBVIRT_URI", engine.SESSION)
    monkeypatch.setattr(os, "geteuid", os.getuid)
    found = table(Daemon(none=""))
    lacking = {name for name, one in found.items() if not one.given}
    assert lacking == {"account of machines", "AppArmor or SELinux", "/dev of its own", "cgroup"}
    assert all("sudo lab" in found[name].advice for name in lacking - {"AppArmor or SELinux"})
    assert "no bridge" in found["closed networks"].evidence


def test_open_bridges_and_folders_are_named(monkeypatch: pytest.MonkeyPatch, host: Path) -> None:
    monkeypatch.setattr(wire_guard, "open_cards", lambda: ["rk-0123", "vnet7"])
    mine, theirs = (host / "machines" / "labs" / name for name in ("mine", "theirs"))
    for folder, mode in ((mine, 0o710), (theirs, 0o711)):
        folder.mkdir(parents=True)
        folder.chmod(mode)
    found = table()
    assert (found["closed networks"].given, found["closed files"].given) == (False, False)
    assert found["closed networks"].evidence == "open: rk-0123 vnet7"
    assert (found["closed files"].evidence, found["closed files"].advice) == (
        f"open: {theirs}",
        f"sudo chmod o= {theirs}",
    )
    theirs.chmod(0o700)
    assert table()["closed files"].evidence == "folders of labs: 2, none open"
