"""What a chassis reads from a kernel's file, and what the boot agent counts as loaded there."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.guest.kernel_image import kernel_file

FILES = Path(__file__).parents[2] / "lab/guest/files"
BANNER = "6.12.7+deb13-amd64 (kernel@example.org) #1 SMP PREEMPT_DYNAMIC Debian 6.12.7-1 (2026-01-02)"


def sh(script: str) -> subprocess.CompletedProcess[str]:
    """Runs a shell script that stops at the first variable without a value."""
    return subprocess.run(["/bin/sh", "-uc", script], capture_output=True, text=True, timeout=20, check=False)


def banner_of(path: Path) -> subprocess.CompletedProcess[str]:
    return sh(f". {FILES}/chassis/kernel.sh; kernel_banner {path}")


def test_a_kernel_says_what_it_is(tmp_path: Path) -> None:
    path = tmp_path / "kernel"
    path.write_bytes(kernel_file(BANNER))
    done = banner_of(path)
    assert (done.returncode, done.stdout) == (0, BANNER + "\n")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"not a kernel",
        kernel_file(BANNER, magic=b"none"),
        kernel_file(""),
        kernel_file("6.12"),
    ],
)
def test_other_files_say_nothing(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "kernel"
    path.write_bytes(data)
    done = banner_of(path)
    assert done.returncode != 0
    assert done.stdout == ""


def agent(folder: Path, script: str) -> subprocess.CompletedProcess[str]:
    """Runs a script with the boot agent's kernel side, in a chassis whose bootstrap carries two modules."""
    place = folder / "modules" / "6.12.7"
    place.mkdir(parents=True, exist_ok=True)
    (place / "modules.dep").write_text(
        "kernel/drivers/block/virtio_blk.ko.xz:\nkernel/drivers/usb/host/xhci-hcd.ko: kernel/usb/y.ko\n"
    )
    (place / "modules.builtin").write_text("kernel/fs/fat/fat.ko\n")
    setting = f"in_chassis=1 MODULES={folder}/modules DRIVERS={folder}/drivers"
    return sh(f". {FILES}/initramfs/lib/agent/kernel.sh; {setting}; {script}")


@pytest.mark.parametrize("name", ["virtio_blk", "virtio-blk", "xhci-hcd", "xhci_hcd"])
def test_a_carried_driver_is_loaded_under_either_spelling(tmp_path: Path, name: str) -> None:
    assert agent(tmp_path, f"driver_loaded {name}").returncode != 0
    assert agent(tmp_path, f"load_driver {name} && driver_loaded {name}").returncode == 0
    assert (tmp_path / "drivers").read_text() == name.replace("-", "_") + "\n"


@pytest.mark.parametrize("name", ["ext4", "virtio", "blk"])
def test_what_the_bootstrap_lacks_cannot_be_loaded(tmp_path: Path, name: str) -> None:
    assert agent(tmp_path, f"load_driver {name}").returncode != 0
    assert agent(tmp_path, f"driver_loaded {name}").returncode != 0


def test_what_is_built_in_is_there_without_loading(tmp_path: Path) -> None:
    assert agent(tmp_path, "driver_loaded fat && load_driver fat").returncode == 0
    assert not (tmp_path / "drivers").exists()
