"""Containers of roles: a port each, a name for ssh, and an end when nobody uses them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lab.guest.runner import containers
from lab.guest.runner.places import RunnerError
from lab.guest.system import Outcome, System

TCP = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:0898 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1
   1: 0100007F:0898 0100007F:9C40 01 00000000:00000000 00:00000000 00000000     0        0 2 1
   2: 0100007F:9C40 0100007F:0898 01 00000000:00000000 00:00000000 00000000     0        0 3 1
"""
"""A listener on port 2200, and both ends of one connection to it (proc_net(5))."""


class Played(System):
    """A runner whose commands are noted, and whose clock moves as it sleeps."""

    def __init__(self, root: Path) -> None:
        super().__init__(str(root), uid=0)
        self.commands: list[str] = []
        self.now = 0.0
        self.clock = lambda: self.now
        self.write("/etc/runner/container_key.pub", b"ssh-ed25519 AAAA runner\n")

    def run(self, command: Any, *_more: Any, **_others: Any) -> Outcome:
        self.commands.append(" ".join(command))
        return Outcome(0, b"", b"")

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def played(tmp_path: Path) -> Played:
    for role in ("compute", "login"):
        (tmp_path / "var/lib/nodeimage/roles" / role / "work/root/usr").mkdir(parents=True)
    return Played(tmp_path)


def test_each_role_keeps_a_port_of_its_own(played: Played) -> None:
    assert [containers.offer(played, role) for role in ("compute", "login", "compute")] == [2200, 2201, 2200]
    socket = played.text("/run/systemd/system/node@compute.socket.d/port.conf")
    assert socket == "[Socket]\nListenStream=127.0.0.1:2200\n"
    inside = played.text("/run/runner/compute/ssh.socket.d/port.conf")
    assert inside == "[Socket]\nListenStream=\nListenStream=127.0.0.1:2200\n"
    assert played.text("/run/runner/compute/root.mount.d/ssh.conf") == "[Unit]\nWants=ssh.socket\n"
    assert "Host login\n    HostName 127.0.0.1\n    Port 2201\n" in played.text(
        "/run/runner/login/ssh_config"
    )
    assert played.commands[:2] == ["systemctl daemon-reload", "systemctl start node@compute.socket"]


def test_a_role_without_a_tree_has_no_container(played: Played) -> None:
    with pytest.raises(RunnerError, match="there is no tree of other"):
        containers.offer(played, "other")


@pytest.mark.parametrize("role", ["../compute", "-x", "a b", "Compute", "a%i", ""])
def test_a_name_that_is_no_name_reaches_no_unit(played: Played, role: str) -> None:
    with pytest.raises(RunnerError, match="is no name of a container"):
        containers.offer(played, role)
    with pytest.raises(RunnerError, match="is no name of a container"):
        containers.stop(played, role)
    assert not played.commands


def test_connections_are_those_to_the_port_that_are_established() -> None:
    assert containers.connections(TCP, 2200) == 1
    assert containers.connections(TCP, 2201) == 0
    assert containers.connections("", 2200) == 0


def test_a_container_stops_when_nobody_has_used_it_for_a_while(played: Played) -> None:
    containers.offer(played, "compute")
    played.write("/proc/net/tcp", TCP.encode())

    def sleep(seconds: float) -> None:
        played.sleep(seconds)
        if played.now >= 100:
            played.write("/proc/net/tcp", b"")

    containers.watch(played, "compute", sleep=sleep)
    assert played.commands[-1] == "systemctl --no-block stop node@compute.service"
    assert 100 + containers.IDLE_SECONDS - 2 <= played.now <= 100 + containers.IDLE_SECONDS + 4
