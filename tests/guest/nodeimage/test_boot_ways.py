"""How nodes get to boot a release: as Warewulf's VNFS and bootstrap, or as the initial file system itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.guest.nodeimage import boot, vnfs
from lab.guest.nodeimage.errors import NodeImageError
from lab.guest.warewulf.model import Kind
from tests.guest.kernel_image import kernel_file
from tests.guest.nodeimage.bed import unchanged
from tests.guest.nodeimage.head import MACS, Head

ARGUMENTS = (
    "rw root=/dev/ram net.ifnames=0 biosdevname=0 quiet wwhostname=c1 wwtransport=http wwmaster=172.16.0.1 "
    "wwipaddr=172.16.1.1 wwnetmask=255.255.0.0 wwnetdev=eth0 wwhwaddr=52:54:00:00:00:01"
)


# Warewulf's way


def test_an_imported_release_is_what_its_nodes_boot_and_the_next_one_follows(head: Head) -> None:
    head.release("one")
    first = head.bed.must("import", "compute", "c1")
    assert (first["vnfs"], first["nodes"], first["changed"]) == ("compute-one", ["c1"], True)
    assert head.boots("c1") == ("compute-one", "compute-one")
    assert head.boots("c2") == ("UNDEF", "UNDEF")
    head.release("two")
    assert head.boots("c1") == ("compute-one", "compute-one")
    assert head.bed.must("import", "compute")["nodes"] == ["c1"]
    assert head.boots("c1") == ("compute-two", "compute-two")


def test_what_warewulf_hands_out_is_the_image_of_the_release(head: Head) -> None:
    head.release("one")
    head.bed.must("import", "compute", "c1")
    record = head.sms.named(Kind.VNFS, "compute-one")
    assert record is not None
    given = head.sms.path(f"/srv/warewulf/vnfs/compute-one/image.{record.one('CHECKSUM')}")
    assert given.read_bytes() == (head.bed.release("one") / "image").read_bytes()
    (kernel,) = head.sms.path("/srv/warewulf/bootstrap/x86_64").glob("*/kernel")
    assert kernel.read_bytes() == head.kernel.read_bytes()


def test_importing_again_has_nothing_to_do(head: Head) -> None:
    head.release("one")
    head.bed.must("import", "compute", "c1")
    script = head.sms.path(f"/srv/warewulf/ipxe/cfg/{MACS['c1']}")
    before = unchanged(script)
    assert not head.bed.must("import", "compute", "c1")["changed"]
    assert unchanged(script) == before


def test_going_back_is_one_command_and_older_images_go(head: Head) -> None:
    for name in ("one", "two", "three"):
        head.release(name)
        head.bed.must("import", "compute", "c1")
    assert sorted(path.name for path in head.sms.path("/srv/warewulf/vnfs").iterdir()) == [
        "compute-three",
        "compute-two",
    ]
    head.bed.must("rollback", "compute")
    assert head.bed.must("import", "compute")["vnfs"] == "compute-two"
    assert head.boots("c1") == ("compute-two", "compute-two")


def test_an_image_that_somebody_removed_is_imported_again(head: Head) -> None:
    head.release("one")
    head.bed.must("import", "compute", "c1")
    head.wwsh("vnfs", "delete", "compute-one")
    assert head.bed.must("import", "compute", "c1")["changed"]
    assert head.boots("c1") == ("compute-one", "compute-one")


def test_somebody_elses_vnfs_of_that_name_is_left_alone(head: Head) -> None:
    head.release("one")
    (head.bed.root / "other.vnfs").write_text("other")
    head.wwsh("vnfs", "import", "/other.vnfs", "--name=compute-one")
    refused = head.bed.run("import", "compute", "c1")
    assert refused.status == 17
    assert "that nodeimage did not import" in refused.err


def test_a_release_that_changed_is_not_imported(head: Head) -> None:
    head.release("one")
    (head.bed.release("one") / "image").write_bytes(b"other")
    assert head.bed.run("import", "compute", "c1").status == 18
    assert head.boots("c1") == ("UNDEF", "UNDEF")


def test_a_kernel_without_modules_is_named(head: Head) -> None:
    head.kernel.write_bytes(kernel_file("9.9.9-none (somebody@here) #1 SMP"))
    head.release("one")
    refused = head.bed.run("import", "compute", "c1")
    assert refused.status == 19
    assert "there are no modules for the kernel 9.9.9-none" in refused.err
    assert head.boots("c1") == ("UNDEF", "UNDEF")


def test_a_file_that_is_no_kernel_has_no_version(tmp_path: Path) -> None:
    (tmp_path / "kernel").write_bytes(b"new kernel")
    with pytest.raises(NodeImageError, match="tells no version"):
        vnfs.kernel_version(str(tmp_path / "kernel"))


@pytest.mark.parametrize("words", [("import", "compute", "c9"), ("boot", "compute", "c9")])
def test_an_unknown_node_is_named(head: Head, words: tuple[str, ...]) -> None:
    head.release("one")
    refused = head.bed.run(*words)
    assert refused.status == 19
    assert "Warewulf has no node c9" in refused.err


# The paper's way


def test_a_node_is_told_by_dhcp_to_load_kernel_and_system(head: Head) -> None:
    head.release("one")
    done = head.bed.must("boot", "compute", "c1")
    assert (done["nodes"], done["release"], done["changed"]) == (["c1"], "one", True)
    entry = (head.bed.root / "served/.boot" / MACS["c1"]).read_text().splitlines()
    assert entry[0] == "#!ipxe"
    assert entry[2:] == [
        "echo Now booting c1 with the active image of compute",
        f"kernel http://172.16.0.1/nodeimage/compute/current/kernel {ARGUMENTS}",
        "initrd http://172.16.0.1/nodeimage/compute/current/image",
        "boot",
    ]
    answer = "tag:c1-eth0,tag:ipxe,option:bootfile-name,http://172.16.0.1/nodeimage/.boot/${mac}\n"
    for words in (("dhcp", "update"), ("pxe", "update"), ("provision", "set", "c1", "--preshell=1")):
        head.wwsh(*words)
        assert answer in head.sms.read("/etc/warewulf/dnsmasq.options")
    assert not head.bed.must("boot", "compute", "c1")["changed"]


def test_a_sites_archives_and_arguments_are_in_the_entry(head: Head) -> None:
    head.sms.write(f"{boot.SITE_INITRDS}/agent.gz", "agent")
    head.sms.write(boot.SITE_KARGS, "console=ttyS1 quiet\n")
    head.release("one")
    head.bed.must("boot", "compute", "c1")
    entry = (head.bed.root / "served/.boot" / MACS["c1"]).read_text()
    assert entry.index("current/image\n") < entry.index(
        "initrd http://172.16.0.1/nodeimage/.boot/initrd/agent.gz\n"
    )
    assert (head.bed.root / "served/.boot/initrd/agent.gz").read_text() == "agent"
    assert "root=/dev/ram console=ttyS1 quiet wwhostname" in entry


def test_pxelinux_gets_its_programs_and_a_configuration_by_card(head: Head) -> None:
    head.release("one")
    missing = head.bed.run("boot", "compute", "c1", "--loader", "pxelinux")
    assert missing.status == 16
    for candidates in boot.PARTS.values():
        head.sms.write(candidates[0], f"the program {candidates[0]}")
    head.bed.must("boot", "compute", "c1", "--loader", "pxelinux")
    place = head.sms.path("/var/lib/tftpboot/warewulf/nodeimage")
    assert sorted(path.name for path in place.iterdir()) == ["ldlinux.c32", "lpxelinux.0", "pxelinux.cfg"]
    text = (place / "pxelinux.cfg/01-52-54-00-00-00-01").read_text()
    assert "  KERNEL http://172.16.0.1/nodeimage/compute/current/kernel\n" in text
    assert "  INITRD http://172.16.0.1/nodeimage/compute/current/image\n" in text
    options = head.sms.read("/etc/warewulf/dnsmasq.options")
    assert "tag:c1-eth0,tag:!ipxe,option:bootfile-name,warewulf/nodeimage/lpxelinux.0\n" in options
    assert "tag:c1-eth0,tag:ipxe,option:bootfile-name,warewulf/nodeimage/lpxelinux.0\n" in options


def test_the_entry_of_another_loader_and_none_replace_one_another(head: Head) -> None:
    for candidates in boot.PARTS.values():
        head.sms.write(candidates[0], "program")
    head.release("one")
    head.bed.must("boot", "compute", "c1", "--loader", "pxelinux")
    head.bed.must("boot", "compute", "c1")
    assert "lpxelinux" not in head.sms.read("/etc/warewulf/dnsmasq.options")
    assert head.bed.must("boot", "compute", "c1", "--off")["changed"]
    assert "bootfile-name" not in head.sms.read("/etc/warewulf/dnsmasq.options")
    assert not (head.bed.root / "served/.boot" / MACS["c1"]).exists()
    assert not head.sms.path(
        "/var/lib/tftpboot/warewulf/nodeimage/pxelinux.cfg/01-52-54-00-00-00-01"
    ).exists()
    assert not head.bed.must("boot", "compute", "c1", "--off")["changed"]


def test_a_node_boots_in_one_way_only(head: Head) -> None:
    head.release("one")
    head.bed.must("boot", "compute", "c1")
    refused = head.bed.run("import", "compute", "c1")
    assert refused.status == 17
    assert "hint: nodeimage boot compute c1 --off" in refused.err
    head.bed.must("import", "compute", "c2")


def test_without_an_active_release_there_is_nothing_to_boot(head: Head) -> None:
    for verb in ("import", "boot"):
        refused = head.bed.run(verb, "compute", "c1")
        assert (refused.status, "no release of compute is active" in refused.err) == (19, True)


def test_the_folder_of_boot_entries_is_no_role(head: Head) -> None:
    head.release("one")
    head.bed.must("boot", "compute", "c1")
    assert [one["role"] for one in head.bed.must("list")["releases"]] == ["compute"]
