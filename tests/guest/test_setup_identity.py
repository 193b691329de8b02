"""A disk that was set up under one identity is taken over by another: no key of the first stays in use."""

from __future__ import annotations

import io
import json
import stat
import tarfile
from pathlib import Path

import pytest

from lab.guest.setup import cluster, host, program, provisioning, rotate_identity
from lab.guest.setup.adopt_identity import FILES, IMAGES, MARK, Adoption
from lab.guest.setup.identity import FOLDER, SSH_KEYS, Identity
from lab.guest.system import Outcome
from tests.guest.test_setup_sms import LAB, Played, play_ours

OTHER = f"{IMAGES}/gpu"
LISTED = f"""\
VNFS NAME            SIZE (M)   ARCH       CHROOT LOCATION
debian13             60.1       x86_64     {host.CHROOT}
gpu                  99.0       x86_64     {OTHER}
gone                 12.0       x86_64     {IMAGES}/no-such
"""


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Played:
    """An SMS set up for the first time; a learner's traces are on it."""
    monkeypatch.setattr("os.chown", lambda *_: None)
    play_ours(monkeypatch)
    system = Played(tmp_path)
    system.commands += [[]] * 100  # their number is in each played key: three digits, so none is in another
    system.write(cluster.FILE, json.dumps(LAB).encode())
    system.write("/etc/skel/.bashrc", b"")
    system.write("/etc/shadow", b"root:*:1::::::\n", mode=0o640)
    set_up(system)
    system.make_dir(f"{OTHER}/etc/ssh")
    for name in ("ssh_host_ed25519_key", "ssh_host_ed25519_key.pub", "ssh_known_hosts"):
        system.write(f"{OTHER}/etc/ssh/{name}", system.read(f"{host.CHROOT}/etc/ssh/{name}"))
    system.write(f"{OTHER}/etc/munge/munge.key", system.read("/etc/munge/munge.key"), mode=0o400)
    system.write("/home/user1/.ssh/known_hosts", f"sms {key(system, 'host_sms')}\n".encode())
    with Path(system.path("/home/user1/.ssh/authorized_keys")).open("a") as file:
        file.write("ssh-ed25519 LEARNER laptop\n")
    return system


def set_up(system: Played) -> Adoption:
    lab = cluster.read(system)
    identity = Identity(system)
    adoption = Adoption(system, identity)
    host.install_keys(system, lab, identity)
    host.install_users(system, identity, renew=adoption.needed)
    if adoption.needed:
        adoption.homes()
        adoption.chroots()
    host.prepare_chroot(system, lab, identity)
    adoption.finish()
    return adoption


def key(system: Played, name: str) -> str:
    return " ".join(system.text(f"{FOLDER}/ssh/{name}.pub").split()[:2])


def secrets(system: Played) -> list[str]:
    """All that must not be in use any more, as text."""
    found = [system.text(f"{FOLDER}/ssh/{name}").strip() for name in SSH_KEYS]
    found += [key(system, name) for name in SSH_KEYS]
    found += json.loads(system.text(f"{FOLDER}/passwords.json")).values()
    found += [system.read(f"{FOLDER}/{name}").decode("latin-1") for name in ("munge.key", "jwt_hs256.key")]
    return found


def everything(system: Played) -> str:
    """All files on the disk, the identity's own folder aside."""
    root = Path(system.root)
    return "\0".join(
        path.read_bytes().decode("latin-1")
        for path in sorted(root.rglob("*"))
        if path.is_file() and not path.is_relative_to(system.path(FOLDER))
    )


def other_identity(system: Played) -> None:
    """What a restored start state finds: the same disk, another identity's volume."""
    system.remove_tree(FOLDER)
    system.commands += [[]] * 100


def test_the_first_set_up_and_the_next_boot_adopt_nothing(disk: Played) -> None:
    assert not Adoption(disk, Identity(disk)).needed
    assert set_up(disk).swaps == {}


def test_nothing_of_the_former_identity_is_left(disk: Played) -> None:
    former = secrets(disk)
    assert [text for text in former if text in everything(disk)], "or this test looks at the wrong place"
    other_identity(disk)
    assert set_up(disk).needed
    left = everything(disk)
    assert [text for text in former if text in left] == []
    ours = secrets(disk)
    assert ours != former
    credentials = json.loads(disk.text("/etc/rackling/credentials.json"))
    assert {user["password"] for user in credentials["users"]} <= set(ours)


def test_what_a_learner_trusts_is_kept_and_files_stay_whose_they_were(disk: Played) -> None:
    other_identity(disk)
    set_up(disk)
    trusted = disk.text("/home/user1/.ssh/authorized_keys").splitlines()
    assert trusted == [f"{key(disk, 'user1')} user1", "ssh-ed25519 LEARNER laptop"]
    assert disk.text("/home/user1/.ssh/known_hosts") == f"sms {key(disk, 'host_sms')}\n"
    assert stat.S_IMODE(disk.lstat("/home/user1/.ssh/id_ed25519").st_mode) == 0o600
    assert disk.read(f"{OTHER}/etc/munge/munge.key") == disk.read("/etc/munge/munge.key")


def test_a_set_up_that_was_killed_adopts_again(disk: Played) -> None:
    other_identity(disk)
    former = disk.text(MARK)
    adoption = Adoption(disk, Identity(disk))
    adoption.homes()
    adoption.chroots()
    assert disk.text(MARK) == former
    assert Adoption(disk, Identity(disk)).needed
    set_up(disk)
    assert not Adoption(disk, Identity(disk)).needed


def test_every_vnfs_of_a_changed_chroot_is_packed_anew(disk: Played) -> None:
    other_identity(disk)
    disk.outcomes["wwsh"] = Outcome(0, LISTED.encode(), b"")
    adoption = Adoption(disk, Identity(disk))
    packed = list(adoption.vnfs_of(adoption.chroots()))
    assert packed == [("debian13", host.CHROOT), ("gpu", OTHER)]
    provisioning.repack(disk, packed)
    assert ["wwvnfs", "--chroot", OTHER, "gpu"] in disk.commands


def test_warewulf_reads_only_what_it_has(disk: Played) -> None:
    listed = ("munge.key", "shadow", "slurm.conf.login")
    lines = "".join(f"{name:<24}:  rw-r--r-- 1   root root   1 /etc/{name}\n" for name in listed)
    disk.outcomes["wwsh"] = Outcome(0, lines.encode(), b"")
    provisioning.reread(disk, FILES)
    assert disk.commands[-1] == ["wwsh", "-y", "file", "sync", "shadow", "munge.key"]


def test_a_link_in_a_home_is_not_followed(disk: Played) -> None:
    disk.write("/etc/elsewhere", key(disk, "user1").encode())
    Path(disk.path("/home/user1/.ssh/link")).symlink_to(disk.path("/etc/elsewhere"))
    former = key(disk, "user1")
    other_identity(disk)
    set_up(disk)
    assert disk.text("/etc/elsewhere") == former
    assert Path(disk.path("/home/user1/.ssh/link")).is_symlink()


def test_a_cluster_that_runs_gets_another_identity_everywhere(
    disk: Played, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(provisioning, "bring_up", lambda *_args, **_more: None)
    monkeypatch.setattr(host, "raise_network", lambda *_: None)
    monkeypatch.setattr(host, "write_services", lambda *_: None)
    former = secrets(disk)
    disk.outcomes["wwsh"] = Outcome(0, b"c1\ngone\n", b"")
    disk.commands += [[]] * 100
    assert rotate_identity.main([], disk) == 0
    assert [text for text in former if text in everything(disk)] == []
    entered = [command for command in disk.commands if command[:1] == ["ssh"]]
    assert [command[-2:] for command in entered] == [["root@c1", rotate_identity.ON_NODE]]
    with tarfile.open(fileobj=io.BytesIO(disk.input["ssh"])) as tar:
        brought = {name: tar.extractfile(name).read().decode("latin-1") for name in tar.getnames()}  # type: ignore[union-attr]
    assert set(brought) == {*rotate_identity.FROM_CHROOT, *rotate_identity.FROM_FILES}
    assert brought["etc/munge/munge.key"] == disk.read("/etc/munge/munge.key").decode("latin-1")
    assert brought["etc/ssh/ssh_host_ed25519_key"] == disk.text(f"{FOLDER}/ssh/host_nodes")
    assert brought["root/.ssh/authorized_keys"] == f"{key(disk, 'root')} root\n"
    assert tuple(disk.commands[-4:]) == rotate_identity.ON_SMS


def test_a_node_that_keeps_its_keys_is_told(
    disk: Played, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(program, "main", lambda *_: 0)
    disk.outcomes |= {"wwsh": Outcome(0, b"c1\n", b""), "ssh": Outcome(255, b"", b"no route to c1\n")}
    assert rotate_identity.main([], disk) == 1
    assert capsys.readouterr().err == "c1 still has the former keys: no route to c1\n"
