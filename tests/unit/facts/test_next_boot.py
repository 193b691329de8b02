"""What a node's next boot will use, read from stores that the real wwvnfs and wwbootstrap have filled."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TypeVar

import pytest

from lab.facts import next_boot
from lab.facts.fact import Fact, FactError
from tests.unit.warewulf_root import Programs

T = TypeVar("T")
CHROOT = "opt/images/tree"
KERNEL = "6.12.0"
MODULES = f"lib/modules/{KERNEL}"
DEP = {
    "kernel/drivers/block/virtio_blk.ko.xz": "",
    "kernel/net/netfilter/nfnetlink.ko.xz": "",
    "kernel/net/netfilter/nf_tables.ko.xz": "kernel/net/netfilter/nfnetlink.ko.xz",
    "kernel/net/netfilter/nft_ct.ko.xz": "kernel/net/netfilter/nf_tables.ko.xz",
}


class Sms:
    """A folder with a chroot, a kernel and a store, and the SMS's programs for it."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "root"
        self.write(f"{CHROOT}/sbin/init")
        self.write(f"{CHROOT}/etc/motd", "hello\n")
        os.utime(self.tree / "etc/motd", (1000, 1000))  # times are compared by the second
        for name in ("etc/longer", "etc/mode", "etc/gone", "root/.profile"):
            self.write(f"{CHROOT}/{name}", "one\n")
        self.write(f"{CHROOT}/usr/bin/tool", "x" * 9000, 0o755)
        self.write(f"{CHROOT}/var/log/messages", "one\n")
        self.write(f"{CHROOT}/usr/include/tool.h")
        (self.tree / "etc/localtime").symlink_to("/usr/share/zoneinfo/UTC")
        (self.tree / "usr/bin/other").hardlink_to(self.tree / "usr/bin/tool")
        self.write("etc/warewulf/vnfs.conf", "hybridize += /usr/include\n")
        self.write("etc/warewulf/bootstrap.conf", "drivers += virtio_blk\n")
        self.write("usr/lib/rackling/initramfs/init", "#!/bin/sh\n")
        self.write(f"boot/vmlinuz-{KERNEL}", "kernel")
        self.write(f"{MODULES}/modules.dep", "".join(f"{path}: {needs}\n" for path, needs in DEP.items()))
        self.write(f"{MODULES}/modules.builtin", "kernel/fs/ext4/ext4.ko\n")
        for path in DEP:
            self.write(f"{MODULES}/{path}")
        self.type = Programs(folder / "bin", self.root).type
        self.type("wwinit database")
        self.pack()
        self.build()

    @property
    def tree(self) -> Path:
        return self.root / CHROOT

    def write(self, name: str, text: str = "", mode: int = 0o644) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)

    def pack(self) -> None:
        status, output = self.type(f"wwvnfs --chroot=/{CHROOT}")
        assert status == 0, output

    def build(self) -> None:
        status, output = self.type(f"wwbootstrap {KERNEL}")
        assert status == 0, output

    def read(self, fact: Fact[T]) -> T:
        return fact.parse(*self.type(fact.command))


@pytest.fixture
def sms(tmp_path: Path) -> Sms:
    return Sms(tmp_path)


def test_an_image_that_was_just_packed_holds_the_tree(sms: Sms) -> None:
    image = sms.read(next_boot.vnfs_image("tree", "/etc/*", "usr/bin/tool", changes=True))
    assert (image.problem, image.tree, image.count) == ("", f"/{CHROOT}", 0)
    assert image.text("/etc/motd") == "hello\n"
    assert image.text("etc/localtime") == "/usr/share/zoneinfo/UTC"
    assert image.has("usr/bin/tool")
    assert not image.has("sbin/init"), "nobody asked for it"
    motd, tool = image.files["etc/motd"], image.files["usr/bin/tool"]
    assert motd.same
    assert motd.image == motd.tree
    assert tool.image is not None
    assert (tool.image.executable, tool.image.text) == (True, "")


def test_what_has_changed_since_then_is_told(sms: Sms) -> None:
    etc = sms.tree / "etc"
    sms.write(f"{CHROOT}/etc/motd", "hallo\n")
    sms.write(f"{CHROOT}/etc/longer", "one, two\n")
    (etc / "mode").chmod(0o600)
    (etc / "gone").unlink()
    sms.write(f"{CHROOT}/etc/new")
    (etc / "localtime").unlink()
    (etc / "localtime").symlink_to("/usr/share/zoneinfo/CET")
    image = sms.read(next_boot.vnfs_image("tree", "etc/*", changes=True))
    told = dict.fromkeys(("etc/localtime", "etc/longer", "etc/mode", "etc/motd"), "changed")
    assert image.changes == {**told, "etc/gone": "removed", "etc/new": "added"}
    assert image.count == len(image.changes)
    assert {name for name, file in image.files.items() if not file.same} == set(image.changes)
    assert sms.read(next_boot.vnfs_image("tree", "etc/*")).files == image.files
    sms.pack()
    assert sms.read(next_boot.vnfs_image("tree", changes=True)).count == 0


def test_logs_times_and_what_is_never_packed_are_no_changes(sms: Sms) -> None:
    os.utime(sms.tree / "etc/motd", (1, 1))
    os.utime(sms.tree / "usr/bin/tool", (1, 1))
    for name in ("var/log/messages", "var/cache/apt/x", "root/.bash_history", "usr/include/new.h"):
        sms.write(f"{CHROOT}/{name}", "two\n")
    (sms.tree / "proc").mkdir()
    assert sms.read(next_boot.vnfs_image("tree", changes=True)).changes == {}


def test_a_file_that_was_asked_for_is_told_from_both_sides(sms: Sms) -> None:
    sms.write(f"{CHROOT}/etc/stamp", "2\n")
    image = sms.read(next_boot.vnfs_image("tree", "etc/stamp"))
    assert not image.has("etc/stamp")
    assert image.text("etc/stamp") == ""
    stamp = image.files["etc/stamp"]
    assert stamp.tree is not None
    assert stamp.tree.text == "2\n"


def test_what_cannot_be_read_is_told(sms: Sms) -> None:
    assert sms.read(next_boot.vnfs_image("none")).problem == "Warewulf has no vnfs called none"
    assert sms.read(next_boot.bootstrap("none")).problem == "Warewulf has no bootstrap called none"
    [image] = (sms.root / "srv/warewulf/vnfs/tree").iterdir()
    whole = image.read_bytes()
    image.write_bytes(whole[: len(whole) // 2])
    assert sms.read(next_boot.vnfs_image("tree")).problem
    image.unlink()
    assert "is gone" in sms.read(next_boot.vnfs_image("tree")).problem
    with pytest.raises(FactError, match="printed no JSON"):
        next_boot.bootstrap("x").parse(0, "Killed\n")
    with pytest.raises(FactError, match="ended with status 1"):
        next_boot.bootstrap("x").parse(1, "Traceback\n")


def test_a_bootstrap_has_what_it_was_built_with(sms: Sms) -> None:
    sms.write("etc/warewulf/bootstrap.conf", "drivers += virtio_blk, nft_ct\nmodprobe += virtio-blk\n")
    before = sms.read(next_boot.bootstrap(KERNEL))
    assert (before.problem, before.kernel, before.loads) == ("", KERNEL, ())
    assert before.lacking("virtio_blk", "nft_ct", "ext4") == ["nft_ct"]
    sms.build()
    after = sms.read(next_boot.bootstrap(KERNEL))
    assert after.lacking("virtio-blk", "nft_ct", "nf_tables", "nfnetlink") == [], "needed ones come along"
    assert after.does_not_load("virtio_blk", "ext4", "nft_ct") == ["nft_ct"]
    assert after.built >= before.built
