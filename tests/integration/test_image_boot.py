"""Releases of nodeimage on a real node: as initial file system by iPXE and PXELINUX, and by Warewulf."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integration.conftest import Lab, wait_until

CHROOT = "/opt/ohpc/admin/images/debian13"
NODE = "c1"
pytestmark = pytest.mark.timeout(300)  # nine boots
SIGNERS = """\
install -d /etc/nodeimage /root/role
ssh-keygen -q -t ed25519 -N '' -f /etc/nodeimage/signing_key
echo "builder $(cat /etc/nodeimage/signing_key.pub)" >/etc/nodeimage/allowed_signers
printf 'name = "compute"\\n[test]\\nuntested = true\\n' >/root/role/image.toml
wwsh -y file import /etc/warewulf/vnfs/ssh/ssh_host_ed25519_key --name=ssh_host_key
wwsh -y file set ssh_host_key --path=/etc/ssh/ssh_host_ed25519_key --mode=0600
wwsh -y provision set c1 --fileadd=ssh_host_key
"""
RELEASE = """\
set -e
words="-q /root/role --tree {chroot} --commit {digit:0>40} --ref {name} --date 1793491200"
for verb in configure test; do nodeimage $verb $words; done
nodeimage pack $words --kernel /boot/vmlinuz-$(uname -r)
nodeimage publish -q compute --release {name}
nodeimage activate -q compute {name}
"""
CLEAN = """\
wwsh -y provision set c1 --vnfs={vnfs} --bootstrap=$(uname -r) --ipxeurl=UNDEF --pxeloader=UNDEF
for name in $(wwsh vnfs list | sed -n 's/^\\(compute-[^ ]*\\).*/\\1/p'); do
    wwsh -yq vnfs delete $name; wwsh -yq bootstrap delete $name
done
wwsh -y file delete ssh_host_key
rm -rf /srv/nodeimage /var/lib/nodeimage /root/role /var/lib/tftpboot/warewulf/nodeimage
rm -f /etc/nodeimage/signing_key* /etc/nodeimage/allowed_signers
"""
LOOK = """\
sed -n 's/^IMAGE_REF=//p' /etc/image-release
findmnt -no SOURCE /
munge -n | unmunge | sed -n 's/^STATUS: *//p'
findmnt -no SOURCE /home
systemctl is-system-running --wait
ls -d /agent /chassis /nfs /busybox* /cache 2>/dev/null
df -m --output=size / | tail -n 1
"""


@pytest.fixture
def releases(lab: Lab) -> Iterator[None]:
    """Two releases; afterwards c1 boots as it was handed out."""
    lab.on("sms", SIGNERS)
    for digit, name in enumerate(("one", "two"), 1):
        lab.on("sms", RELEASE.format(chroot=CHROOT, digit=digit, name=name), timeout=120)
    yield
    lab.on("sms", CLEAN.format(vnfs=CHROOT.rsplit("/", 1)[1]))
    boot(lab)


def boot(lab: Lab) -> None:
    """Cuts the power of c1 and waits until Slurm has it back."""
    lab.command("power", "cycle", NODE)
    wait_until(
        lambda: lab.states()[NODE] == "idle" and lab.status()[NODE]["stage"] == "init",
        60,
        "c1 is back",
        lambda: (lab.status()[NODE], lab.command("console", NODE, check=False).stdout[-2000:]),
    )


def in_service(lab: Lab) -> bool:
    """Puts c1 back into service: for Slurm, a reboot that nobody announced is a reason to keep it down."""
    if lab.on(NODE, "systemctl is-active slurmd", check=False).strip() != "active":
        return False
    lab.on("sms", "scontrol update nodename=c1 state=resume", check=False)
    return lab.states()[NODE] == "idle"


def looked(lab: Lab) -> list[str]:
    return [line.strip() for line in lab.on(NODE, LOOK, check=False).splitlines()]


def test_a_node_boots_releases_in_every_way(lab: Lab, releases: None) -> None:
    whole = ["rootfs", "Success (0)", "172.16.0.1:/home", "running"]
    lab.on("sms", "nodeimage boot compute c1")
    boot(lab)
    ref, *state, size = looked(lab)
    assert (ref, state) == ("two", whole)
    memory = int(lab.on(NODE, "free -m | awk '/^Mem:/ { print $2 }'"))
    assert 0 < int(size) <= memory + 1
    assert lab.on("sms", "cd && srun -w c1 hostname", user="user1").strip() == NODE
    assert "iPXE: initrd http://172.16.0.1/nodeimage/compute/current/image" in console(lab)

    tried = lab.on("sms", "nodeimage try compute one c1 --seconds 90", timeout=120)
    assert "c1 is up with compute one after " in tried
    ref, *state, _ = looked(lab)
    assert (ref, state) == ("one", whole)
    assert "booted         on c1 within " in lab.on("sms", "nodeimage show compute one")
    wait_until(lambda: in_service(lab), 60, "c1 is back in service", lab.status)
    boot(lab)
    assert looked(lab)[0] == "two"

    lab.on(
        "sms", "nodeimage rollback compute && nodeimage boot compute c1 --loader pxelinux && wwsh dhcp update"
    )
    boot(lab)
    ref, *state, _ = looked(lab)
    assert (ref, state) == ("one", whole)
    assert "PXELINUX: pxelinux.cfg/01-" in console(lab)

    lab.on("sms", "mv /srv/nodeimage/compute/current /srv/nodeimage/compute/away")
    lab.on(NODE, "systemctl reboot", check=False)  # `lab power` would wait for it
    broken = "kernel http://172.16.0.1/nodeimage/compute/current/kernel: "
    wait_until(lambda: broken in lab.status()[NODE]["evidence"], 30, "c1 says what is broken", lab.status)
    assert f"PXELINUX: {broken}" in console(lab)
    lab.on("sms", "mv /srv/nodeimage/compute/away /srv/nodeimage/compute/current")
    wait_until(lambda: in_service(lab), 60, "c1 boots once it can", lab.status)

    lab.on(
        "sms",
        "nodeimage boot compute c1 --off && nodeimage activate compute two && nodeimage import compute c1",
    )
    boot(lab)
    ref, _, *state, _ = looked(lab)
    assert (ref, state) == ("two", whole[1:])
    lab.on("sms", "nodeimage rollback compute && nodeimage import compute")
    boot(lab)
    assert looked(lab)[0] == "one"


def console(lab: Lab) -> str:
    return lab.command("console", NODE, "--lines", "400", check=False).stdout
