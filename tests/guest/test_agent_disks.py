"""The boot agent's disk layouts: what is run in which order, what fstab gets, where a failure stops it."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

AGENT = Path(__file__).parents[2] / "lab/guest/files/initramfs/lib/agent/disks.sh"
PROGRAMS = ("parted", "mkswap", "mkfs.ext4", "mount", "mount_memory_root")
FAKE = """#!/bin/sh
echo "${0##*/} $*" >>"$CALLS"
case "${0##*/} $*" in $REFUSED) echo "refused"; exit 1 ;; esac
"""
LAYOUT = (
    "select /dev/vda,name 2 boot,name 3 swap,name 4 root,mkfs 2 ext4 -L boot,mkfs 3 swap,mkfs 4 ext4 -L root,"
    "fstab 4 / ext4 defaults:noatime 0 0,fstab 2 /boot ext4 defaults 0 0,fstab 3 none swap defaults 0 0"
)
# What the rest of the agent does, and devices that need no kernel.
SCRIPT = """. {kernel}; . {agent}; NEWROOT={folder}/new; FSTAB={folder}/fstab
MODULES={folder}/modules; DRIVERS={folder}/drivers
say() {{ printf '%s\\n' "$*"; }}
make_memory_root() {{ mount_memory_root; }}
await_block() {{ [ -n "$PRESENT" ]; }}
make_root; code=$?
echo "code $code disk_root=$disk_root"
"""


@dataclass(frozen=True)
class Run:
    code: int
    calls: list[str]
    fstab: list[str]
    console: str
    disk_root: bool


def run(
    folder: Path,
    layout: str,
    *,
    refused: str = "-",
    drivers: str = "ext4",
    builtin: str = "",
    present: str = "1",
    chassis: str = "1",
) -> Run:
    """Runs make_root with programs that only say that they were called."""
    (folder / "bin").mkdir()
    (folder / "calls").touch()
    for name in PROGRAMS:
        (folder / "bin" / name).write_text(FAKE)
        (folder / "bin" / name).chmod(0o755)
    environ = {"PATH": f"{folder}/bin:/usr/bin:/bin", "CALLS": str(folder / "calls"), "REFUSED": refused}
    (folder / "drivers").write_text("".join(f"{name}\n" for name in drivers.split()))
    (folder / "modules/6.1").mkdir(parents=True)
    (folder / "modules/6.1/modules.builtin").write_text(builtin)
    environ |= {"WWFS": layout, "PRESENT": present, "in_chassis": chassis}
    script = SCRIPT.format(kernel=AGENT.with_name("kernel.sh"), agent=AGENT, folder=folder).replace(
        "/run/task.log", f"{folder}/task.log"
    )
    text = AGENT.read_text().replace("/run/task.log", f"{folder}/task.log")
    (folder / "disks.sh").write_text(text)
    script = script.replace(str(AGENT), str(folder / "disks.sh"))
    done = subprocess.run(
        ["/bin/sh", "-uc", script], env=environ, capture_output=True, text=True, timeout=20, check=True
    )
    last = done.stdout.splitlines()[-1].split()
    return Run(
        int(last[1]),
        (folder / "calls").read_text().splitlines(),
        (folder / "fstab").read_text().splitlines(),
        done.stdout,
        last[2] == "disk_root=1",
    )


def test_without_a_layout_the_root_is_in_memory(tmp_path: Path) -> None:
    done = run(tmp_path, "")
    assert (done.code, done.calls, done.fstab, done.disk_root) == (0, ["mount_memory_root "], [], False)


def test_parted_runs_once_then_all_is_formatted_and_mounted(tmp_path: Path) -> None:
    done = run(tmp_path, LAYOUT)
    new = tmp_path / "new"
    assert done.calls == [
        "parted --align=optimal --script /dev/vda name 2 boot name 3 swap name 4 root",
        "mkfs.ext4 -F -q -L boot /dev/vda2",
        "mkswap /dev/vda3",
        "mkfs.ext4 -F -q -L root /dev/vda4",
        f"mount -t ext4 -o defaults,noatime /dev/vda4 {new}",
        f"mount -t ext4 -o defaults /dev/vda2 {new}/boot",
    ]
    assert done.fstab == [
        "/dev/vda4 / ext4 defaults,noatime 0 0",
        "/dev/vda2 /boot ext4 defaults 0 0",
        "/dev/vda3 none swap defaults 0 0",
    ]
    assert (done.code, done.disk_root) == (0, True)


def test_a_disk_that_does_not_appear_stops_it_before_anything(tmp_path: Path) -> None:
    done = run(tmp_path, LAYOUT, present="")
    assert (done.code, done.calls, done.fstab, done.disk_root) == (2, [], [], False)
    assert "/dev/vda not ready, retrying....." in done.console
    assert "ERROR" in done.console


def test_a_missing_driver_leaves_the_line_of_fstab_and_no_root(tmp_path: Path) -> None:
    done = run(tmp_path, LAYOUT, drivers="virtio_blk")
    assert done.calls[-1].startswith("mkfs.ext4 -F -q -L root")
    assert done.fstab == ["/dev/vda4 / ext4 defaults,noatime 0 0"]
    assert (done.code, done.disk_root) == (2, False)
    assert "No such device" in done.console


def test_a_driver_built_into_the_kernel_is_there(tmp_path: Path) -> None:
    done = run(tmp_path, LAYOUT, drivers="virtio_blk", builtin="kernel/fs/ext4/ext4.ko\n")
    assert (done.code, done.disk_root) == (0, True)


def test_on_metal_the_kernel_itself_is_asked(tmp_path: Path) -> None:
    done = run(tmp_path, LAYOUT, drivers="", chassis="", refused="mount *")
    assert done.calls[-1].startswith("mount -t ext4")
    assert (done.code, done.disk_root) == (2, False)


def test_what_fails_is_the_last_thing_tried(tmp_path: Path) -> None:
    done = run(tmp_path, LAYOUT, refused="parted *")
    assert len(done.calls) == 1
    assert done.code == 2
    assert "refused" in done.console


def test_without_a_root_of_its_own_a_layout_gets_one_in_memory_first(tmp_path: Path) -> None:
    done = run(tmp_path, "select /dev/vda,mkfs 5 ext4,fstab 5 /tmp ext4 defaults 0 0")
    assert done.calls[0] == "mount_memory_root "
    assert done.calls[-1] == f"mount -t ext4 -o defaults /dev/vda5 {tmp_path}/new/tmp"
    assert (done.code, done.disk_root) == (0, False)


def test_parted_commands_alone_are_run_at_the_end(tmp_path: Path) -> None:
    done = run(tmp_path, "select /dev/vda,mklabel gpt,mkpart a ext4 3MiB 100%")
    assert done.calls[1:] == ["parted --align=optimal --script /dev/vda mklabel gpt mkpart a ext4 3MiB 100%"]


def test_partitions_of_nvme_and_labels(tmp_path: Path) -> None:
    done = run(
        tmp_path, "select /dev/nvme0n1,mkfs p3 ext4,fstab p3 / ext4 defaults 0 0,fstab LABEL=x /x ext4 ro 0 0"
    )
    assert done.calls[0] == "mkfs.ext4 -F -q /dev/nvme0n1p3"
    assert done.fstab == ["/dev/nvme0n1p3 / ext4 defaults 0 0", "LABEL=x /x ext4 ro 0 0"]


def test_a_type_nobody_knows_is_left_alone(tmp_path: Path) -> None:
    done = run(tmp_path, "select /dev/vda,mkfs 2 btrfs")
    assert "SKIPPED" in done.console
    assert done.calls == ["mount_memory_root "]
