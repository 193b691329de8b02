"""The image serves every subnet: the set-up writes the SMS's address where the image has a variable."""

from __future__ import annotations

import json
import re
import shutil
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import pytest

from lab.config.loader import DEFAULTS, load
from lab.guest.setup import cluster, sms_address
from lab.guest.setup.host import CHROOT
from lab.guest.system import System
from lab.serialize import spec_to_json

ROOT = Path(__file__).resolve().parents[2]
FILES = ROOT / "lab" / "guest" / "files"
LIST = "sms_ip_packages_._Packages"
# Not lab/guest/warewulf: its programs take every address from the data store, and their help has examples.
WITHOUT_ADDRESSES = (
    "containers",
    "lab/guest/files",
    "lab/guest/native",
    "lab/guest/setup",
    "exercises",
    "vms",
)


def imaged(folder: Path, subnet: str) -> tuple[System, cluster.Description]:
    """The disk of an SMS as the image has it, with the description of a lab on this subnet."""
    system = System(str(folder))
    shutil.copytree(FILES / "common", system.path("/"), dirs_exist_ok=True)
    shutil.copytree(FILES / "sms", system.path("/"), dirs_exist_ok=True)
    shutil.copytree(FILES / "common", system.path(CHROOT), dirs_exist_ok=True)
    shutil.copytree(FILES / "node", system.path(CHROOT), dirs_exist_ok=True)
    written = re.search(r"printf '(.*)' >\"\$disk/etc/resolv.conf\"", install_script())
    assert written is not None
    system.write("/etc/resolv.conf", written[1].replace("\\n", "\n").encode())
    system.write(f"{sms_address.LISTS}/{LIST}", b"Package: strace\n")
    spec = load(None, [f"networks.internal.subnet={subnet}"], {}, None)
    system.write(cluster.FILE, spec_to_json(spec).encode())
    return system, cluster.read(system)


def install_script() -> str:
    return (ROOT / "containers" / "sms" / "install").read_text()


@pytest.mark.parametrize(
    ("subnet", "address"),
    [
        ("172.16.0.0/16", "172.16.0.1"),
        ("172.20.0.0/16", "172.20.0.1"),
        ("10.0.0.0/8", "10.0.0.1"),
        ("192.168.7.0/24", "192.168.7.1"),
        ("192.168.7.16/28", "192.168.7.17"),
    ],
)
def test_everything_that_knows_the_sms_gets_its_address(tmp_path: Path, subnet: str, address: str) -> None:
    system, described = imaged(tmp_path, subnet)
    assert sms_address.fill_in(system, described) is True
    for path, line in (
        ("/etc/resolv.conf", f"nameserver {address}"),
        ("/etc/fail2ban/jail.local", f"ignoreip = 127.0.0.1/8 ::1 {address}"),
        (f"{CHROOT}/etc/fail2ban/jail.local", f"ignoreip = 127.0.0.1/8 ::1 {address}"),
        (f"{CHROOT}/etc/fstab", f"{address}:/home /home nfs nfsvers=4,nodev,nosuid,_netdev 0 0"),
        (f"{CHROOT}/etc/rsyslog.conf", f"*.* @{address}:514"),
        (f"{CHROOT}/etc/default/slurmd", f'SLURMD_OPTIONS="--conf-server {address}"'),
        (f"{CHROOT}/etc/apt/sources.list", f"deb [trusted=yes] http://{address}/packages ./"),
    ):
        assert line in system.text(path).splitlines(), path
    assert system.names(sms_address.LISTS) == [f"{address}_packages_._Packages"]
    left = [path for path in tmp_path.rglob("*") if path.is_file() and b"sms_ip" in path.read_bytes()]
    assert left == []


def test_a_second_boot_changes_nothing_and_a_learners_edit_stays(tmp_path: Path) -> None:
    system, described = imaged(tmp_path, "10.0.0.0/8")
    sms_address.fill_in(system, described)
    mine = b"SLURMD_OPTIONS='--conf-server sms'\n"
    system.write(f"{CHROOT}/etc/default/slurmd", mine)
    assert sms_address.fill_in(system, described) is False
    assert system.read(f"{CHROOT}/etc/default/slurmd") == mine


def test_a_chroot_without_these_files_is_no_error(tmp_path: Path) -> None:
    system = System(str(tmp_path))
    system.write(cluster.FILE, spec_to_json(load(None, [], {}, None)).encode())
    assert sms_address.fill_in(system, cluster.read(system)) is False
    assert json.loads(system.text(cluster.FILE))  # and nothing was written in their place
    assert system.names("/etc") == ["rackling"]


def test_the_image_and_the_exercises_hold_no_address_of_the_default_networks() -> None:
    """A lab may have any subnet, so only the description may say which addresses it has."""
    networks = [IPv4Network(table["subnet"]) for table in DEFAULTS["networks"].values()]
    texts = {
        str(path.relative_to(ROOT)): path.read_text(errors="replace")
        for folder in WITHOUT_ADDRESSES
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    baked = [
        f"{name}: {found}"
        for name, text in texts.items()
        for found in re.findall(r"(?<![\d.])\d{1,3}(?:\.\d{1,3}){3}(?![\d.])", text)
        if _within(found, networks)
    ]
    assert baked == []


def _within(text: str, networks: list[IPv4Network]) -> bool:
    try:
        address = IPv4Address(text)
    except ValueError:
        return False
    return any(address in network for network in networks)
