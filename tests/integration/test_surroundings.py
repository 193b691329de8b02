"""What surrounds the cluster: packages without internet, a stranger, and the ways of Enterprise Linux."""

from __future__ import annotations

from tests.integration.conftest import Lab

CHROOT = "/opt/ohpc/admin/images/debian13"


def test_packages_install_without_internet_into_the_sms_a_tree_and_a_node(lab: Lab) -> None:
    lab.on("sms", "sudo yum -y install jq && jq --version", user="user1", timeout=180)
    copy = "/opt/ohpc/admin/images/copy"
    try:
        lab.on("sms", f"cp -a {CHROOT} {copy}", timeout=120)
        said = lab.on("sms", f"yum -y install --installroot={copy} fail2ban", timeout=300)
        assert "not enabled, as on Enterprise Linux" in said
        assert lab.on("sms", f"chroot {copy} dpkg-query -W firewalld").startswith("firewalld")
        assert lab.on("sms", f"ls {copy}/etc/systemd/system/multi-user.target.wants").count("fail2ban") == 0
        assert lab.on("sms", f"findmnt -rno TARGET | grep -c ^{copy}", check=False).strip() == "0"
        lab.on("sms", f"chroot {copy} systemctl enable fail2ban firewalld")
    finally:
        lab.on("sms", f"rm -rf {copy}", timeout=120)
    assert "loses the package at its next boot" in lab.on("c1", "yum -y install tree", timeout=180)
    refused = lab.on("sms", "yum -y install no-such-thing", check=False)
    assert "no package called no-such-thing" in refused
    assert "fail2ban" in refused


def test_a_stranger_sees_the_outside_only(lab: Lab) -> None:
    assert lab.on("outside", "hostname").strip() == "outside"
    assert lab.on("outside", "ls -d /nfs /shared /cache /disks 2>/dev/null", check=False) == ""
    lab.on("outside", "ip route replace 172.16.0.0/16 via 203.0.113.10")
    assert "100% packet loss" in lab.on("outside", "ping -c 1 -W 2 172.16.1.1", check=False)
    lab.on("outside", "ip route del 172.16.0.0/16")


def test_guessed_passwords_are_refused_and_written_down(lab: Lab) -> None:
    said = lab.on("outside", "guess-passwords sms 2")
    assert said.count("Permission denied") == 2
    log = lab.on("sms", "grep 'Failed password for user1 from 203.0.113.66' /var/log/secure")
    assert len(log.splitlines()) >= 2


def test_a_stranger_can_be_powered_off_and_on(lab: Lab) -> None:
    lab.command("power", "off", "outside")
    assert lab.status()["outside"]["power"] == "off"
    lab.command("power", "on", "outside")
    assert lab.status()["outside"]["answer"] == "yes"


def test_names_and_places_of_enterprise_linux(lab: Lab) -> None:
    assert lab.on("c1", "stat -c '%s %a' /var/log/secure").split() == ["0", "600"]
    assert "SLURMD_OPTIONS" in lab.on("c1", "cat /etc/sysconfig/slurmd")
    lab.on("sms", "test -x /sbin/shutdown && command -v netstat && ls -d /etc/my.cnf.d")
    names = lab.on("sms", "pdsh -w 'c[1-2]' hostname | sort").splitlines()
    assert names == ["c1: c1", "c2: c2"]
    devices = lab.on("g1", "lspci")
    assert devices.count("emulated GPU") == 2
    assert "GPU" not in lab.on("c1", "lspci")
