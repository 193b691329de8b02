"""The chassis's boot ROM: what it loads by a DHCP answer and a boot entry, and what it says of bad ones."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

CHASSIS = Path(__file__).parents[2] / "lab/guest/files/chassis"
MAC = "52:54:00:ab:cd:0e"
TFTP, HTTP = "tftp/172.16.0.1/", "http/172.16.0.1/"
PLACE = f"{TFTP}warewulf/nodeimage/"
LOADER = f"{PLACE}lpxelinux.0"
PXE, THERE = "warewulf/nodeimage/lpxelinux.0", "tftp://172.16.0.1/warewulf/nodeimage"
URL = "http://172.16.0.1/e"
ENTRY = f"{PLACE}pxelinux.cfg/01-52-54-00-ab-cd-0e"
# Answers as a DHCP server gives: to the firmware, then to iPXE, which sends its user class.
ROM = """
set -u
SCRATCH=$PWD/scratch; mkdir -p $SCRATCH
. $CHASSIS/pxe_rom.sh
rom_card=eth0 rom_mac=$MAC rom_cmdline=
rom_dhcp() {
    lease_ip=172.16.1.1 lease_mask=255.255.0.0 lease_server=172.16.0.1 lease_file=$FILE
    case "$*" in *69505845*) [ -n "$IPXE" ] || return 1; lease_file=$IPXE ;; esac
    [ -n "$lease_file" ]
}
stage() { printf 'stage %s|%s\\n' "$1" "${2:-}"; }
rom_fetch() {
    case $1 in http://*) rom_why="404 Not Found" ;; *) rom_why="file not found" ;; esac
    cp "${1%%:*}/${1#*://}" "$2" 2>/dev/null
}
rom_once kernel initrds; echo "status $?"
echo "cmdline $rom_cmdline"
"""


@dataclass(frozen=True)
class Booted:
    """What the ROM said, the last stage with its detail, and what it loaded."""

    said: str
    stage: str
    cmdline: str
    kernel: str
    initrds: tuple[str, ...]


def boot(folder: Path, files: dict[str, str], *, loader: str, ipxe: str = "") -> Booted:
    """One attempt to boot, from servers that have these files."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    environ = {"CHASSIS": str(CHASSIS), "MAC": MAC, "FILE": loader, "IPXE": ipxe}
    done = subprocess.run(
        ["sh", "-c", ROM], cwd=folder, env=os.environ | environ, capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    loaded = "status 0" in lines
    parts = tuple(path.read_text() for path in sorted((folder / "initrds").glob("*"))) if loaded else ()
    return Booted(
        done.stdout.replace("\r", ""),
        [line for line in lines if line.startswith("stage ")][-1].removeprefix("stage "),
        lines[-1].removeprefix("cmdline").strip(),
        (folder / "kernel").read_text() if loaded else "",
        parts,
    )


RELEASE = {f"{HTTP}site/kernel": "kernel", f"{HTTP}site/image": "image", f"{HTTP}site/agent": "agent"}
UNDIONLY = {f"{TFTP}undionly.kpxe": "an iPXE"}
SCRIPT = """#!ipxe
# comment
set base http://172.16.0.1/site
echo Now booting
kernel ${base}/kernel rw quiet
initrd ${base}/image
initrd --name agent http://${next-server}/site/agent
boot
"""
CONFIG = """# comment
SERIAL 0 115200
PROMPT 0
DEFAULT compute
LABEL other
    KERNEL other
LABEL compute
    KERNEL http://172.16.0.1/site/kernel
    INITRD http://172.16.0.1/site/image,http://172.16.0.1/site/agent
    APPEND rw quiet
    IPAPPEND 3
"""
PXELINUX = {LOADER: "PXELINUX 6.04 lwIP", f"{PLACE}ldlinux.c32": "module", **RELEASE}


def test_ipxe_loads_several_initial_file_systems_by_its_script(tmp_path: Path) -> None:
    files = {**RELEASE, **UNDIONLY, f"{HTTP}entry": SCRIPT}
    seen = boot(tmp_path, files, loader="undionly.kpxe", ipxe="http://172.16.0.1/entry")
    assert (seen.kernel, seen.initrds, seen.stage) == ("kernel", ("image", "agent"), "bootstrap|")
    assert seen.cmdline == "rw quiet"
    assert "Now booting\n" in seen.said


def test_pxelinux_loads_what_the_configuration_of_its_card_names(tmp_path: Path) -> None:
    seen = boot(tmp_path, {**PXELINUX, ENTRY: CONFIG}, loader=PXE)
    assert (seen.kernel, seen.initrds, seen.stage) == ("kernel", ("image", "agent"), "bootstrap|")
    assert seen.cmdline == (
        "BOOT_IMAGE=http://172.16.0.1/site/kernel rw quiet ip=172.16.1.1:172.16.0.1::255.255.0.0 "
        "BOOTIF=01-52-54-00-ab-cd-0e"
    )


@pytest.mark.parametrize("name", ["AC100101", "AC1001", "default"])
def test_pxelinux_looks_by_card_then_by_address_then_for_the_default(tmp_path: Path, name: str) -> None:
    config = "default a\nlabel a\n  linux k\n  append initrd=/i ro\n"
    files = {**PXELINUX, f"{PLACE}pxelinux.cfg/{name}": config, f"{PLACE}k": "near", f"{TFTP}i": "far"}
    seen = boot(tmp_path, files, loader=PXE)
    assert (seen.kernel, seen.initrds) == ("near", ("far",))
    assert f"pxelinux.cfg/{name}\n" in seen.said


def test_ipxe_goes_on_as_pxelinux_where_dhcp_names_that(tmp_path: Path) -> None:
    """A virtual machine's firmware is an iPXE, so it gets to PXELINUX in this way only."""
    files = {**PXELINUX, **UNDIONLY, ENTRY: CONFIG}
    seen = boot(tmp_path, files, loader="undionly.kpxe", ipxe=PXE)
    assert seen.initrds == ("image", "agent")


BROKEN = [
    ({}, "x.kpxe", "", "pxe|could not load x.kpxe from 172.16.0.1: file not found"),
    (UNDIONLY, "", "", f"pxe|no DHCP answer for {MAC}: registered?"),
    (UNDIONLY, "undionly.kpxe", "", f"pxe|no DHCP answer for {MAC}"),
    (
        UNDIONLY,
        "undionly.kpxe",
        f"http://172.16.0.1/WW/ipxe/cfg/{MAC}",
        f"pxe|no boot script for {MAC}: bootstrap assigned?",
    ),
    (
        UNDIONLY,
        "undionly.kpxe",
        URL,
        f"pxe|could not load {URL}: 404 Not Found",
    ),
    *(
        ({**UNDIONLY, **RELEASE, f"{HTTP}e": script}, "undionly.kpxe", URL, f"pxe|{told}")
        for script, told in {
            "kernel x\nboot\n": f"{URL} is no boot script: its first line is not #!ipxe",
            "#!ipxe\nkernl x\nboot\n": f"{URL}: kernl: command not found",
            "#!ipxe\nkernel x\n": f"{URL}: it ends without the command boot",
            "#!ipxe\nboot\n": "the boot entry names no kernel",
            "#!ipxe\nexit 1\n": "told to boot from disk, but this chassis has none",
            "#!ipxe\nkernel http://172.16.0.1/site/kernel\nboot\n": "the boot entry names no initrd",
        }.items()
    ),
    (
        {**UNDIONLY, f"{HTTP}e": SCRIPT},
        "undionly.kpxe",
        URL,
        "bootstrap|kernel http://172.16.0.1/site/kernel: 404 Not Found",
    ),
    (
        {LOADER: "PXELINUX 6.04"},
        PXE,
        "",
        f"pxe|failed to load ldlinux.c32 from {THERE}: file not found",
    ),
    (
        PXELINUX,
        PXE,
        "",
        f"pxe|no configuration for {MAC} in {THERE}/pxelinux.cfg",
    ),
    (
        {**PXELINUX, ENTRY: "default b\nlabel a\nkernel k\n"},
        PXE,
        "",
        f"pxe|{THERE}/pxelinux.cfg/01-52-54-00-ab-cd-0e names no kernel for the label b",
    ),
    (
        {**PXELINUX, LOADER: "PXELINUX 6.04 PXE", ENTRY: CONFIG},
        PXE,
        "",
        f"pxe|{THERE}/pxelinux.cfg/01-52-54-00-ab-cd-0e: only lpxelinux.0 loads from http://",
    ),
]


@pytest.mark.parametrize(("files", "loader", "ipxe", "stage"), BROKEN)
def test_a_broken_entry_is_told_by_stage_and_console(
    tmp_path: Path, files: dict[str, str], loader: str, ipxe: str, stage: str
) -> None:
    seen = boot(tmp_path, files, loader=loader, ipxe=ipxe)
    assert seen.stage == stage
    assert stage.partition("|")[2] in seen.said.replace(f"stage {stage}", "")
    assert "status 1\n" in seen.said


# What is unpacked, and into how much memory


def functions(*names: str) -> str:
    """Functions of the program `boot`, which itself would begin to boot."""
    text = (CHASSIS / "boot").read_text()
    return "\n".join(
        f"{name}() {text.split(f'{chr(10)}{name}() ', 1)[1].split(f'{chr(10)}}}', 1)[0]}\n}}"
        for name in names
    )


@pytest.mark.parametrize("packer", ["zstd -qc", "gzip -c", "cat"])
def test_an_archive_is_unpacked_however_a_kernel_could(tmp_path: Path, packer: str) -> None:
    script = f'{functions("plain")}\nprintf "070701 archive" >plain\n{packer} plain >packed\nplain packed'
    done = subprocess.run(["sh", "-euc", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == "070701 archive"


@pytest.mark.parametrize(
    ("cmdline", "size"),
    [("ro initrd=initfs.gz", "512"), ("rw root=/dev/ram quiet", "1024"), ("ro noroot=1", "512")],
)
def test_a_ramfs_takes_all_memory_and_a_tmpfs_half(cmdline: str, size: str) -> None:
    script = f'LAB_MEMORY=1024 rom_cmdline="{cmdline}"\n{functions("rootfs_size")}\nrootfs_size'
    done = subprocess.run(["sh", "-euc", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == size
