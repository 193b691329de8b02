"""A bare SMS becomes the head of a cluster: keys, names, users, Warewulf; on a temporary root."""

from __future__ import annotations

import json
import os
import stat
import string
from pathlib import Path
from typing import Any

import pytest

from lab.guest.setup import cluster, host, inprocess, program, provisioning
from lab.guest.setup.identity import FOLDER, SSH_KEYS, USERS, Identity
from lab.guest.system import Outcome, System
from tests.guest.conftest import Sms

KEY = "ssh-ed25519 AAAA{} {}\n"
MACS = {"sms0": "52:54:00:00:00:01", "sms1": "52:54:00:00:00:02", "c1": "52:54:00:00:00:11"}
MACS |= {"login": "52:54:00:00:00:12", "g1": "52:54:00:00:00:13"}


class Played(System):
    """A system whose commands are played: `ssh-keygen` makes files, others only note that they were run."""

    def __init__(self, root: Path) -> None:
        super().__init__(str(root), uid=0)
        self.commands: list[list[str]] = []
        self.input: dict[str, bytes] = {}
        self.outcomes: dict[str, Outcome] = {}
        self.seconds = 0.0
        self.clock = lambda: self.seconds

    def run(self, command: Any, data: bytes = b"", **_more: Any) -> Outcome:
        words = list(command)
        self.commands.append(words)
        self.input[words[0]] = data
        if words[0] == "ssh-keygen":
            target = words[words.index("-f") + 1]
            Path(target).write_text(f"private {len(self.commands)}\n")
            Path(f"{target}.pub").write_text(KEY.format(len(self.commands), words[words.index("-C") + 1]))
            Path(target).chmod(0o600)
        return self.outcomes.get(words[0], Outcome(0, b"", b""))


def play_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """Our own programs are played as all others are."""
    monkeypatch.setattr(inprocess, "run", lambda system, command, data=b"": system.run(command, data))


def node(name: str, role: str, *cards: dict[str, Any], registered: bool = True) -> dict[str, Any]:
    sizes = {"cpus": 2, "memory": 2048, "disk": 0, "gpus": 0, "tag": "cpu"}
    return {"name": name, "role": role, "registered": registered, "interfaces": list(cards), **sizes}


def card(name: str, network: str, mac: str, address: str | None) -> dict[str, Any]:
    return {"name": name, "network": network, "mac": mac, "address": address}


LAB = {
    "schema": 1,
    "networks": [
        {"name": "internal", "subnet": "172.16.0.0/16"},
        {"name": "external", "subnet": "203.0.113.0/24"},
    ],
    "nodes": [
        node(
            "sms",
            "sms",
            card("eth0", "external", MACS["sms0"], "203.0.113.1"),
            card("eth1", "internal", MACS["sms1"], "172.16.0.1"),
        ),
        node("login", "login", card("eth0", "internal", MACS["login"], "172.16.0.2"), registered=False),
        node("c1", "compute", card("eth0", "internal", MACS["c1"], "172.16.1.1")),
        node("g1", "compute", card("eth0", "internal", MACS["g1"], "172.16.2.1")),
    ],
}


@pytest.fixture
def played(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Played:
    play_ours(monkeypatch)
    system = Played(tmp_path)
    system.write(cluster.FILE, json.dumps(LAB).encode())
    return system


@pytest.fixture
def lab(tmp_path: Path) -> cluster.Description:
    system = System(str(tmp_path / "described"))
    system.write(cluster.FILE, json.dumps(LAB).encode())
    return cluster.read(system)


def mode(system: System, path: str) -> int:
    return stat.S_IMODE(Path(system.path(path)).stat().st_mode)


# the description


def test_description_is_read_as_the_harness_writes_it(lab: cluster.Description) -> None:
    assert lab.sms.boot_card.address == "172.16.0.1"
    assert [found.name for found in lab.stateless] == ["login", "c1", "g1"]
    assert [found.name for found in lab.compute] == ["c1", "g1"]
    assert lab.subnets["internal"].prefixlen == 16


# identity


def test_identity_is_made_once_and_is_for_root_only(played: Played) -> None:
    first = Identity(played)
    secrets = (first.munge_key(), first.jwt_key(), first.passwords(), first.private_key("root"))
    again = Identity(played)
    assert (again.munge_key(), again.jwt_key(), again.passwords(), again.private_key("root")) == secrets
    assert len([words for words in played.commands if words[0] == "ssh-keygen"]) == len(SSH_KEYS)
    for name in ("munge.key", "jwt_hs256.key", "passwords.json"):
        assert mode(played, f"{FOLDER}/{name}") == 0o600
    assert mode(played, f"{FOLDER}/ssh") == 0o700


def test_two_labs_share_no_secret(tmp_path: Path) -> None:
    one, two = (Identity(Played(tmp_path / name)) for name in ("one", "two"))
    assert one.munge_key() != two.munge_key()
    assert one.jwt_key() != two.jwt_key()
    assert not set(one.passwords().values()) & set(two.passwords().values())
    assert len(set(one.passwords().values())) == len(USERS)
    assert len(one.munge_key()) >= 32  # munged(8)


def test_no_secret_stands_in_an_argument_list(played: Played, lab: cluster.Description) -> None:
    identity = Identity(played)
    if os.geteuid() == 0:
        host.install_users(played, identity)
    host.install_keys(played, lab, identity)
    words = " ".join(word for command in played.commands for word in command)
    assert not [password for password in identity.passwords().values() if password in words]


def test_a_key_that_cannot_be_made_is_an_error_with_its_words(tmp_path: Path) -> None:
    system = Played(tmp_path)
    system.outcomes["ssh-keygen"] = Outcome(1, b"", b"no entropy\n")
    with pytest.raises(OSError, match="ssh-keygen: no entropy"):
        Identity(system)


# the machine


def test_cards_get_their_addresses_by_mac(played: Played, lab: cluster.Description) -> None:
    played.write("/sys/class/net/lo/address", b"00:00:00:00:00:00\n")
    played.write("/sys/class/net/ens3/address", (MACS["sms1"] + "\n").encode())
    played.write("/sys/class/net/ens4/address", (MACS["sms0"] + "\n").encode())
    host.raise_network(played, lab, sleep=lambda _seconds: pytest.fail("nothing to wait for"))
    assert ["ip", "addr", "replace", "172.16.0.1/16", "brd", "+", "dev", "ens3"] in played.commands
    assert ["ip", "addr", "replace", "203.0.113.1/24", "brd", "+", "dev", "ens4"] in played.commands


def test_a_cable_plugged_while_the_sms_boots_is_waited_for(played: Played, lab: cluster.Description) -> None:
    played.write("/sys/class/net/eth0/address", (MACS["sms0"] + "\n").encode())

    def sleep(seconds: float) -> None:
        played.seconds += seconds
        if played.seconds > 1:
            played.write("/sys/class/net/eth7/address", (MACS["sms1"] + "\n").encode())

    host.raise_network(played, lab, sleep=sleep)
    assert 1 < played.seconds < 1.2
    assert ["ip", "addr", "replace", "172.16.0.1/16", "brd", "+", "dev", "eth7"] in played.commands


def test_a_cable_that_never_comes_is_not_waited_for_without_end(
    played: Played, lab: cluster.Description
) -> None:
    def sleep(seconds: float) -> None:
        played.seconds += seconds

    host.raise_network(played, lab, sleep=sleep)
    assert played.seconds == pytest.approx(host.CABLE_SECONDS, abs=0.2)


def test_hosts_keep_what_warewulf_and_learners_added(played: Played, lab: cluster.Description) -> None:
    played.write("/etc/hosts", b"127.0.0.1 localhost somewhere\n::1 ip6-localhost\n10.9.8.7 mine\n")
    host.write_hosts(played, lab)
    lines = played.text("/etc/hosts").splitlines()
    assert lines[0] == "127.0.0.1 localhost"
    assert lines[1].split() == ["172.16.0.1", "sms", "sms.localdomain"]
    assert lines[2:] == ["127.0.0.1 localhost somewhere", "::1 ip6-localhost", "10.9.8.7 mine"]
    text = played.text("/etc/hosts")
    host.write_hosts(played, lab)
    assert played.text("/etc/hosts") == text


def test_known_hosts_name_each_machine_by_name_and_address(played: Played, lab: cluster.Description) -> None:
    sms, nodes = host.known_hosts(lab, Identity(played))
    assert sms.split()[0] == "sms,172.16.0.1"
    assert nodes.split()[0] == "login,172.16.0.2,c1,172.16.1.1,g1,172.16.2.1"
    assert sms.split()[1] == nodes.split()[1] == "ssh-ed25519"
    assert sms.split()[2] != nodes.split()[2]
    assert len(sms.split()) == len(nodes.split()) == 3  # no comment: it would name our key files


def test_services_are_configured_and_other_settings_stay(played: Played, lab: cluster.Description) -> None:
    files = Path(host.__file__).parents[1] / "files" / "sms" / "usr" / "share" / "rackling"
    for name in ("dnsmasq.conf", "nginx.conf"):
        played.write(f"{host.TEMPLATES}/{name}", (files / name).read_bytes())
    played.write("/etc/warewulf/provision.conf", b"# kept\nnetwork device = eth9\ndefault = yes\n")
    host.write_services(played, lab)
    assert played.text("/etc/warewulf/provision.conf").splitlines() == [
        "# kept",
        "default = yes",
        "network device = eth1",
        "ip address = 172.16.0.1",
        "ip netmask = 255.255.0.0",
    ]
    for path in ("/etc/rackling/dnsmasq.conf", "/etc/nginx/conf.d/warewulf.conf"):
        text = played.text(path)
        for name in ("card", "address", "subnet", "network", "netmask", "router_network"):
            assert f"${name}" not in text
            assert f"${{{name}}}" not in text
    assert "allow 172.16.0.0/16;" in played.text("/etc/nginx/conf.d/warewulf.conf")


def test_templates_name_only_what_is_filled_in() -> None:
    files = Path(host.__file__).parents[1] / "files" / "sms" / "usr" / "share" / "rackling"
    values = dict.fromkeys(("card", "address", "subnet", "network", "netmask", "router_network"), "x")
    texts = {path.name: string.Template(path.read_text()).substitute(values) for path in files.glob("*.conf")}
    assert sorted(texts) == ["dnsmasq-machines.conf", "dnsmasq.conf", "nginx.conf"]


def test_keys_of_the_sms_are_where_services_look_and_readable_by_nobody_else(
    played: Played, lab: cluster.Description
) -> None:
    identity = Identity(played)
    host.install_keys(played, lab, identity)
    assert played.read("/etc/munge/munge.key") == identity.munge_key()
    for path, wanted in (
        ("/etc/munge/munge.key", 0o400),
        ("/etc/slurm/jwt_hs256.key", 0o400),
        ("/etc/ssh/ssh_host_ed25519_key", 0o600),
        ("/etc/ssh/ssh_host_ed25519_key.pub", 0o644),
        ("/root/.ssh", 0o700),
        ("/root/.ssh/cluster", 0o600),
        ("/root/.ssh/config", 0o600),
        ("/etc/ssh/ssh_known_hosts", 0o644),
    ):
        assert mode(played, path) == wanted, path


def test_the_chroot_is_prepared_again_only_when_the_cluster_changes(
    played: Played, lab: cluster.Description
) -> None:
    identity = Identity(played)
    assert host.prepare_chroot(played, lab, identity) is True
    assert host.prepare_chroot(played, lab, identity) is False
    fewer = cluster.Description(lab.subnets, lab.machines[:-1])
    assert host.prepare_chroot(played, fewer, identity) is True
    for path in ("ssh_host_ed25519_key", "../../root/.ssh/authorized_keys"):
        assert mode(played, f"{host.CHROOT}/etc/ssh/{path}") == 0o600


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_users_get_their_homes_once_and_their_passwords_on_stdin(played: Played) -> None:
    played.write("/etc/skel/.bashrc", b"# skel\n")
    identity = Identity(played)
    host.install_users(played, identity)
    assert played.input["chpasswd"].decode().splitlines() == [
        f"{user}:{identity.passwords()[user]}" for user in USERS
    ]
    assert mode(played, "/etc/rackling/credentials.json") == 0o600
    listed = json.loads(played.text("/etc/rackling/credentials.json"))["users"]
    assert {user["name"]: user["password"] for user in listed} == identity.passwords()
    for number, user in enumerate(USERS):
        for path, wanted in (("", 0o700), ("/.bashrc", 0o644), ("/.ssh", 0o700), ("/.ssh/id_ed25519", 0o600)):
            assert mode(played, f"/home/{user}{path}") == wanted
            assert Path(played.path(f"/home/{user}{path}")).stat().st_uid == host.FIRST_UID + number
    played.write("/home/user1/.bashrc", b"# mine\n")
    played.commands.clear()
    host.install_users(played, identity)
    assert played.text("/home/user1/.bashrc") == "# mine\n"
    assert played.commands == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_passwords_that_are_refused_stop_the_set_up(played: Played) -> None:
    played.outcomes["chpasswd"] = Outcome(1, b"", b"user1: no such user\n")
    with pytest.raises(OSError, match="no such user"):
        host.install_users(played, Identity(played))
    assert not played.exists("/etc/rackling/credentials.json")


# Warewulf


@pytest.fixture
def typed(sms: Sms, monkeypatch: pytest.MonkeyPatch) -> Sms:
    """An SMS with a chroot, a kernel and the files that nodes get, and an empty datastore."""
    kernel = os.uname().release
    for name in ("etc/passwd", "etc/group", "etc/shadow", "etc/munge/munge.key", f"boot/vmlinuz-{kernel}"):
        sms.write(name, f"content of {name}\n")
    sms.write(f"lib/modules/{kernel}/modules.dep", "")
    sms.write("usr/lib/rackling/initramfs/init", "#!/bin/sh\n", 0o755)
    sms.write("bin/busybox", "busybox", 0o755)
    sms.write(f"{host.CHROOT}/sbin/init", "", 0o755)
    monkeypatch.setattr("lab.guest.warewulf.wwsh.signal.signal", lambda *_: None)
    return sms


def test_the_database_is_brought_to_the_handout_by_the_real_programs(
    typed: Sms, lab: cluster.Description
) -> None:
    provisioning.bring_up(typed.system, lab, chroot_changed=True)
    sms, kernel = typed, os.uname().release
    assert provisioning.known_nodes(typed.system) == {"c1", "g1"}  # login is the learner's to register
    assert provisioning.has_bootstrap(typed.system, kernel)
    listed = {line.split()[0] for line in sms.must("file", "list").splitlines() if line.strip()}
    assert listed >= set(provisioning.FILES)
    printed = sms.must("node", "print", "c1") + sms.must("provision", "print", "c1")
    for value in (MACS["c1"], "172.16.1.1", "255.255.0.0", "debian13", kernel, *provisioning.FILES):
        assert value in printed, value
    assert "/etc/network/interfaces.d/eth0" in sms.must("file", "list", "network")
    assert "%{NODENAME}" in sms.read(provisioning.NETWORK_TEMPLATE)


def test_a_second_boot_changes_nothing_and_a_new_node_is_added_beside_a_learners_edits(
    typed: Sms, lab: cluster.Description, monkeypatch: pytest.MonkeyPatch
) -> None:
    fewer = cluster.Description(lab.subnets, lab.machines[:-1])
    provisioning.bring_up(typed.system, fewer, chroot_changed=True)
    typed.must("-y", "node", "set", "c1", "--netdev=eth0", "--ipaddr=172.16.9.9")
    commands: list[str] = []
    really_run = inprocess.run

    def noted(system: System, command: Any, data: bytes = b"") -> Outcome:
        commands.append(" ".join(command))
        return really_run(system, command, data)

    with monkeypatch.context() as patch:
        patch.setattr(inprocess, "run", noted)
        provisioning.bring_up(typed.system, fewer, chroot_changed=False)
    assert commands == ["wwsh bootstrap list -1", "wwsh node list -1"]
    provisioning.bring_up(typed.system, lab, chroot_changed=False)
    assert provisioning.known_nodes(typed.system) == {"c1", "g1"}
    assert "172.16.9.9" in typed.must("node", "print", "c1")


def test_a_node_that_the_learner_deleted_stays_deleted(typed: Sms, lab: cluster.Description) -> None:
    provisioning.bring_up(typed.system, lab, chroot_changed=True)
    typed.must("-y", "node", "delete", "g1")
    provisioning.bring_up(typed.system, lab, chroot_changed=False)
    assert provisioning.known_nodes(typed.system) == {"c1"}


def test_a_program_that_complains_stops_the_set_up_with_its_words(
    typed: Sms, lab: cluster.Description
) -> None:
    typed.path(f"/boot/vmlinuz-{os.uname().release}").unlink()
    with pytest.raises(OSError, match=r"^wwbootstrap "):
        provisioning.bring_up(typed.system, lab, chroot_changed=True)


# the program


def test_the_program_says_that_it_is_ready(played: Played, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[System] = []
    monkeypatch.setattr(program, "_set_up", done.append)
    assert program.main([], played) == 0
    assert done == [played]
    assert json.loads(played.text(program.READY))["result"] == "ok"


@pytest.mark.parametrize("text", ["", "{", "{}", json.dumps({**LAB, "nodes": [{"name": "sms"}]})])
def test_a_description_that_is_none_is_told_where_lab_up_looks(
    played: Played, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    played.write(cluster.FILE, text.encode())
    assert program.main([], played) == 1
    told = json.loads(played.text(program.READY))
    assert told["result"] != "ok"
    assert "Error" in told["result"]
    assert "Traceback" in capsys.readouterr().err


def test_an_error_of_the_set_up_is_told_in_its_own_words(
    played: Played, capsys: pytest.CaptureFixture[str]
) -> None:
    played.write("/sys/class/net/eth0/address", (MACS["sms0"] + "\n").encode())
    played.write("/sys/class/net/eth1/address", (MACS["sms1"] + "\n").encode())
    played.outcomes["ssh-keygen"] = Outcome(1, b"", b"no entropy\n")
    assert program.main([], played) == 1
    assert json.loads(played.text(program.READY))["result"] == "OSError: ssh-keygen: no entropy"
    assert "no entropy" in capsys.readouterr().err


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_slurms_controller_hears_of_new_nodes_after_their_names_are_known(
    played: Played, monkeypatch: pytest.MonkeyPatch
) -> None:
    played.write("/sys/class/net/eth0/address", (MACS["sms0"] + "\n").encode())
    played.write("/sys/class/net/eth1/address", (MACS["sms1"] + "\n").encode())
    for name in ("dnsmasq.conf", "nginx.conf"):
        played.write(f"{host.TEMPLATES}/{name}", b"")
    played.write("/etc/slurm/slurm.conf", b"NodeName=c1 x\nPartitionName=normal Nodes=c1\n")
    assert program.main([], played) == 0
    run = [" ".join(words[:2]) for words in played.commands]
    assert run.index("wwsh -y") < run.index("scontrol reconfigure")
