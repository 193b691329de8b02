"""Machine IDs: the same at every boot of a node, and another in each lab of the same cards and disks."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from lab.guest.setup.rotate_identity import NEW_ID, OF_NODE

GUEST = Path(__file__).parents[2] / "lab/guest/files"
AGENT = GUEST / "initramfs/lib/agent/config.sh"
BOOT = GUEST / "chassis/boot"
KEY = "etc/ssh/ssh_host_ed25519_key.pub"


def node_id(folder: Path, mac: str, key: str | None) -> str:
    """The machine ID that the boot agent gives a node with this card, whose image has this host key."""
    for name in ("etc/ssh", "etc/default"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / KEY).unlink(missing_ok=True)
    if key is not None:
        (folder / KEY).write_text(key)
    script = f". {AGENT}; uptime_of=own; write_config"
    environ = {
        "PATH": "/usr/bin:/bin",
        "NEWROOT": str(folder),
        "FSTAB": str(folder / "fstab"),
        "WWNODENAME": "c1",
        "wwmaster": "172.16.0.1",
        "wwhwaddr": mac,
    }
    (folder / "fstab").touch()
    subprocess.run(["sh", "-c", script], env=environ, check=True, capture_output=True)
    return (folder / "etc/machine-id").read_text()


def test_a_nodes_id_is_its_cards_and_its_labs(tmp_path: Path) -> None:
    first = node_id(tmp_path, "52:54:00:00:00:01", "ssh-ed25519 ONE\n")
    assert len(first) == 33
    assert set(first.strip()) <= set("0123456789abcdef")
    assert node_id(tmp_path, "52:54:00:00:00:01", "ssh-ed25519 ONE\n") == first
    others = [
        node_id(tmp_path, "52:54:00:00:00:02", "ssh-ed25519 ONE\n"),
        node_id(tmp_path, "52:54:00:00:00:01", "ssh-ed25519 TWO\n"),
        node_id(tmp_path, "52:54:00:00:00:01", None),
    ]
    assert len({first, *others}) == 4


@pytest.fixture
def own_id(tmp_path: Path) -> str:
    """What the SMS's shell runs before systemd, on a disk in a folder; it prints its environment."""
    text = BOOT.read_text().partition("OWN_ID='")[2].partition("'\n")[0]
    for path in ("/var/lib/rackling", "/etc/machine-id"):
        assert path in text
        text = text.replace(path, f"{tmp_path}{path}")
    assert "exec /sbin/init" in text
    for name in ("var/lib/rackling", "etc"):
        (tmp_path / name).mkdir(parents=True)
    return text.replace("exec /sbin/init", "exec env")


def told(script: str) -> str:
    done = subprocess.run(
        ["sh", "-c", script], env={"PATH": "/usr/bin:/bin"}, check=True, capture_output=True
    )
    return dict(line.split("=", 1) for line in done.stdout.decode().splitlines())["container_uuid"]


def test_an_sms_keeps_the_id_of_its_lab_whatever_disk_it_gets(own_id: str, tmp_path: Path) -> None:
    disk, kept = tmp_path / "etc/machine-id", tmp_path / "var/lib/rackling/machine-id"
    disk.write_text("")
    ours = told(own_id)
    assert len(ours) == 32
    assert kept.read_text().strip() == ours
    assert disk.read_text() == ""  # systemd sees that this is the first boot, and writes it
    disk.write_text("0123" * 8 + "\n")  # another lab's
    assert told(own_id) == ours
    assert disk.read_text().strip() == ours
    kept.unlink()
    assert told(own_id) != ours
    disk.unlink()
    told(own_id)
    assert not disk.exists()


@pytest.mark.parametrize("logs", [True, False])
def test_a_running_node_takes_the_id_of_its_next_boot_and_keeps_its_log(tmp_path: Path, logs: bool) -> None:
    former = node_id(tmp_path, "52:54:00:00:00:01", "ssh-ed25519 ONE\n").strip()
    wanted = node_id(tmp_path, "52:54:00:00:00:01", "ssh-ed25519 TWO\n").strip()
    (tmp_path / "etc/machine-id").write_text(f"{former}\n")
    (tmp_path / "warewulf").mkdir()
    (tmp_path / "warewulf/config").write_text('WWINIT_HWADDR="52:54:00:00:00:01"\n')
    journals = tmp_path / "run/log/journal"
    if logs:
        (journals / former).mkdir(parents=True)
    script = NEW_ID.format(source=OF_NODE)
    for path in ("/etc/", "/run/log/", "/warewulf/"):
        script = script.replace(path, f"{tmp_path}{path}")
    (tmp_path / "systemctl").write_text(f'#!/bin/sh\necho "$*" >{tmp_path}/asked\n')
    (tmp_path / "systemctl").chmod(0o755)
    subprocess.run(["sh", "-c", script], env={"PATH": f"{tmp_path}:/usr/bin:/bin"}, check=True)
    assert (tmp_path / "etc/machine-id").read_text().strip() == wanted
    assert (tmp_path / "asked").read_text() == "restart systemd-journald\n"
    assert not logs or [path.name for path in journals.iterdir()] == [wanted]
