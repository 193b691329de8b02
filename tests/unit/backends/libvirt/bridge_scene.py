"""A program: two machines on a bridge, and what reaches whom. Words: open or closed, and an empty folder.

It runs in a network namespace of its own, whose address stands for this host's. It reads and writes the
machines' cards as QEMU does. It prints what happened as JSON.
"""

from __future__ import annotations

import fcntl
import json
import os
import select
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[4]))

from lab.backends.libvirt import wire_guard

OWN, OTHER, FORGED = "52:54:00:00:00:01", "52:54:00:00:00:02", "52:54:00:00:00:99"
BRIDGE, EVERYBODY, SWITCHES = "52:54:00:00:00:f0", "ff:ff:ff:ff:ff:ff", "01:80:c2:00:00:0e"
HOST, NEIGHBOUR, MACHINE, ANY = "192.0.2.2", "192.0.2.9", "172.16.0.5", "0.0.0.0"  # noqa: S104
TUNSETIFF, TAP, NO_HEADER = 0x400454CA, 0x0002, 0x1000  # linux/if_tun.h
IP, ARP, OURS = 0x0800, 0x0806, 0x88B5
PORT = 4567
SILENCE = 0.7  # seconds


class Domain:
    """A machine with one card, as libvirt describes it."""

    def __init__(self, card: str, mac: str) -> None:
        self._text = f"<interface type='network'><mac address='{mac}'/><target dev='{card}'/></interface>"

    def XMLDesc(self) -> str:  # noqa: N802 (libvirt's)
        return f"<domain><devices>{self._text}</devices></domain>"


def ip(words: str) -> None:
    subprocess.run(["ip", *words.split()], check=True)


def setting(path: str, value: str) -> None:
    Path("/proc/sys/net", path).write_text(value)


def make() -> list[int]:
    """The bridge and two cards on it, as libvirt makes them."""
    for name in ("all", "default"):
        setting(f"ipv4/conf/{name}/rp_filter", "0")  # as the kernel has it
    ip("link set lo up")
    ip(f"addr add {HOST}/32 dev lo")
    ip(f"link add rk-test address {BRIDGE} type bridge")
    setting("ipv6/conf/rk-test/disable_ipv6", "1")
    ip("link set rk-test up")
    cards = []
    for name in ("vnet0", "vnet1"):
        cards.append(os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK))
        fcntl.ioctl(cards[-1], TUNSETIFF, struct.pack("16sH22x", name.encode(), TAP | NO_HEADER))
        ip(f"link set {name} master rk-test")
        ip(f"link set {name} up")
    return cards


def close(folder: Path) -> None:
    """As `lab up` does, twice."""
    wire_guard.CARDS = folder  # /sys shows the namespace in which it was mounted
    for name in ("vnet0", "vnet1"):
        (folder / "rk-test" / "brif" / name).mkdir(parents=True)
    assert wire_guard.open_cards() == ["rk-test", "vnet0", "vnet1"]
    for _ in range(2):
        wire_guard.close_bridge("rk-test")
        wire_guard.close_cards(Domain("vnet0", OWN))
        wire_guard.close_cards(Domain("vnet1", OTHER))
    assert wire_guard.open_cards() == []


def address(mac: str) -> bytes:
    return bytes.fromhex(mac.replace(":", ""))


def datagram(source: str, target: str, text: bytes) -> bytes:
    """UDP without a checksum in IP with one."""
    body = struct.pack("!HHHH", 1, PORT, 8 + len(text), 0) + text
    ends = socket.inet_aton(source) + socket.inet_aton(target)
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(body), 1, 0, 64, socket.IPPROTO_UDP, 0) + ends
    total = sum(struct.unpack("!10H", head))
    check = ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF
    return head[:10] + struct.pack("!H", check) + head[12:] + body


def send(card: int, target: str, packet: bytes, kind: int = OURS, sender: str = OWN) -> None:
    os.write(card, address(target) + address(sender) + struct.pack("!H", kind) + packet)


def hears(card: int, mark: bytes) -> bool:
    """Whether a machine gets a frame with this in it."""
    end = time.monotonic() + SILENCE
    while (left := end - time.monotonic()) > 0 and select.select([card], [], [], left)[0]:
        if mark in os.read(card, 2000):
            return True
    return False


def heard_by_host(card: int) -> list[str]:
    """What this host's own sockets get of all that a machine may try."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as host:
        host.bind((ANY, PORT))
        host.settimeout(SILENCE)
        send(card, BRIDGE, datagram(MACHINE, HOST, b"to its address"), IP)
        send(card, BRIDGE, datagram(NEIGHBOUR, HOST, b"in a neighbour's name"), IP)
        send(card, EVERYBODY, datagram(ANY, "255.255.255.255", b"to everybody"), IP)
        send(card, SWITCHES, datagram(NEIGHBOUR, HOST, b"as to a switch"), IP)
        found = []
        try:
            while True:
                found.append(host.recv(100).decode())
        except TimeoutError:
            return sorted(found)


def main(state: str, folder: Path) -> None:
    """Tries everything."""
    one, other = make()
    if state == "closed":
        close(folder)
    found: dict[str, object] = {"host": heard_by_host(one)}
    question = struct.pack("!HHBBH", 1, IP, 6, 4, 1) + address(OWN) + socket.inet_aton(MACHINE)
    send(one, EVERYBODY, question + bytes(6) + socket.inet_aton(HOST), ARP)
    found["host answers"] = hears(one, socket.inet_aton(HOST) + address(OWN))
    send(one, OTHER, b"for the other one")
    found["machine"] = hears(other, b"for the other one")
    send(one, EVERYBODY, b"for all")
    found["all machines"] = hears(other, b"for all")
    send(one, OTHER, b"forged", sender=FORGED)
    found["forged"] = hears(other, b"forged")
    for number in range(3000):
        send(one, EVERYBODY, b"flood", sender=f"52:54:{number >> 8:02x}:{number & 0xFF:02x}:00:99")
    told = subprocess.run(["bridge", "fdb", "show"], capture_output=True, text=True, check=True).stdout
    found["addresses remembered"] = told.count(":00:99 dev vnet0")
    print(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
