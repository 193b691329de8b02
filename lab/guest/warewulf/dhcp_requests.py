"""Hears the DHCP requests of machines that have no address yet, whatever the DHCP server does."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterable, Iterator

from lab.guest.warewulf.errors import WarewulfError

ANY = "any"
_IPV4 = 0x0800
_UDP = 17
_SERVER_PORT = 67
_ETHERNET = 14
_REQUEST, _HARDWARE_ETHERNET = 1, 1


def frames(interface: str) -> Iterator[bytes]:
    """Ethernet frames with IPv4 as they arrive, from one card or from any; root only (packet(7))."""
    try:
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_IPV4)) as listener:
            if interface != ANY:
                listener.bind((interface, _IPV4))
            while True:
                yield listener.recv(65535)
    except OSError as error:
        raise WarewulfError(
            f"Cannot listen on {interface}: {error.strerror}\nhint: ip -brief link"
        ) from error


def clients(heard: Iterable[bytes]) -> Iterator[str]:
    """The hardware address of each machine that asks for an address, each once."""
    seen: set[str] = set()
    for frame in heard:
        hwaddr = client(frame)
        if hwaddr is not None and hwaddr not in seen:
            seen.add(hwaddr)
            yield hwaddr


def client(frame: bytes) -> str | None:
    """The hardware address of the machine that a frame is a DHCP request of; None for any other frame.

    The layers are those of RFC 894 (Ethernet), RFC 791 (IP), RFC 768 (UDP) and RFC 2131 (DHCP's fields).
    """
    if len(frame) < _ETHERNET + 20 or struct.unpack("!H", frame[12:14])[0] != _IPV4:
        return None
    packet = frame[_ETHERNET:]
    header = (packet[0] & 15) * 4
    if packet[0] >> 4 != 4 or packet[9] != _UDP or packet[12:16] != bytes(4):
        return None
    datagram = packet[header:]
    message = datagram[8:]
    if len(message) < 34 or struct.unpack("!H", datagram[2:4])[0] != _SERVER_PORT:
        return None
    if message[0] != _REQUEST or message[1] != _HARDWARE_ETHERNET or message[2] != 6:
        return None
    return message[28:34].hex(":")
