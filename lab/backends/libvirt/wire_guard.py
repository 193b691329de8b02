"""Keeps machines off this host's own network: closes the bridges of root's labs, and the cards on them.

A bridge is a card of this host's, too. What a machine sends to the bridge's address or to everybody, the host
takes in, for any of its addresses and from any sender (Linux answers for all addresses on every card). So the
bridge drops what would be taken in; what goes from machine to machine does not come by there. Frames for a
switch itself (IEEE 802.1D, 01-80-C2-00-00-0x) are taken in by the machine's card, not by the bridge. So the
card drops them, and all frames with an address that is not the machine's, as the bridge would remember each.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

from lab.backends.libvirt import engine
from lab.backends.libvirt.storage import search_path
from lab.host_speed import measured_limit
from lab.process import run

CARDS = Path("/sys/class/net")
SECONDS = 20
DROP_ALL = "1,6 0 0 2,"
"""Programs of the kernel's packet filter (Documentation/networking/filter.rst), as tc-bpf(8) takes them."""


def of_machine(mac: str) -> str:
    """Drops a frame (2) unless it comes from this address and is not for a switch; else lets it pass (0)."""
    high, low = struct.unpack("!IH", bytes.fromhex(mac.replace(":", "")))
    steps = (
        "32 0 0 6", f"21 0 8 {high}", "40 0 0 10", f"21 0 6 {low}",  # the sender
        "32 0 0 0", f"21 0 3 {0x0180C200}", "40 0 0 4", f"84 0 0 {0xFFF0}", "21 1 0 0",  # the target
        "6 0 0 0", "6 0 0 2",
    )  # fmt: skip
    return f"{len(steps)},{','.join(steps)},"


def close_bridge(bridge: str) -> None:
    """Closes a bridge; one that is closed stays so."""
    _close(bridge, DROP_ALL)


def close_cards(domain: Any) -> None:
    """Closes the cards of a machine that has power; its processors may still stand still."""
    for card, mac in _cards_of(domain.XMLDesc()):
        _close(card, of_machine(mac))


def _cards_of(xml: str) -> Iterable[tuple[str, str]]:
    """This host's name of each of a machine's cards, and its address."""
    for card in ET.fromstring(xml).iterfind("devices/interface"):  # noqa: S314 (libvirt's own)
        target, mac = card.find("target"), card.find("mac")
        if target is not None and mac is not None:
            yield target.get("dev", ""), mac.get("address", "")


def _close(card: str, program: str) -> None:
    """Where the kernel has no such filter, the host's table of routes decides at least about senders."""
    if is_closed(card):
        return
    route = Path("/proc/sys/net/ipv4/conf") / card / "rp_filter"
    if route.exists():
        route.write_text("1")  # ip-sysctl.rst: no sender is right on a card without an address
    _tc("qdisc", "add", "dev", card, "clsact")
    _tc("filter", "add", "dev", card, "ingress", "protocol", "all", "bpf", "da", "bytecode", program)


def is_closed(card: str) -> bool:
    """Whether a bridge or a card has its filter."""
    return "direct-action" in _tc("filter", "show", "dev", card, "ingress")


def open_cards() -> list[str]:
    """The bridges of all labs, and the cards on them, that are not closed."""
    bridges = sorted(CARDS.glob(f"{engine.BRIDGE}*"))
    found = [path.name for bridge in bridges for path in (bridge, *sorted(bridge.glob("brif/*")))]
    return [card for card in found if not is_closed(card)]


def _tc(*words: str) -> str:
    done = run(["tc", *words], timeout=measured_limit(SECONDS), check=False, environ={"PATH": search_path()})
    return done.stdout
