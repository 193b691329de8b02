"""A program: the switch of a lab whose owner is not root, and so may make no bridge. Words: FOLDER NETWORK...

A machine's card is a pair of sockets in the lab's folder, which only its owner can enter: the machine sends
from NODE.NETWORK.wire to NETWORK.switch, a frame a datagram (QEMU's `-netdev dgram`). Networks know nothing
of each other. Which address a card has stands in a file, and nothing is learned: a frame with another address
is dropped, one for a card goes there alone, one for everybody to all others, and what nobody takes is lost.
The program goes into the background once it works, and ends with its folder.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import selectors
import socket
import struct
import sys
import time
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[4]))

from lab.backends.libvirt.socket_names import CARDS, LOCK, PID, SWITCH, WIRE

FRAME = 1 << 16
SHORTEST, LONGEST = 14, 9216  # two addresses and a type (IEEE 802.3); what is usual at most
PATIENCE = struct.pack("ll", 0, 20_000)  # 20 ms until a frame is dropped for a machine that is busy
LISTED_FOR = 1.0  # seconds a list of machines is good for
LOOK_EVERY = 5.0  # seconds between two looks whether there still is a lab


class Cards:
    """Which card has which address, by the file that says so; read again when that has changed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read: tuple[int, int] = (0, 0)
        self._address: dict[str, bytes] = {}
        self._place: dict[tuple[str, bytes], str] = {}

    def has(self, place: str, address: bytes) -> bool:
        """Whether the card with this socket has this address."""
        return self._address.get(place) == address or (self._look() and self._address.get(place) == address)

    def with_address(self, network: str, address: bytes) -> str | None:
        """The socket of the card that has this address."""
        return self._place.get((network, address))

    def _look(self) -> bool:
        """Reads the file if it is another one than before."""
        path = self._folder / CARDS
        with contextlib.suppress(OSError, ValueError):
            now = path.stat()
            if self._read == (now.st_ino, now.st_mtime_ns):
                return False
            pairs = [line.split() for line in path.read_text(encoding="utf-8").splitlines()]
            self._address = {str(self._folder / name): bytes.fromhex(mac) for name, mac in pairs}
            self._place = {(place.split(".")[-2], mac): place for place, mac in self._address.items()}
            self._read = (now.st_ino, now.st_mtime_ns)
            return True
        return False


class Network:
    """One network: a socket to which all of its machines send."""

    def __init__(self, folder: Path, name: str, cards: Cards) -> None:
        self._folder = folder
        self._name = name
        self._cards = cards
        self._lines: dict[str, socket.socket] = {}
        self._deaf: set[str] = set()
        self._listed: tuple[float, list[str]] = (0.0, [])
        path = folder / SWITCH.format(network=name)
        path.unlink(missing_ok=True)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path))

    def pass_on(self) -> None:
        """Takes one frame, and gives it to whom it is for."""
        frame, sender = self.socket.recvfrom(FRAME)
        if not SHORTEST <= len(frame) <= LONGEST or not sender:
            return
        target, source = frame[:6], frame[6:12]
        if not self._cards.has(sender, source):
            return
        if target[0] & 1:
            for place in self._others(sender):
                self._give(frame, place)
        elif known := self._cards.with_address(self._name, target):
            self._give(frame, known)

    def _give(self, frame: bytes, place: str) -> None:
        """A machine that did not listen is not waited for again until it does."""
        try:
            self._line(place).sendto(frame, socket.MSG_DONTWAIT if place in self._deaf else 0, place)
            self._deaf.discard(place)
        except BlockingIOError:
            self._deaf.add(place)
        except OSError as problem:
            if problem.errno in (errno.ECONNREFUSED, errno.ENOENT):  # it has no power
                self._forget(place)

    def _line(self, place: str) -> socket.socket:
        """A socket for what goes to one machine: what it has not read yet counts on its sender's buffer."""
        if place not in self._lines:
            line = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            line.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, PATIENCE)
            self._lines[place] = line
        return self._lines[place]

    def _forget(self, place: str) -> None:
        self._deaf.discard(place)
        self._lines.pop(place).close()

    def _wires(self) -> Iterator[Path]:
        return self._folder.glob(WIRE.format(node="*", network=self._name))

    def _others(self, sender: str) -> list[str]:
        now = time.monotonic()
        if now - self._listed[0] > LISTED_FOR:
            self._listed = (now, [str(path) for path in self._wires()])
        return [place for place in self._listed[1] if place != sender]


def main(folder: Path, *names: str) -> int:
    """Becomes the lab's switch, in the background; ends at once when there is one already."""
    with (folder / LOCK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return 0
        cards = Cards(folder)
        networks = [Network(folder, name, cards) for name in names]
        if child := os.fork():
            (folder / PID).write_text(str(child))
            os._exit(0)  # the child has the lock, and whoever called us need not wait
        os.setsid()
        nowhere = os.open(os.devnull, os.O_RDWR)
        for number in range(3):
            os.dup2(nowhere, number)
        serve(folder, networks)
    return 0


def serve(folder: Path, networks: list[Network]) -> None:
    """Passes frames on for as long as the lab's folder is there."""
    ready = selectors.DefaultSelector()
    for network in networks:
        ready.register(network.socket, selectors.EVENT_READ, network)
    looked = time.monotonic()
    while True:
        for key, _ in ready.select(LOOK_EVERY):
            with contextlib.suppress(OSError):
                key.data.pass_on()
        if time.monotonic() - looked > LOOK_EVERY:
            looked = time.monotonic()
            if not (folder / LOCK).exists():
                return


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), *sys.argv[2:]))
