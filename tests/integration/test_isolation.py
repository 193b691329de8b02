"""Two labs with the same addresses at once; neither reaches the other, the host or the world."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests import leaks
from tests.integration.conftest import Lab

SMALL = ["--set", "g.count=0", "--set", "c.count=1"]


@pytest.fixture(scope="module")
def other(lab: Lab) -> Iterator[Lab]:
    made = Lab(leaks.LABS[1])
    try:
        made.command("up", *SMALL)
        yield made
    finally:
        made.command("down", "-y")


def test_both_have_the_same_addresses_and_work(lab: Lab, other: Lab) -> None:
    for one in (lab, other):
        assert "172.16.0.1/16" in one.on("sms", "ip -o addr")
        assert "172.16.1.1/16" in one.on("c1", "ip -o addr")
    assert other.states() == {"c1": "idle"}
    assert other.on("sms", "cd && srun hostname", user="user1").strip() == "c1"


def test_neither_reaches_the_other(lab: Lab, other: Lab) -> None:
    """A word put on the wire of one, to everybody, is heard there and not in the other."""
    other.on("sms", "ip addr add 172.16.99.1/16 dev eth1")
    try:
        assert "1 received" in other.on("c1", "ping -c 1 -W 2 172.16.99.1")
        assert "0 received" in lab.on("c1", "ping -c 2 -W 1 172.16.99.1", check=False)
    finally:
        other.on("sms", "ip addr del 172.16.99.1/16 dev eth1")


def test_a_node_has_no_way_out(lab: Lab) -> None:
    for node in ("sms", "c1"):
        assert "default" not in lab.on(node, "ip route")
        assert "unreachable" in lab.on(node, "ping -c 1 -W 1 192.0.2.1 2>&1", check=False).lower()
    cards = lab.on("sms", "ls /sys/class/net").split()
    assert sorted(cards) == ["eth0", "eth1", "lo"]


def test_secrets_differ_between_labs(lab: Lab, other: Lab) -> None:
    for command in (
        "md5sum /etc/munge/munge.key",
        "cat /etc/rackling/credentials.json",
        "cat /root/.ssh/cluster",
    ):
        assert lab.on("sms", command) != other.on("sms", command)
