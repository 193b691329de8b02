"""wwbootstrap and `wwsh bootstrap` (warewulf3.md, sections 7 and 11)."""

from __future__ import annotations

import gzip
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lab.guest.archive import cpio
from lab.guest.system import System
from lab.guest.warewulf import drivers, kmodules
from lab.guest.warewulf.conf import Config

if TYPE_CHECKING:
    from tests.guest.conftest import Sms, Terminal

    Start = Callable[..., Terminal]

KVER = "6.12.43+deb13-amd64"
DEP = """\
kernel/drivers/net/e1000.ko.xz:
kernel/drivers/net/veth.ko.xz: kernel/net/core/pp.ko.xz
kernel/net/core/pp.ko.xz: kernel/lib/deep.ko.xz
kernel/lib/deep.ko.xz:
kernel/net/netfilter/nfnetlink.ko.xz:
kernel/fs/ext4/ext4.ko.xz: kernel/fs/mb-cache.ko.xz
kernel/fs/mb-cache.ko.xz:
kernel/drivers/ipmi/ipmi_si.ko.xz:
"""
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="programs in processes of their own write as root")


@pytest.fixture
def kernel(sms: Sms) -> Sms:
    """A kernel with eight modules, reached through a link, and a base tree."""
    sms.write(f"/boot/vmlinuz-{KVER}", "the kernel")
    real = "/lib/modules/real"
    for line in DEP.splitlines():
        sms.write(f"{real}/{line.split(':')[0]}", f"module {line}")
    sms.write(f"{real}/modules.dep", DEP)
    sms.write(f"{real}/modules.alias", "# head\nalias pci:v8086* e1000\nalias fs-ext4 ext4\n")
    sms.write(f"{real}/modules.order", "kernel/fs/ext4/ext4.ko\nkernel/drivers/net/e1000.ko\n")
    sms.path(f"/lib/modules/{KVER}").symlink_to("real")
    sms.write("/lib/firmware/bnx2/one.fw", "fw")
    sms.write("/lib/firmware/other/two.fw", "fw")
    sms.write("/usr/lib/rackling/initramfs/init", "#!/bin/sh\n", 0o755)
    sms.write("/usr/lib/rackling/initramfs/lib/agent/a.sh", "agent")
    sms.path("/usr/lib/rackling/initramfs/bin").mkdir()
    (sms.path("/usr/lib/rackling/initramfs/bin") / "sh").symlink_to("/bin/busybox")
    sms.write(
        "/etc/warewulf/bootstrap.conf",
        "drivers += kernel/drivers/net/, ext4, ipmi-si\nfirmware += bnx2/*\nmodprobe += sd_mod, ext4\n",
    )
    return sms


def initfs(sms: Sms) -> dict[str, bytes]:
    """What a kernel would unpack, by our own reading of the joined archives."""
    (path,) = sms.path("/srv/warewulf/bootstrap/x86_64").glob("*/initfs.gz")
    return {name.decode(): data for name, data in cpio.read(gzip.decompress(path.read_bytes())).items()}


def make(sms: Sms, *words: str) -> str:
    done = sms.run("wwbootstrap", *(words or (KVER,)))
    assert done.status == 0, done.err
    return done.out


def test_the_output_is_warewulfs(kernel: Sms) -> None:
    assert make(kernel).splitlines() == [
        "Number of drivers included in bootstrap: 7",
        "Number of firmware images included in bootstrap: 1",
        "Building and compressing bootstrap",
        f"Integrating the Warewulf bootstrap: {KVER}",
        "Including capability: provision-files",
        "Including capability: provision-vnfs",
        "Including capability: setup-filesystems",
        "Including capability: transport-http",
        "Compressing the initramfs",
        "Locating the kernel object",
        f"Bootstrap image '{KVER}' is ready",
        "Done.",
    ]
    listed = kernel.must("bootstrap", "list").splitlines()
    assert listed[0] == "BOOTSTRAP NAME            SIZE (M)      ARCH"
    assert listed[1].split() == [KVER, "0.0", "x86_64"]


def test_modules_come_with_what_they_need_and_nothing_else(kernel: Sms) -> None:
    make(kernel)
    names = initfs(kernel)
    folder = f"lib/modules/{KVER}/"
    modules = sorted(name[len(folder) :] for name in names if name.endswith(".ko.xz"))
    assert modules == [
        "kernel/drivers/ipmi/ipmi_si.ko.xz",
        "kernel/drivers/net/e1000.ko.xz",
        "kernel/drivers/net/veth.ko.xz",
        "kernel/fs/ext4/ext4.ko.xz",
        "kernel/fs/mb-cache.ko.xz",
        "kernel/lib/deep.ko.xz",
        "kernel/net/core/pp.ko.xz",
    ]
    assert "kernel/net/netfilter/nfnetlink.ko.xz" not in modules
    assert names["init"] == b"#!/bin/sh\n"
    assert names["bin/sh"] == b"/bin/busybox"
    assert names["etc/warewulf/modprobe"] == b"sd_mod\next4\n"
    assert names["etc/warewulf/kernel"] == f"{KVER}\n".encode()
    assert names["lib/firmware/bnx2/one.fw"] == b"fw"
    assert "lib/firmware/other/two.fw" not in names
    assert b"nfnetlink" not in names[f"{folder}modules.dep"]


def test_sec_3_a_line_more_brings_the_network_filters(kernel: Sms) -> None:
    make(kernel)
    path = kernel.path("/etc/warewulf/bootstrap.conf")
    path.write_text(path.read_text() + "drivers += kernel/net/\n")
    make(kernel)
    assert f"lib/modules/{KVER}/kernel/net/netfilter/nfnetlink.ko.xz" in initfs(kernel)


def test_cpio_and_busybox_read_the_joined_archives(kernel: Sms, tmp_path: Path) -> None:
    make(kernel)
    (path,) = kernel.path("/srv/warewulf/bootstrap/x86_64").glob("*/initfs.gz")
    data = subprocess.run(["gzip", "-dc", str(path)], capture_output=True, check=True).stdout
    listed = subprocess.run(["cpio", "-t", "--quiet"], input=data, capture_output=True, check=True).stdout
    assert set(listed.decode().split()) == set(initfs(kernel))


def test_the_same_files_give_the_same_bytes(kernel: Sms) -> None:
    make(kernel)
    (path,) = kernel.path("/srv/warewulf/bootstrap/x86_64").glob("*/initfs.gz")
    first = path.read_bytes()
    for cache in ("/var/cache/warewulf/.drivers", "/var/cache/warewulf/.initramfs"):
        kernel.system.remove_tree(cache)
    make(kernel)
    assert path.read_bytes() == first
    assert path.with_name("kernel").read_text() == "the kernel"
    assert len(path.with_name("cookie").read_text().strip()) == 32


def test_a_second_run_collects_nothing_anew(kernel: Sms, monkeypatch: pytest.MonkeyPatch) -> None:
    make(kernel)
    calls: list[str] = []
    real = drivers.collect

    def counted(system: System, where: drivers.Source, settings: Config) -> drivers.Drivers:
        calls.append(where.version)
        return real(system, where, settings)

    monkeypatch.setattr(drivers, "collect", counted)
    make(kernel)
    assert calls == []
    kernel.write("/lib/modules/real/kernel/fs/mb-cache.ko.xz", "another module")
    make(kernel)
    assert calls == [KVER]
    assert initfs(kernel)[f"lib/modules/{KVER}/kernel/fs/mb-cache.ko.xz"] == b"another module"


def test_a_kernel_from_a_chroot_is_configured_by_the_sms(kernel: Sms) -> None:
    root = "/opt/images/x"
    kernel.write(f"{root}/boot/vmlinuz-5.14", "old kernel")
    kernel.write(f"{root}/lib/modules/5.14/modules.dep", "kernel/fs/ext4/ext4.ko:\n")
    kernel.write(f"{root}/lib/modules/5.14/kernel/fs/ext4/ext4.ko", "m")
    kernel.write(f"{root}/etc/warewulf/bootstrap.conf", "drivers += nothing\n")
    assert "Number of drivers included in bootstrap: 1" in make(kernel, "--chroot", root, "5.14")
    assert kernel.must("bootstrap", "list", "-1").split() == ["5.14"]


def test_mistakes(kernel: Sms) -> None:
    done = kernel.run("wwbootstrap", "9.9")
    assert done.status == 1
    assert done.err.startswith("ERROR:  Can't locate the boot kernel: /boot/vmlinuz-9.9")
    assert kernel.run("wwbootstrap", "--help").out.splitlines()[0] == (
        "USAGE: /usr/bin/wwbootstrap [options] kernel_version"
    )
    assert kernel.run("wwbootstrap", "../../etc").err.startswith("ERROR:  '../../etc' contains invalid")
    kernel.system.remove_tree("/usr/lib/rackling/initramfs")
    assert "The base tree of initial file systems is missing" in kernel.run("wwbootstrap", KVER).err


def test_export_import_build_rename_delete(kernel: Sms) -> None:
    make(kernel)
    kernel.must("bootstrap", "export", KVER, "/opt/file.wwbs")
    kernel.must("bootstrap", "import", "/opt/file.wwbs", "--name=copy")
    assert kernel.must("bootstrap", "list", "-1").split() == [KVER, "copy"]
    folders = sorted(kernel.path("/srv/warewulf/bootstrap/x86_64").iterdir())
    assert folders[0].joinpath("initfs.gz").read_bytes() == folders[1].joinpath("initfs.gz").read_bytes()
    kernel.write("/usr/lib/rackling/initramfs/init", "another agent", 0o755)
    kernel.must("bootstrap", "rebuild")
    assert b"another agent" in gzip.decompress(folders[0].joinpath("initfs.gz").read_bytes())
    kernel.must("bootstrap", "set", "copy", "--name=renamed")
    kernel.must("node", "new", "c1")
    kernel.must("provision", "set", "c1", "--bootstrap=renamed")
    kernel.must("bootstrap", "delete", "renamed")
    assert not folders[1].exists()
    assert "c1: BOOTSTRAP        = UNDEF" in kernel.must("provision", "print", "c1")
    assert "WARNING:  No bootstrap images found" in kernel.wwsh("bootstrap", "list", "zz").err
    kernel.write("/opt/junk", "junk")
    assert "Not a Warewulf bootstrap" in kernel.wwsh("bootstrap", "import", "/opt/junk").err


@needs_root
def test_on_a_terminal_enter_keeps_the_old_bootstrap_and_it_still_says_done(
    kernel: Sms, on_terminal: Start
) -> None:
    make(kernel)
    kernel.write("/etc/warewulf/bootstrap.conf", "modprobe += virtio_blk\n")
    one = on_terminal("wwbootstrap", KVER)
    shown = one.until("Yes/No> ")
    assert shown.endswith(
        f"WARNING:  Do you wish to overwrite '{KVER}' in the Warewulf data store?\nYes/No> "
    )
    one.type("\n")
    status, rest = one.end()
    assert status == 0
    assert rest.split("\n")[-3:] == [f"Not importing '{KVER}'", "Done.", ""]
    assert initfs(kernel)["etc/warewulf/modprobe"] == b"sd_mod\next4\n"
    again = on_terminal("wwbootstrap", KVER)
    again.until("Yes/No> ")
    again.type("yes\n")
    assert again.end()[0] == 0
    assert initfs(kernel)["etc/warewulf/modprobe"] == b"virtio_blk\n"


# Choosing modules


@pytest.mark.parametrize(
    ("drivers", "chosen"),
    [
        (["e1000"], ["kernel/drivers/net/e1000.ko.xz"]),
        (["mb_cache"], ["kernel/fs/mb-cache.ko.xz"]),
        (["kernel/fs/"], ["kernel/fs/ext4/ext4.ko.xz", "kernel/fs/mb-cache.ko.xz"]),
        (["nothing"], []),
        ([""], []),
    ],
)
def test_choose(drivers: list[str], chosen: list[str]) -> None:
    assert kmodules.choose(kmodules.parse_dep(DEP), drivers) == chosen


def test_modules_that_need_each_other_do_not_hang_the_choice() -> None:
    dep = kmodules.parse_dep("a.ko: b.ko\nb.ko: a.ko\n")
    assert kmodules.choose(dep, ["a"]) == ["a.ko", "b.ko"]
