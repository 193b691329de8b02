"""A program for test_switch.py: a lab's switch with three nodes, in namespaces of its own. Words: open|bound.

`open` leaves out what binds a port to an address, as the switch was once. Prints as JSON who heard what.
"""

from __future__ import annotations

import ctypes
import json
import os
import random
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

SWITCH = Path(__file__).parents[2] / "lab/guest/files/chassis/switch"
NEW_NET = 0x40000000
SPOKEN, FORGED = 0x88B5, 0x88B6  # types for experiments (IEEE 802)
FRAMES = 20_000
EVERYBODY, NOBODY = b"\xff" * 6, bytes.fromhex("02ffffffffff")
MACS = {name: f"02:00:00:00:00:0{number}" for number, name in enumerate(("c1", "c2", "c3"), start=1)}


def until(is_so: Callable[[], bool]) -> None:
    for _ in range(1000):
        if is_so():
            return
        time.sleep(0.01)
    raise TimeoutError


def raw(mac: str) -> bytes:
    return bytes.fromhex(mac.replace(":", ""))


class Node:
    """A network namespace with a cable, and a socket in it that hears what people say."""

    def __init__(self, name: str) -> None:
        self.name, self.mac = name, MACS[name]
        self.process = subprocess.Popen(["unshare", "--net", "sleep", "100"])
        self.space = Path(f"/proc/{self.process.pid}/ns/net")
        own = Path("/proc/self/ns/net").readlink()
        until(lambda: self.space.readlink() != own)

    def listen(self) -> None:
        libc = ctypes.CDLL(None)
        with Path("/proc/self/ns/net").open() as home, self.space.open() as there:
            assert libc.setns(there.fileno(), NEW_NET) == 0
            self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
            self.socket.bind(("eth0", SPOKEN))
            assert libc.setns(home.fileno(), NEW_NET) == 0

    def send(self, target: bytes, text: str, source: bytes = b"", kind: int = SPOKEN) -> None:
        self.socket.send(target + (source or raw(self.mac)) + kind.to_bytes(2, "big") + text.encode())

    def heard(self) -> set[str]:
        found = set()
        while select.select([self.socket], [], [], 0)[0]:
            found.add(self.socket.recv(200)[14:].rstrip(b"\0").decode())
        return found


def switch(state: str, *words: str) -> subprocess.Popen[bytes]:
    script = SWITCH.read_text()
    if state == "open":
        script = script.replace("bind_address() {", "bind_address() { return 0\n")
    environ = os.environ | {"LAB_NETWORKS": "internal"}
    return subprocess.Popen(["sh", "-c", script, "switch", *words], env=environ)


def table() -> int:
    """How many addresses the bridge remembers of what nodes have sent or are."""
    told = subprocess.run(
        ["bridge", "-j", "fdb", "show", "br", "br-internal"], capture_output=True, check=True
    )
    return sum("permanent" not in line.get("state", "") for line in json.loads(told.stdout))


def main(state: str) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "none", "/run"], check=True)
    serving = switch(state)
    until(
        lambda: (
            subprocess.run(["ip", "link", "show", "br-internal"], capture_output=True, check=False).returncode
            == 0
        )
    )
    c1, c2, c3 = nodes = [Node(name) for name in MACS]
    words = [
        word for node in nodes for word in (str(node.process.pid), node.name, "eth0", node.mac, "internal")
    ]
    assert switch(state, "plug", *words).wait() == 0
    try:
        time.sleep(0.5)  # until the ports forward
        for node in nodes:
            node.listen()
        c1.send(EVERYBODY, "to everybody")
        c2.send(EVERYBODY, "to everybody")
        c3.send(EVERYBODY, "to everybody")
        c1.send(raw(c2.mac), "to c2")
        c1.send(NOBODY, "to nobody")
        for _ in range(FRAMES):
            c1.send(NOBODY, "", random.randbytes(5).rjust(6, b"\x02"), FORGED)
        for _ in range(20):
            c1.send(EVERYBODY, "in the name of c2", raw(c2.mac))
        c3.send(raw(c2.mac), "after the theft")
        time.sleep(0.2)
        heard = {node.name: sorted(node.heard()) for node in nodes}
        print(json.dumps({"heard": heard, "remembered": table()}))
    finally:
        for process in (serving, *(node.process for node in nodes)):
            process.send_signal(signal.SIGKILL)


if __name__ == "__main__":
    main(sys.argv[1])
