"""wwnodescan: machines that ask for an address become nodes (provision/bin/wwnodescan of Warewulf 3)."""

from __future__ import annotations

import struct
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from lab.guest.warewulf import dhcp_requests
from lab.guest.warewulf.model import Kind, NetDev, Record
from tests.guest.conftest import NODE

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.guest.conftest import Done, Sms

MACS = [f"52:54:00:00:00:0{number}" for number in range(1, 6)]


def frame(
    mac: str, *, source: bytes = bytes(4), port: int = 67, operation: int = 1, options: int = 0
) -> bytes:
    """A DHCP request as it is on the wire, with so many words of options in its IP header."""
    hwaddr = bytes.fromhex(mac.replace(":", ""))
    message = struct.pack("!BBBB", operation, 1, 6, 0) + bytes(24) + hwaddr.ljust(16, b"\0") + bytes(192)
    datagram = struct.pack("!HHHH", 68, port, 8 + len(message), 0) + message
    header = (
        struct.pack("!BBHIBBH", 0x45 + options, 0, 20 + len(datagram), 0, 64, 17, 0) + source + b"\xff" * 4
    )
    return b"\xff" * 6 + hwaddr + struct.pack("!H", 0x0800) + header + bytes(4 * options) + datagram


@pytest.mark.parametrize(
    ("heard", "hwaddr"),
    [
        (frame(MACS[0]), MACS[0]),
        (frame(MACS[0], options=2), MACS[0]),
        (frame(MACS[0], source=b"\x0a\0\0\1"), None),  # a renewal: the machine has an address already
        (frame(MACS[0], port=68), None),
        (frame(MACS[0], operation=2), None),
        (frame(MACS[0])[:60], None),
        (frame(MACS[0]).replace(b"\x08\0\x45", b"\x08\6\x45"), None),
        (b"", None),
    ],
)
def test_only_requests_of_machines_without_an_address_count(heard: bytes, hwaddr: str | None) -> None:
    assert dhcp_requests.client(heard) == hwaddr


@pytest.fixture
def scan(sms: Sms, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Done]:
    """Runs wwnodescan while five machines ask for addresses, the first two of them twice."""
    heard = [frame(mac) for mac in (MACS[0], MACS[1], MACS[0], MACS[1], *MACS[2:])]
    monkeypatch.setattr(dhcp_requests, "frames", lambda _: iter(heard))

    def run(*words: str) -> Done:
        return sms.run("wwnodescan", *words)

    return run


NEW = ("--ipaddr=172.16.1.1", "--netmask=255.255.0.0")


def test_machines_get_names_and_addresses_in_the_order_in_which_they_ask(
    sms: Sms, scan: Callable[..., Done]
) -> None:
    sms.add(*(Record(kind, {"NAME": "image", "ARCH": "x86_64"}) for kind in (Kind.VNFS, Kind.BOOTSTRAP)))
    done = scan(*NEW, "--vnfs=image", "-b", "image", "-g", "a,b", "--domain=x.y", "c[1-3]")
    assert done.status == 0, done.err
    assert done.out.splitlines()[1:] == [
        f"Added to data store:  c{n}:  172.16.1.{n}/255.255.0.0/{MACS[n - 1]}" for n in (1, 2, 3)
    ]
    found = sms.values("c3")
    assert (found["VNFSID"], found["BOOTSTRAPID"], found["DOMAIN"]) == ("1", "2", "x.y")
    assert (found["GROUPS"], found["eth0.hwaddr"], found["eth0.ipaddr"]) == (
        ("a", "b"),
        (MACS[2],),
        "172.16.1.3",
    )
    assert f"{MACS[2]},set:c3-eth0,172.16.1.3,c3" in sms.read("/etc/warewulf/dnsmasq.hosts")


def test_known_machines_and_taken_addresses_are_skipped(sms: Sms, scan: Callable[..., Done]) -> None:
    known = NetDev("eth0", hwaddr=(MACS[0],), ipaddr="172.16.1.1")
    sms.add(replace(NODE, netdevs=(known,)))
    done = scan(*NEW, "-v", "-n", "eth1", "c9")
    assert "Node is known" in done.out
    assert "WARNING:  Node c1 already uses IP address 172.16.1.1; skipping." in done.err
    assert sms.values("c9")["eth1.ipaddr"] == "172.16.1.2"


def test_an_address_of_a_node_without_a_machine_is_a_case_for_autoconfig(
    sms: Sms, scan: Callable[..., Done]
) -> None:
    sms.add(replace(NODE, netdevs=(NetDev("eth0", ipaddr="172.16.1.1"),)))
    done = scan(*NEW, "c9")
    assert done.status == 1
    assert (
        "Node c1 already uses IP address 172.16.1.1 but with no hardware address.\nhint: wwnodescan"
        in done.err
    )
    done = scan("--autoconfig", "--max")
    assert done.out.splitlines()[1:] == [f"Configured c1.eth0.hwaddr:  {MACS[0]}"]
    assert sms.values()["eth0.hwaddr"] == (MACS[0],)


def test_replace_gives_a_node_another_machine(sms: Sms, scan: Callable[..., Done]) -> None:
    sms.add(NODE)
    done = scan("-r", "c1")
    assert done.out.splitlines()[1:] == [f"Updated c1.eth0.hwaddr:  52:54:00:aa:bb:01 -> {MACS[0]}"]
    assert sms.values()["eth0.ipaddr"] == "172.16.1.1"
    scan("-r", "-i", "172.16.7.7", "c1")
    assert sms.values()["eth0.ipaddr"] == "172.16.7.7"


def test_max_test_and_file(sms: Sms, scan: Callable[..., Done]) -> None:
    assert len(scan(*NEW, "-t", "-x2", "c[1-4]").out.splitlines()) == 3
    assert sms.values("c1") == {}
    done = scan(*NEW, "-f", "/opt/nodes", "-g", "a", "c1")
    assert f"Added to script file:  c1:  172.16.1.1/255.255.0.0/{MACS[0]}" in done.out
    script = sms.path("/opt/nodes")
    assert script.stat().st_mode & 0o777 == 0o755
    assert sms.wwsh(str(script)).status == 0
    assert (sms.values("c1")["eth0.hwaddr"], sms.values("c1")["GROUPS"]) == ((MACS[0],), ("a",))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["c1"], "Starting IP address is required"),
        (["--ipaddr=172.16.1.1", "c1"], "Netmask is required"),
        (["--ipaddr=172.16.1", "--netmask=255.0.0.0", "c1"], "Option 'ipaddr' has invalid characters"),
        ([*NEW, "a.b"], "Nodename 'a.b' contains invalid characters"),
        ([*NEW, "--vnfs=none", "c9"], 'VNFS "none" does not exist'),
        ([*NEW, "--bootstrap=none", "c9"], 'BOOTSTRAP "none" does not exist'),
        ([*NEW, "c1"], "Node c1 already exists"),
        (["-a", "-x"], "Automatic detection of max node count found no unconfigured nodes."),
        (["--frob", "c1"], "Unknown option: frob"),
    ],
)
def test_mistakes(sms: Sms, scan: Callable[..., Done], words: list[str], message: str) -> None:
    sms.add(NODE)
    done = scan(*words)
    assert f"ERROR:  {message}" in done.err
    assert done.status == 1


def test_without_names_it_says_how(scan: Callable[..., Done]) -> None:
    assert scan().out.startswith("USAGE: wwnodescan")
