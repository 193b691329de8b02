"""The SMS's own address on the network that nodes boot from."""

from __future__ import annotations

from dataclasses import dataclass

from lab.guest.system import System
from lab.guest.warewulf import conf
from lab.guest.warewulf.errors import WarewulfError

DEFAULT_DEVICE = "eth1"


class NetworkError(WarewulfError):
    """The boot network is unknown; the text tells users why."""


@dataclass(frozen=True)
class BootNetwork:
    """Address of the SMS on the boot network, and the netmask."""

    address: str
    netmask: str

    def contains(self, address: str) -> bool:
        """Whether an address belongs to the boot network."""
        from ipaddress import IPv4Address, IPv4Network

        try:
            return IPv4Address(address) in IPv4Network(f"{self.address}/{self.netmask}", strict=False)
        except ValueError:
            return False

    @property
    def network(self) -> str:
        """The address of the network itself."""
        from ipaddress import IPv4Network

        return str(IPv4Network(f"{self.address}/{self.netmask}", strict=False).network_address)


def boot_network(system: System) -> BootNetwork:
    """Reads provision.conf; asks the kernel for what the file does not say about the device."""
    settings = conf.read(system, "provision.conf")
    device = settings.one("network device", DEFAULT_DEVICE)
    address, netmask = settings.one("ip address"), settings.one("ip netmask")
    if not address:
        address = _ask_kernel(device, _SIOCGIFADDR)
    if not netmask:
        netmask = _ask_kernel(device, _SIOCGIFNETMASK)
    found = BootNetwork(address, netmask)
    try:
        found.network  # noqa: B018 (raises if the values are not an address and a netmask)
    except ValueError as error:
        raise NetworkError(f"provision.conf: {error}") from error
    return found


_SIOCGIFADDR = 0x8915
_SIOCGIFNETMASK = 0x891B


def _ask_kernel(device: str, request: int) -> str:
    import fcntl
    import socket
    import struct

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
        try:
            answer = fcntl.ioctl(asker, request, struct.pack("256s", device.encode()[:15]))
        except OSError as error:
            raise NetworkError(
                f"No IPv4 address on {device}: {error.strerror}"
                f"\nhint: set 'network device' in {conf.FOLDER}/provision.conf"
            ) from error
    return socket.inet_ntoa(answer[20:24])
