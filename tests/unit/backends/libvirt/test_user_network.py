"""The switch of a lab without root: frames reach whom they are for, and stay in their network."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.backends.libvirt import engine, socket_names, user_network
from lab.backends.libvirt.storage import LabFolder
from lab.config.loader import load
from lab.model import ClusterSpec
from lab.polling import monotonic, wait_for

EVERYBODY = b"\xff" * 6
SILENCE = 0.3  # seconds


class Card:
    """A machine's card, as QEMU has it."""

    def __init__(self, folder: LabFolder, node: str, network: str, lab: ClusterSpec | None = None) -> None:
        cards = (lab or spec()).node(node).interfaces
        mac = next(card.mac for card in cards if card.network == network)
        self.mac = bytes.fromhex(mac.replace(":", ""))
        self._switch = str(folder.switch(network))
        self._path = folder.wire(node, network)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(self._path))

    def send(self, target: bytes, text: bytes, source: bytes = b"") -> None:
        self._socket.sendto(target + (source or self.mac) + b"\x08\x00" + text, self._switch)

    def hears(self, text: bytes, size: int = 2000) -> bool:
        """Whether it hears that, perhaps after something else."""
        self._socket.settimeout(5.0)
        while not self._socket.recv(size).endswith(text):
            pass
        return True

    def hears_nothing(self) -> bool:
        self._socket.settimeout(SILENCE)
        try:
            return not self._socket.recv(2000)
        except TimeoutError:
            return True

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[LabFolder]:
    made = LabFolder("try", tmp_path)
    made.path.mkdir(parents=True)
    user_network.start_switch(made, spec())
    yield made
    user_network.stop_switch(made)
    assert not user_network.runs(made.path)


def spec() -> ClusterSpec:
    return load(None, (), {"LAB_BACKEND": "libvirt"}, "try")


@pytest.fixture
def cards(folder: LabFolder) -> Iterator[dict[str, Card]]:
    places = [("sms", "internal"), ("c1", "internal"), ("c2", "internal"), ("outside", "external")]
    made = {node: Card(folder, node, network) for node, network in places}
    yield made
    for card in made.values():
        card.close()


def test_what_is_for_everybody_reaches_all_others_of_its_network(cards: dict[str, Card]) -> None:
    cards["c1"].send(EVERYBODY, b"who is the sms?")
    assert cards["sms"].hears(b"who is the sms?")
    assert cards["c2"].hears(b"who is the sms?")
    assert cards["c1"].hears_nothing()
    assert cards["outside"].hears_nothing()


def test_an_answer_reaches_only_whom_it_is_for(cards: dict[str, Card]) -> None:
    cards["c1"].send(EVERYBODY, b"who is the sms?")
    assert cards["sms"].hears(b"who is the sms?")
    assert cards["c2"].hears(b"who is the sms?")
    cards["sms"].send(cards["c1"].mac, b"I am")
    assert cards["c1"].hears(b"I am")
    assert cards["c2"].hears_nothing()


def test_a_machine_whose_power_was_cut_is_heard_again_later(
    folder: LabFolder, cards: dict[str, Card]
) -> None:
    cards["c1"].send(EVERYBODY, b"1")
    assert cards["sms"].hears(b"1")
    cards["c1"].close()
    cards["sms"].send(cards["c1"].mac, b"are you there?")
    folder.wire("c1", "internal").unlink()  # as QEMU does before it makes one
    cards["c1"] = Card(folder, "c1", "internal")
    cards["c1"].send(EVERYBODY, b"2")
    assert cards["sms"].hears(b"2")
    cards["sms"].send(cards["c1"].mac, b"there you are")
    assert cards["c1"].hears(b"there you are")


def test_nonsense_harms_nobody(folder: LabFolder, cards: dict[str, Card]) -> None:
    nameless = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    nameless.sendto(EVERYBODY * 20, str(folder.switch("internal")))
    nameless.sendto(b"", str(folder.switch("internal")))
    nameless.close()
    cards["c1"].send(EVERYBODY, b"all is well")
    assert cards["sms"].hears(b"all is well")


@pytest.mark.parametrize("size", [0, 1, 5, 13, 14, 1515, 9000, 60000, 100_000])
def test_frames_of_any_size_harm_nobody(folder: LabFolder, cards: dict[str, Card], size: int) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as hostile:
        hostile.bind(str(folder.wire("hostile", "internal")))
        for first in (EVERYBODY, cards["sms"].mac, bytes(6)):
            hostile.sendto((first + os.urandom(size))[:size], str(folder.switch("internal")))
    cards["c1"].send(EVERYBODY, b"all is well")
    assert cards["sms"].hears(b"all is well")


def test_machines_that_do_not_listen_hold_up_the_others_for_a_moment_only(
    folder: LabFolder, cards: dict[str, Card]
) -> None:
    """What they have not read must not take the room of what others get."""
    deaf = [socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) for _ in range(12)]
    for number, card in enumerate(deaf):
        card.bind(str(folder.wire(f"deaf{number}", "internal")))
    began = monotonic()
    for number in range(300):
        mark = b"%d" % number
        cards["c1"].send(EVERYBODY, bytes(9000) + mark)
        assert cards["sms"].hears(mark, 10000)
    assert monotonic() - began < 300 * 12 * 0.020 / 4, "each is waited for once, not at each frame"
    for card in deaf:
        card.close()


def test_a_machine_that_listens_again_is_sent_to_again(folder: LabFolder, cards: dict[str, Card]) -> None:
    for number in range(200):
        cards["c1"].send(EVERYBODY, b"%d" % number)
        assert cards["sms"].hears(b"%d" % number)
    assert cards["c2"].hears(b"3")
    while not cards["c2"].hears_nothing():
        pass
    cards["c1"].send(EVERYBODY, b"once more")
    assert cards["c2"].hears(b"once more")


def test_a_machine_cannot_send_into_another_network(folder: LabFolder, cards: dict[str, Card]) -> None:
    """Whatever it says it is: the switch knows a network by the socket that a frame comes to."""
    cards["c1"].send(cards["outside"].mac, b"over there")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as pretender:
        pretender.bind(str(folder.wire("c9", "external")))
        pretender.sendto(EVERYBODY + cards["outside"].mac + b"\x08\x00forged", str(folder.switch("internal")))
        cards["sms"].send(cards["outside"].mac, b"to the internal network's own")
    assert cards["outside"].hears_nothing()


def test_a_second_start_changes_nothing(folder: LabFolder) -> None:
    before = (folder.path / socket_names.PID).read_text()
    user_network.start_switch(folder, spec())
    assert (folder.path / socket_names.PID).read_text() == before


def test_a_switch_that_died_is_missed_and_started_again(
    folder: LabFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAB_LIBVIRT_URI", engine.SESSION)
    assert not user_network.is_missing(folder)
    before = int((folder.path / socket_names.PID).read_text())
    os.kill(before, 9)
    assert not wait_for(
        lambda: user_network.runs(folder.path), monotonic() + 10, done=lambda still: not still
    )
    assert user_network.is_missing(folder)
    user_network.start_switch(folder, spec())
    assert not user_network.is_missing(folder)
    monkeypatch.setenv("LAB_LIBVIRT_URI", engine.SYSTEM)
    assert not user_network.is_missing(LabFolder("never", folder.path))


def test_none_to_stop_is_fine(tmp_path: Path) -> None:
    user_network.stop_switch(LabFolder("never", tmp_path))
    assert not user_network.runs(tmp_path)


def test_a_machine_is_no_other_one_and_hears_nothing_that_is_for_another(cards: dict[str, Card]) -> None:
    """A switch that learned addresses would be filled by so many, and then send everything to everybody."""
    c1, c2, sms = cards["c1"], cards["c2"], cards["sms"]
    sms.send(EVERYBODY, b"first")
    assert c1.hears(b"first")
    assert c2.hears(b"first")
    for number in range(3000):
        c1.send(EVERYBODY, b"forged", b"\x52" + number.to_bytes(5, "big"))
    c1.send(EVERYBODY, b"in the name of c2", c2.mac)
    c1.send(b"\x52" * 6, b"to nobody")
    sms.send(c2.mac, b"for c2")
    assert c2.hears(b"for c2")
    assert c1.hears_nothing()
    assert c2.hears_nothing()
    assert sms.hears_nothing()


def test_a_machine_that_comes_later_is_heard(folder: LabFolder, cards: dict[str, Card]) -> None:
    """The switch runs on while a lab changes: it learns of new cards when one of them sends."""
    more = load(None, ("c.count=9",), {"LAB_BACKEND": "libvirt"}, "try")
    late = Card(folder, "c9", "internal", more)
    try:
        late.send(EVERYBODY, b"too early")
        user_network.start_switch(folder, more)
        late.send(EVERYBODY, b"here I am")
        assert cards["c1"].hears(b"here I am")
        cards["c1"].send(late.mac, b"welcome")
        assert late.hears(b"welcome")
    finally:
        late.close()


@pytest.mark.parametrize("text", ["", "\n", "c1", "c1 zz", "c1.wire 52", "a b c"])
def test_a_list_of_cards_that_is_damaged_lets_nothing_pass_and_ends_nothing(
    folder: LabFolder, cards: dict[str, Card], text: str
) -> None:
    (folder.path / socket_names.CARDS).write_text(text)
    cards["c1"].send(EVERYBODY, b"lost")
    assert cards["sms"].hears_nothing()
    user_network.start_switch(folder, spec())
    cards["c1"].send(EVERYBODY, b"passed on")
    assert cards["sms"].hears(b"passed on")
