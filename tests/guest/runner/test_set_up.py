"""What the SMS prepares for a runner, and what the runner makes of it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import cast

import pytest

from lab.guest.runner import set_up
from lab.guest.runner.places import EXAMPLE as EXAMPLE_HERE
from lab.guest.runner.places import RunnerError
from lab.guest.setup import runner
from lab.guest.setup.cluster import Card, Description, Machine
from lab.guest.setup.identity import Identity
from lab.guest.system import System
from lab.guest.warewulf import neighbours
from lab.guest.warewulf.handlers import Request, handle_request
from lab.guest.warewulf.store import Store
from tests.guest.runner.bed import Bed

EXAMPLE = Path(__file__).resolve().parents[3] / "lab/guest/files/runner/usr/share/runner/example"


def machine(name: str, role: str, address: str) -> Machine:
    return Machine(
        name, role, "cpu", 1, 1024, 0, True, (Card("eth0", "internal", "52:54:00:00:00:01", address),)
    )


SMS, BUILDER = machine("sms", "sms", "172.16.0.1"), machine("builder", "runner", "172.16.0.99")
WITH, WITHOUT = Description({}, (SMS, BUILDER)), Description({}, (SMS,))


def prepared(root: Path) -> tuple[System, Identity]:
    system = System(str(root), uid=0)
    identity = Identity(system)
    runner.make_keys(WITH, identity)
    runner.install(system, WITH, identity)
    return system, identity


def test_the_runner_gets_its_keys_and_the_sms_trusts_them(tmp_path: Path) -> None:
    sms, identity = prepared(tmp_path / "sms")
    other = System(str(tmp_path / "runner"), uid=0)
    set_up.install(other, sms.read(runner.KEYS))
    assert other.read("/etc/ssh/ssh_host_ed25519_key") == identity.private_key("host_runner")
    assert (tmp_path / "runner/etc/nodeimage/signing_key").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "runner/root/.ssh").stat().st_mode & 0o777 == 0o700
    assert other.text("/etc/ssh/ssh_known_hosts").startswith("sms,172.16.0.1 ssh-ed25519 ")
    assert len(other.text("/etc/runner/git_keys").splitlines()) == 3
    text = tmp_path / "manifest.json"
    text.write_text("{}")
    key = tmp_path / "runner/etc/nodeimage/signing_key"
    subprocess.run(["ssh-keygen", "-q", "-Y", "sign", "-f", key, "-n", "nodeimage", text], check=True)
    words = [
        "ssh-keygen",
        "-Y",
        "verify",
        "-f",
        sms.path(runner.SIGNERS),
        "-I",
        "runner",
        "-n",
        "nodeimage",
        "-s",
    ]
    with text.open() as data:
        subprocess.run([*words, f"{text}.sig"], stdin=data, check=True)


def test_the_delivery_key_can_run_one_program_only(tmp_path: Path) -> None:
    sms, identity = prepared(tmp_path)
    line = sms.text(runner.AUTHORIZED)
    assert line.startswith('restrict,command="/usr/lib/rackling/bin/admit-release" ssh-ed25519 ')
    assert identity.public_key("delivery").split()[1] in line


def test_lines_of_an_administrator_stay_and_a_lab_without_a_runner_trusts_nobody(tmp_path: Path) -> None:
    sms = System(str(tmp_path), uid=0)
    sms.write(runner.AUTHORIZED, b"ssh-ed25519 AAAA own\n", mode=0o600)
    prepared(tmp_path)
    prepared(tmp_path)
    assert [line.split()[-1] for line in sms.text(runner.AUTHORIZED).splitlines()] == ["own", runner.MARK]
    runner.install(sms, WITHOUT, Identity(sms))
    assert sms.text(runner.AUTHORIZED) == "ssh-ed25519 AAAA own\n"
    assert sms.text(runner.SIGNERS) == ""
    assert not sms.exists(runner.KEYS)


@pytest.mark.parametrize(
    ("address", "port", "mac", "status"),
    [
        ("172.16.0.99", 300, "52:54:00:00:00:01", 200),
        ("172.16.0.99", 1024, "52:54:00:00:00:01", 403),  # a user of the runner
        ("172.16.0.99", 300, "52:54:00:00:00:02", 403),  # another machine that took its address
        ("172.16.0.98", 300, "52:54:00:00:00:01", 403),
    ],
)
def test_the_sms_gives_the_keys_to_root_on_the_runner_only(
    tmp_path: Path, address: str, port: int, mac: str, status: int
) -> None:
    sms, identity = prepared(tmp_path)
    sms.write(neighbours.TABLE, f"IP\n{address} 0x1 0x2 {mac} * eth1\n".encode())
    store = cast("Store", None)  # the runner is no node, so nobody looks it up there
    found = handle_request(sms, store, Request("/WW/runner", {}, address, port))
    assert (found.status, found.file) == (status, "/runner_keys/keys.tar" if status == 200 else "")
    runner.install(sms, WITHOUT, identity)
    assert handle_request(sms, store, Request("/WW/runner", {}, "172.16.0.99", 300)).status == 404


def test_the_example_is_a_repository_with_one_commit(bed: Bed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(set_up, "_must", lambda system, words: None)
    target = bed.root / EXAMPLE_HERE.lstrip("/")
    target.parent.mkdir(parents=True)
    shutil.copytree(EXAMPLE, target)
    set_up.create(bed.system, "first", example=True)
    place = bed.root / "srv/git/first.git"
    assert bed.git(place, "log", "--format=%s", "main") == "A role, its configuration and its tests"
    assert ".gitlab-ci.yml" in bed.git(place, "ls-tree", "-r", "--name-only", "main")
    with pytest.raises(RunnerError, match="there is a repository first already"):
        set_up.create(bed.system, "first")
    with pytest.raises(RunnerError, match="is no name of a repository"):
        set_up.create(bed.system, "../x")
