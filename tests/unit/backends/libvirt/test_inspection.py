"""What `lab doctor` finds out about virtual machines, on computers that lack one thing or another."""

from __future__ import annotations

import os
import pwd
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from lab.backends.base import Finding
from lab.backends.libvirt import engine, inspection
from lab.backends.libvirt.inspection import MISSING, ROMS, TOOLS, probe
from lab.backends.libvirt.storage import ROOT

Probe = Callable[[str], None]


class RefusalError(Exception):
    """Stands for libvirt's own."""


class Daemon:
    """A libvirt that answers; without a QEMU it cannot tell its version."""

    def __init__(self, version: int | None = 7002022) -> None:
        self._version = version

    def getVersion(self) -> int:  # noqa: N802 (libvirt's)
        if self._version is None:
            raise RefusalError("Cannot find suitable emulator for x86_64")
        return self._version

    def getURI(self) -> str:  # noqa: N802
        return engine.uri()


def answer(monkeypatch: pytest.MonkeyPatch, opened: Callable[[str], Daemon]) -> None:
    """A binding by which the daemon is found so."""
    binding = SimpleNamespace(open=opened, registerErrorHandler=lambda *_: None, libvirtError=RefusalError)
    monkeypatch.setitem(sys.modules, "libvirt", binding)


def refuse(uri: str) -> Daemon:
    raise RefusalError(f"Failed to connect socket of {uri}")


def finding(subject: str) -> Finding:
    (found,) = (one for one in probe().findings if one.subject == subject)
    return found


@pytest.fixture(autouse=True)
def kvm(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A computer where all is well, made of files: its /dev/kvm."""
    device, conf, rom = (tmp_path / name for name in ("kvm", "qemu.conf", "pxe-virtio.rom"))
    for file in (device, conf, rom):
        file.touch()
    device.chmod(0o666)
    monkeypatch.setattr(inspection, "KVM", device)
    monkeypatch.setattr(inspection, "QEMU_CONF", conf)
    monkeypatch.setattr(inspection, "ROMS", (ROMS[0] / "nowhere", rom))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.delenv("LAB_LIBVIRT_URI", raising=False)
    answer(monkeypatch, lambda _uri: Daemon())
    return device


@pytest.fixture(autouse=True)
def programs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The folder that PATH names."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in TOOLS:
        (folder / name).touch(mode=0o755)
    monkeypatch.setenv("PATH", str(folder))
    return folder


@pytest.fixture(autouse=True)
def trial(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Probe]:
    """Gives KVM's probe another text."""
    script = tmp_path / "probe.py"
    script.touch()
    monkeypatch.setattr(inspection, "PROBE", script)
    ask = inspection.kvm_verdict
    ask.cache_clear()

    def write(text: str) -> None:
        script.write_text(text)

    yield write
    ask.cache_clear()


@pytest.fixture
def only_here(monkeypatch: pytest.MonkeyPatch, programs: Path) -> Path:
    """Nothing else is looked through: some computers have all programs in root's folders."""
    monkeypatch.setattr(inspection, "search_path", lambda: str(programs))
    return programs


# the whole


def test_where_all_is_well_the_engine_is_told_by_its_versions() -> None:
    found = probe()
    assert found.usable
    assert found.engine == "QEMU 7.2.22, libvirt qemu:///system"
    assert [one.ok for one in found.findings] == [True] * 5
    assert found.missing == MISSING


def without_binding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "libvirt", None)


def without_daemon(monkeypatch: pytest.MonkeyPatch) -> None:
    answer(monkeypatch, refuse)


def without_qemu(monkeypatch: pytest.MonkeyPatch) -> None:
    answer(monkeypatch, lambda _uri: Daemon(version=None))


@pytest.mark.parametrize(
    ("lack", "evidence"),
    [
        (without_binding, "libvirt"),
        (without_daemon, "Failed to connect socket of qemu:///system"),
        (without_qemu, "Cannot find suitable emulator"),
    ],
)
def test_without_libvirt_one_still_hears_what_else_is_amiss(
    monkeypatch: pytest.MonkeyPatch,
    only_here: Path,
    lack: Callable[[pytest.MonkeyPatch], None],
    evidence: str,
) -> None:
    lack(monkeypatch)
    (only_here / "qemu-img").unlink()
    found = probe()
    assert not found.usable
    assert found.engine == "libvirt"
    wrong = {one.subject: one for one in found.findings if one.ok is False}
    assert set(wrong) == {"libvirt", "programs for machines"}
    assert evidence in wrong["libvirt"].evidence
    assert "./quickstart --backend libvirt" in wrong["libvirt"].fix
    assert {"KVM", "/dev/kvm's owner", "files of machines"} <= {one.subject for one in found.findings}


# KVM


def test_a_probe_that_ends_well_means_speed() -> None:
    assert inspection.kvm_verdict() == (True, "")
    assert finding("KVM").evidence == "runs ordinary guests at speed"


@pytest.mark.parametrize("status", [1, 2])
def test_a_probe_that_does_not_says_why_and_the_lab_is_usable_all_the_same(trial: Probe, status: int) -> None:
    trial(f"import sys; sys.stderr.write('so and so\\n'); sys.exit({status})")
    assert inspection.kvm_verdict() == (False, "so and so")
    found = finding("KVM")
    assert (found.ok, found.evidence) == (True, "not usable (so and so): slow, emulated processors")


def test_the_probe_is_run_once_a_process(trial: Probe, tmp_path: Path) -> None:
    trial(f"open({str(tmp_path / 'tried')!r}, 'x')")
    assert [inspection.kvm_verdict()[0] for _ in range(2)] == [True, True]
    assert (tmp_path / "tried").exists()


def test_nothing_is_tried_where_there_is_no_device(trial: Probe, kvm: Path, tmp_path: Path) -> None:
    trial(f"open({str(tmp_path / 'tried')!r}, 'w')")
    kvm.unlink()
    assert inspection.kvm_verdict() == (False, "there is no /dev/kvm")
    assert finding("/dev/kvm's owner").evidence == "it does not exist"
    assert not (tmp_path / "tried").exists()


def test_the_real_probe_says_why_when_there_is_nothing_to_open(trial: Probe) -> None:
    source = (Path(inspection.__file__).parent / "programs" / "kvm_probe.py").read_text()
    trial(source.replace('"/dev/kvm", os', '"/dev/null/kvm", os'))
    assert inspection.kvm_verdict() == (False, "/dev/kvm: Not a directory")


# the device's owner


def call_group(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr("grp.getgrgid", lambda _number: (name,))


@pytest.mark.parametrize(
    ("mode", "group", "good"),
    [
        (0o666, "tape", True),
        (0o660, "kvm", True),
        (0o640, "kvm", False),
        (0o660, "tape", False),
        (0o600, "kvm", False),
    ],
)
def test_machines_may_open_what_is_everybodys_or_the_groups(
    monkeypatch: pytest.MonkeyPatch, kvm: Path, mode: int, group: str, good: bool
) -> None:
    call_group(monkeypatch, group)
    kvm.chmod(mode)
    found = finding("/dev/kvm's owner")
    assert found.ok is good
    assert found.evidence.endswith(f" {kvm.owner()}:{group}")
    assert "chgrp kvm" in found.fix


def test_the_evidence_names_whoever_owns_it(monkeypatch: pytest.MonkeyPatch) -> None:
    call_group(monkeypatch, "kvm")
    monkeypatch.setattr("pwd.getpwuid", lambda _number: ("somebody",))
    assert finding("/dev/kvm's owner").evidence == "-rw-rw-rw- somebody:kvm"


def test_an_owner_without_a_name_is_told_by_number(monkeypatch: pytest.MonkeyPatch, kvm: Path) -> None:
    def nobody(_number: int) -> None:
        raise KeyError

    monkeypatch.setattr("pwd.getpwuid", nobody)
    monkeypatch.setattr("grp.getgrgid", nobody)
    info = kvm.stat()
    assert finding("/dev/kvm's owner").evidence == f"-rw-rw-rw- {info.st_uid}:{info.st_gid}"


ME = pwd.getpwuid(os.getuid()).pw_name
ELSE = os.getuid() + 1


@pytest.mark.parametrize(
    ("line", "mode", "good"),
    [
        (f'user = "{ME}"', 0o600, True),
        (f"  user='{ME}'   # by name", 0o600, True),
        (f'user = "+{os.getuid()}"', 0o600, True),
        (f'user = "{os.getuid()}"', 0o600, True),
        (f'user = "{ME}"', 0o400, False),
        (f'user = "+{ELSE}"', 0o600, False),
        (f'#user = "{ME}"', 0o600, False),
        (f'swtpm_user = "{ME}"', 0o600, False),
        (f'user_ns = "{ME}"', 0o600, False),
        ('user = "no such user"', 0o600, False),
    ],
)
def test_machines_that_run_as_its_owner_may_open_it(
    monkeypatch: pytest.MonkeyPatch, kvm: Path, tmp_path: Path, line: str, mode: int, good: bool
) -> None:
    call_group(monkeypatch, "tape")
    kvm.chmod(mode)
    (tmp_path / "qemu.conf").write_text(f'# who runs them\ngroup = "kvm"\n{line}\n')
    assert finding("/dev/kvm's owner").ok is good


@pytest.mark.skipif(os.getuid() != 0, reason="only root gives files away")
def test_machines_that_run_as_root_have_no_other_rights(
    monkeypatch: pytest.MonkeyPatch, kvm: Path, tmp_path: Path
) -> None:
    call_group(monkeypatch, "tape")
    kvm.chmod(0o600)
    os.chown(kvm, ELSE, -1)
    (tmp_path / "qemu.conf").write_text('user = "root"\n')
    assert finding("/dev/kvm's owner").ok is False
    os.chown(kvm, 0, -1)
    assert finding("/dev/kvm's owner").ok is True


def test_whom_machines_run_as_is_told_where_it_was_chosen(tmp_path: Path) -> None:
    assert "machines run as" not in finding("/dev/kvm's owner").evidence
    (tmp_path / "qemu.conf").write_text('user = "root"\n')
    assert finding("/dev/kvm's owner").evidence.endswith(", machines run as root")


def test_a_configuration_that_cannot_be_read_chooses_nobody(kvm: Path, tmp_path: Path) -> None:
    (tmp_path / "qemu.conf").unlink()
    kvm.chmod(0o600)
    assert finding("/dev/kvm's owner").ok is False


@pytest.mark.parametrize(("allowed", "told"), [(True, "and may open it"), (False, "may not (sudo usermod")])
def test_a_daemon_of_ours_opens_what_we_may(
    monkeypatch: pytest.MonkeyPatch, kvm: Path, allowed: bool, told: str
) -> None:
    monkeypatch.setenv("LAB_LIBVIRT_URI", engine.SESSION)
    monkeypatch.setattr(os, "access", lambda path, _mode: allowed or path != kvm)  # root may always
    found = finding("/dev/kvm's owner")
    assert found.ok is True
    assert told in found.evidence


# programs


def test_programs_that_path_names_are_all_there() -> None:
    found = finding("programs for machines")
    assert (found.ok, found.evidence) == (True, "all installed")


@pytest.mark.parametrize("tool", TOOLS)
def test_a_program_that_is_missing_is_told_by_its_package(only_here: Path, tool: str) -> None:
    (only_here / tool).unlink()
    found = finding("programs for machines")
    assert found.ok is False
    assert found.fix == f"sudo apt-get install {TOOLS[tool]}"


def test_a_package_is_named_once(only_here: Path) -> None:
    for tool in TOOLS:
        (only_here / tool).unlink()
    words = finding("programs for machines").fix.split()[3:]
    assert len(words) == len(set(words))
    assert set(words) == set(TOOLS.values())


def test_what_may_not_be_run_is_not_there(monkeypatch: pytest.MonkeyPatch, only_here: Path) -> None:
    (only_here / "mmdebstrap").chmod(0o644)
    assert finding("programs for machines").evidence == "missing: mmdebstrap"


def test_who_is_not_root_needs_a_map_of_users(monkeypatch: pytest.MonkeyPatch, only_here: Path) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert finding("programs for machines").evidence == "missing: uidmap"
    (only_here / "newuidmap").touch(mode=0o755)
    assert finding("programs for machines").ok is True


def test_firmware_is_missing_when_it_is_in_none_of_its_places(tmp_path: Path) -> None:
    (tmp_path / "pxe-virtio.rom").unlink()
    assert finding("programs for machines").fix == "sudo apt-get install ipxe-qemu"


# whose machines


@pytest.mark.parametrize(
    ("uri", "user", "good", "told"),
    [
        (engine.SYSTEM, 0, True, f"in {ROOT}"),
        (engine.SYSTEM, 1000, False, f"{ROOT} belongs to root, and we are not"),
        (engine.SESSION, 1000, True, "each lab has a switch of its own"),
        ("", 1000, True, "each lab has a switch of its own"),
        ("", 0, True, f"in {ROOT}"),
    ],
)
def test_roots_machines_are_roots_and_mine_are_mine(
    monkeypatch: pytest.MonkeyPatch, uri: str, user: int, good: bool, told: str
) -> None:
    monkeypatch.setenv("LAB_LIBVIRT_URI", uri)
    monkeypatch.setattr(os, "geteuid", lambda: user)
    found = finding("files of machines")
    assert found.ok is good
    assert found.evidence.endswith(told)
