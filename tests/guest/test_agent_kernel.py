"""The boot agent's drivers in a virtual machine: in which order they are loaded."""

from __future__ import annotations

import subprocess
from pathlib import Path

AGENT = Path(__file__).parents[2] / "lab/guest/files/initramfs/lib/agent/kernel.sh"
SOFTDEP = """\
# Soft dependencies extracted from modules themselves.
softdep ext4 pre: crypto-crc32c
softdep nfs_acl pre: a b post: c
softdep ext4_other pre: other
"""
SCRIPT = '. {agent}; MODULES={folder}; in_chassis=""; modprobe() {{ echo "$1"; }}; load_driver {name}'


def loaded(folder: Path, name: str) -> list[str]:
    """What modprobe was asked for, in order."""
    script = SCRIPT.format(agent=AGENT, folder=folder, name=name)
    return subprocess.run(["sh", "-euc", script], capture_output=True, text=True, check=True).stdout.split()


def test_what_a_module_wants_first_is_loaded_first(tmp_path: Path) -> None:
    (tmp_path / "6.12").mkdir()
    (tmp_path / "6.12/modules.softdep").write_text(SOFTDEP)
    assert loaded(tmp_path, "ext4") == ["crypto-crc32c", "ext4"]
    assert loaded(tmp_path, "nfs-acl") == ["a", "b", "nfs-acl"]
    assert loaded(tmp_path, "virtio_blk") == ["virtio_blk"]


def test_a_kernel_without_soft_dependencies(tmp_path: Path) -> None:
    assert loaded(tmp_path, "ext4") == ["ext4"]
