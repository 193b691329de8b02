"""What must not be in an image: anything secret, and anything that should differ between labs."""

from __future__ import annotations

import subprocess

import pytest

from lab.backends.docker.engine import image as tagged

IMAGES = (tagged("chassis"), tagged("sms"))
SECRET = r"""
find / -xdev \( -path /proc -o -path /sys \) -prune -o -type f \( \
    -name 'ssh_host_*key' -o -name 'id_*' -path '*/.ssh/*' -o -path '*/.ssh/cluster' -o -name 'munge.key' \
    -o -name 'jwt*.key' -o -name 'credentials.json' \
    -o -name 'passwords.json' -o -path '*/private/*.pem' \
\) -print
"""


def inside(image: str, command: str) -> str:
    argv = ["docker", "run", "--rm", "--network", "none", image, "sh", "-c", command]
    return subprocess.run(argv, capture_output=True, text=True, check=True, timeout=120).stdout


@pytest.mark.parametrize("image", IMAGES)
def test_no_key_or_password_is_shipped(image: str) -> None:
    assert inside(image, SECRET).split() == []


def test_accounts_are_locked_until_a_lab_gives_them_passwords() -> None:
    for root in ("/disk", "/disk/opt/ohpc/admin/images/debian13"):
        lines = inside(tagged("sms"), f"cat {root}/etc/shadow").splitlines()
        # A password's digest is longer than a few letters, and an empty field would let anybody in.
        assert [line for line in lines if not 0 < len(line.split(":")[1]) < 5] == []


def test_the_search_would_find_a_key() -> None:
    planted = "mkdir -p /etc/munge; echo x >/etc/munge/munge.key;" + SECRET
    assert inside(IMAGES[0], planted).split() == ["/etc/munge/munge.key"]
