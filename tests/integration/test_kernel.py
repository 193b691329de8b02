"""The kernel a node seems to run: the one of its bootstrap, with its modules and without those it lacks."""

from __future__ import annotations

from tests.integration.conftest import Lab, wait_until

NETFILTER = 'perl -e \'socket(my $s, 16, 3, 12) or die "$!\\n"; print "netfilter\\n"\''
"""socket(AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER), as nft and firewalld open it."""


def release(lab: Lab, node: str) -> str:
    return lab.on(node, "uname -r").strip()


def test_every_way_of_asking_names_the_kernel_of_the_bootstrap(lab: Lab) -> None:
    kernel = release(lab, "c1")
    assert kernel in lab.on("sms", "wwsh bootstrap list -1").split()
    assert kernel in lab.on("sms", "wwsh provision print c1 | grep BOOTSTRAP")
    for ask in (
        "cat /proc/sys/kernel/osrelease",
        "sysctl -n kernel.osrelease",
        "perl -MPOSIX -e 'print +(POSIX::uname())[2]'",
        "systemd-run -q --pipe -p PrivateDevices=yes -p ProtectKernelTunables=yes uname -r",
    ):
        assert lab.on("c1", ask).strip() == kernel, ask
    assert f"Linux version {kernel} " in lab.on("c1", "cat /proc/version")
    assert lab.on("sms", "ssh c1 uname -r").strip() == kernel
    assert lab.on("sms", "cd && srun -w c1 uname -r", user="user1").strip() == kernel
    assert f"OS=Linux {kernel} " in lab.on("sms", "scontrol show node c1")


def test_the_head_node_runs_the_kernel_on_its_disk(lab: Lab) -> None:
    kernel = release(lab, "sms")
    assert lab.on("sms", "ls /lib/modules").split() == [kernel]
    assert lab.on("sms", "sudo uname -r", user="user1").strip() == kernel
    assert lab.on("sms", "python3 -c 'import os; print(os.uname().release)'").strip() == kernel
    assert f"vmlinuz-{kernel}" in lab.on("sms", "cat /proc/cmdline")


def test_no_program_gets_a_stack_that_may_be_executed(lab: Lab) -> None:
    for node in ("sms", "c1"):
        stack = [line for line in lab.on(node, "cat /proc/self/maps").splitlines() if "[stack]" in line]
        assert stack
        assert stack[0].split()[1] == "rw-p"


def test_modules_come_with_what_they_need_and_go(lab: Lab) -> None:
    before = lab.on("c1", "lsmod")
    assert "ext4" not in before
    lab.on("c1", "modprobe ext4")
    rows = {row[0]: row for row in map(str.split, lab.on("c1", "lsmod").splitlines())}
    assert rows["ext4"][2] == "0"
    assert rows["jbd2"][2:] == ["1", "ext4"]
    assert lab.on("c1", "grep -c '^ext4 .* Live ' /proc/modules").strip() == "1"
    assert lab.on("c1", "cat /sys/module/ext4/initstate").strip() == "live"
    assert "in use" in lab.on("c1", "modprobe -r jbd2 2>&1", check=False)
    assert "File exists" in lab.on("c1", "insmod $(modinfo -n ext4) 2>&1", check=False)
    lab.on("c1", "modprobe -r ext4")
    assert sorted(lab.on("c1", "lsmod").splitlines()) == sorted(before.splitlines())
    missing = lab.on("c1", "modprobe nf_tables 2>&1; echo $?", check=False)
    assert missing.split("\n")[:2] == [
        f"modprobe: FATAL: Module nf_tables not found in directory /lib/modules/{release(lab, 'c1')}",
        "1",
    ]
    refused = lab.on(
        "sms", "/sbin/modprobe ext2 2>&1; /sbin/rmmod virtio_net 2>&1", user="user1", check=False
    )
    assert refused.count("Operation not permitted") == 2
    assert (
        lab.on("c1", "sysctl -a 2>/dev/null | grep modules_disabled").strip() == "kernel.modules_disabled = 0"
    )


def test_a_service_shut_away_as_firewalld_is_may_still_ask_for_modules(lab: Lab) -> None:
    shut = "systemd-run -q --pipe -p PrivateDevices=yes -p ProtectSystem=yes -p MemoryDenyWriteExecute=yes"
    lab.on("c1", f"{shut} modprobe vfat")
    assert "vfat" in lab.on("c1", "lsmod").split()
    lab.on("c1", f"{shut} modprobe -r vfat")
    assert "vfat" not in lab.on("c1", "lsmod").split()


def test_netfilter_is_there_when_the_bootstrap_carries_it(lab: Lab) -> None:
    assert "nf_tables" in lab.on("sms", "lsmod")
    assert lab.on("sms", NETFILTER.replace("perl", "sudo perl"), user="user1") == "netfilter\n"
    for way in (NETFILTER, f"systemd-run -q --pipe {NETFILTER}"):
        assert lab.on("c1", way, check=False) == "Protocol not supported\n"
    kernel = release(lab, "c1")
    lab.on("sms", "cp /etc/warewulf/bootstrap.conf /root/kept")
    try:
        lab.on("sms", f"echo 'drivers += kernel/net/' >>/etc/warewulf/bootstrap.conf; wwbootstrap {kernel}")
        reboot(lab, "c1")
        assert "virtio_net" in lab.on("c1", "lsmod").split()
        assert lab.on("c1", NETFILTER) == "netfilter\n"
        assert {"nf_tables", "nfnetlink"} <= set(lab.on("c1", "lsmod").split())
    finally:
        lab.on("sms", f"mv /root/kept /etc/warewulf/bootstrap.conf; wwbootstrap {kernel}")
        reboot(lab, "c1")
    assert lab.on("c1", NETFILTER, check=False) == "Protocol not supported\n"


def reboot(lab: Lab, node: str) -> None:
    """Power-cycles a node and waits until it is up again."""
    boot = "stat -c %Y /proc/1; systemctl is-system-running"
    before = lab.on(node, boot, check=False).split()
    lab.command("power", "cycle", node)

    def is_up() -> bool:
        now = lab.on(node, boot, check=False).split()
        return now[:1] != before[:1] and now[1:] in (["running"], ["degraded"])

    wait_until(is_up, 60, f"{node} up again", lambda: lab.status()[node])
