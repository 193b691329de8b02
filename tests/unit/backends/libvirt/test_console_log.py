"""What a machine's console tells, however its log is rotated, and the program that types into it."""

from __future__ import annotations

import random
import tracemalloc
from pathlib import Path

import pytest

from lab.backends.libvirt import console_log, engine
from lab.backends.libvirt.backend import LibvirtBackend
from lab.backends.libvirt.inspection import LabObject
from lab.errors import LabError
from lab.model import Power
from lab.polling import monotonic

MAC = "52:54:00:f4:8a:7a"
POST = b"\x1bc\x1b[?7lSeaBIOS (version 1.16.2)\r\nMachine UUID b6c40702\r\n"
IPXE = b"iPXE initialising devices...ok\r\nnet0: 52:54:00:f4:8a:7a using virtio-net\r\n"
ASKS = b"Configuring (net0 52:54:00:f4:8a:7a)..."
ANSWERED = b" ok\r\nNext server: 172.16.0.1\r\nFilename: http://172.16.0.1/WW/ipxe/cfg/x\r\n"
NO_FILE = b"http://172.16.0.1/WW/ipxe/cfg/x... No such file or directory (https://ipxe.org/2d0c618e)\r\n"
# As recorded from a machine without an IPv4 answer on a network with an IPv6 router.
ONLY_IPV6 = (
    b".............. ok\r\nnet0: fec0::5054:ff:fef4:8a7a/64 gw fe80::2\r\n"
    b"net0: fe80::5054:ff:fef4:8a7a/64\r\n"
    b"Nothing to boot: No such file or directory (http://ipxe.org/2d03e13b)\r\nNo more network devices\r\n"
)
SCRIPT = (
    b"Now booting c1 with Warewulf bootstrap (6.12)\r\nhttp://172.16.0.1/WW/bootstrap/initfs.gz... ok\r\n"
)
WHOLE = b"Now booting c1 with the active image of compute\r\n"
KERNEL = "http://172.16.0.1/nodeimage/compute/current/kernel"
NO_KERNEL = KERNEL.encode() + b"... No such file or directory (https://ipxe.org/2d0c618e)\r\n"
BRACES = "could not load http://172.16.0.1/nodeimage/compute/current/{0}"


def mark(stage: str, since: int, detail: str = "") -> bytes:
    return f"\x1b]7337;{stage} {since} {detail}\x07".encode()


@pytest.mark.parametrize(
    ("text", "stage", "detail"),
    [
        (b"", "post", ""),
        (POST, "post", ""),
        (POST + IPXE, "pxe", ""),
        (POST + IPXE + ASKS, "pxe", ""),
        (POST + IPXE + ASKS + b".......", "pxe", f"no DHCP answer for {MAC}: registered?"),
        (POST + IPXE + ASKS + b"......." + POST, "pxe", f"no DHCP answer for {MAC}: registered?"),
        (POST + IPXE + ASKS + b"......." + POST + IPXE + ASKS + ANSWERED, "pxe", ""),
        (POST + IPXE + ASKS + ANSWERED, "pxe", ""),
        (POST + IPXE + ASKS + ANSWERED + NO_FILE, "pxe", f"no boot script for {MAC}: bootstrap assigned?"),
        (POST + IPXE + ASKS + ONLY_IPV6, "pxe", f"no DHCP answer for {MAC}: registered?"),
        (POST + IPXE + ASKS + ONLY_IPV6 + POST + IPXE, "pxe", f"no DHCP answer for {MAC}: registered?"),
        (POST + IPXE + ASKS + ONLY_IPV6 + POST + IPXE + ASKS + ANSWERED, "pxe", ""),
        (POST + IPXE + ASKS + ANSWERED + SCRIPT, "bootstrap", ""),
        (POST + IPXE + ASKS + ANSWERED + WHOLE, "bootstrap", ""),
        (POST + IPXE + ASKS + ANSWERED + WHOLE + NO_KERNEL, "pxe", f"could not load {KERNEL}"),
        (POST + IPXE + ASKS + ANSWERED + NO_KERNEL.replace(b"kernel", b"{0}"), "pxe", BRACES),
        (POST + IPXE + SCRIPT + b"\r\nNow Booting Warewulf...\r\n" + mark("network", 100), "network", ""),
        (POST + mark("nodeconfig", 100, "no node object for x"), "nodeconfig", "no node object for x"),
        (POST + mark("getvnfs", 90) + b"\r\n * fetching" + mark("init", 100) + b"login:", "init", ""),
    ],
)
def test_stage_is_the_latest_thing_said(text: bytes, stage: str, detail: str) -> None:
    found = console_log.stage_of("c1", MAC, text, now=130.0)
    assert (found.name, found.power, found.stage, found.detail) == ("c1", Power.ON, stage, detail)
    assert found.since == (30.0 if b"\x1b]7337" in text else None)


def test_what_was_said_before_power_came_on_again_does_not_count() -> None:
    before = POST + IPXE + mark("init", 100)
    assert console_log.stage_of("c1", MAC, before + POST, 200.0).stage == "post"
    assert console_log.stage_of("c1", MAC, before + POST + IPXE, 200.0).stage == "pxe"
    assert console_log.booted_at(before) == "100"
    assert console_log.booted_at(before + POST + IPXE) == ""
    assert console_log.booted_at(before + POST + mark("init", 170)) == "170"


def test_a_console_is_read_over_the_files_it_was_rotated_to(tmp_path: Path) -> None:
    log = tmp_path / "c1.console"
    assert console_log.read(log) == b""
    log.write_bytes(b"newest")
    (tmp_path / "c1.console.0").write_bytes(b"older ")
    (tmp_path / "c1.console.1").write_bytes(b"oldest ")
    assert console_log.read(log) == b"oldest older newest"
    assert console_log.read(log, tail=8) == b"r newest"


def test_a_console_is_read_whole_while_its_files_are_being_moved_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "c1.console"
    older, oldest = tmp_path / "c1.console.0", tmp_path / "c1.console.1"
    log.write_bytes(b"newest")
    oldest.write_bytes(b"older ")
    assert console_log.read(log) == b"older newest"
    log.rename(older)
    assert console_log.read(log) == b"older newest"
    monkeypatch.setattr(console_log, "_files", lambda _log: (older, older, oldest))
    assert console_log.read(log) == b"older newest"


def test_what_is_said_after_power_came_on_amid_a_rotation_counts(tmp_path: Path) -> None:
    log = tmp_path / "c1.console"
    (tmp_path / "c1.console.0").write_bytes(mark("init", 100))
    console_log.note_power_on(log)
    log.write_bytes(POST)
    assert console_log.read_since_power_on(log) == POST


def test_only_what_was_written_since_power_came_on_counts_also_after_a_rotation(tmp_path: Path) -> None:
    log = tmp_path / "c1.console"
    console_log.note_power_on(log)
    assert console_log.read_since_power_on(log) == b""
    log.write_bytes(mark("init", 100))
    assert console_log.read_since_power_on(log) == mark("init", 100)
    console_log.note_power_on(log)
    assert console_log.read_since_power_on(log) == b""
    with log.open("ab") as file:
        file.write(POST)
    assert console_log.read_since_power_on(log) == POST
    log.rename(tmp_path / "c1.console.0")
    log.write_bytes(IPXE)
    assert console_log.read_since_power_on(log) == POST + IPXE


def test_the_sms_serves_when_it_says_so_in_this_boot() -> None:
    assert console_log.serves(POST + mark("init", 100) + console_log.SERVING)
    assert not console_log.serves(POST + console_log.SERVING + POST)


def test_last_lines_are_counted_from_the_end() -> None:
    assert console_log.last_lines(b"a\nb\nc", 2) == b"b\nc"
    assert console_log.last_lines(b"a\nb\n", 0) == b""


def test_following_goes_on_in_the_new_file_when_the_log_is_rotated(tmp_path: Path) -> None:
    log = tmp_path / "c1.console"
    log.write_bytes(b"old\n")

    def write_one() -> None:
        log.write_bytes(b"old\none\n")

    def rotate() -> None:
        log.rename(tmp_path / "c1.console.0")

    def write_two() -> None:
        log.write_bytes(b"two\n")

    steps = iter([write_one, rotate, write_two])

    def moment() -> bool:
        step = next(steps, None)
        if step is not None:
            step()
        return step is not None

    assert b"".join(console_log.follow(log, moment)) == b"one\ntwo\n"


def test_following_loses_nothing_of_a_file_that_was_moved_on_between_two_looks(tmp_path: Path) -> None:
    log = tmp_path / "c1.console"
    log.write_bytes(b"old\n")

    def fill_and_rotate_twice() -> None:
        log.write_bytes(b"old\none\n")
        log.rename(tmp_path / "c1.console.1")
        (tmp_path / "c1.console.0").write_bytes(b"two\n")
        log.write_bytes(b"three\n")

    def write_four() -> None:
        log.write_bytes(b"three\nfour\n")

    steps = iter([fill_and_rotate_twice, write_four])

    def moment() -> bool:
        step = next(steps, None)
        if step is not None:
            step()
        return step is not None

    assert list(console_log.follow(log, moment)) == [b"one\ntwo\nthree\n", b"four\n"]


@pytest.mark.parametrize("uri", [engine.SYSTEM, engine.SESSION])
def test_a_machines_console_is_attached_to_by_virsh(monkeypatch: pytest.MonkeyPatch, uri: str) -> None:
    monkeypatch.setenv("LAB_LIBVIRT_URI", uri)
    monkeypatch.setattr(LibvirtBackend, "_machine", lambda *_: LabObject(None, {}, active=True))
    argv = ["virsh", "-q", "-c", uri, "console", "--force", "rackling-try-c1"]
    assert LibvirtBackend().attach("try", "c1") == argv


def test_a_machine_without_power_has_no_console_to_type_into(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LibvirtBackend, "_machine", lambda *_: LabObject(None, {}, active=False))
    with pytest.raises(LabError) as caught:
        LibvirtBackend().attach("try", "c1")
    assert (caught.value.message, caught.value.hint) == ("c1 is off", "lab power on c1")


# what a hostile machine writes


def test_of_a_console_without_end_the_end_is_read(tmp_path: Path) -> None:
    """Where no logging daemon is used, QEMU writes to the file itself, without a bound."""
    log = tmp_path / "c1.console"
    with log.open("wb") as file:
        file.truncate(1 << 30)
        file.seek(0, 2)
        file.write(POST)
    tracemalloc.start()
    assert console_log.read(log, tail=1 << 30).endswith(POST)
    console_log.note_power_on(log)
    with log.open("ab") as file:
        file.write(IPXE)
    assert console_log.read_since_power_on(log) == IPXE
    waits = iter([True, False])
    with log.open("ab") as file:
        file.write(SCRIPT)
    assert list(console_log.follow(log, lambda: next(waits))) == []
    assert tracemalloc.get_traced_memory()[1] < 4 * console_log.MOST
    tracemalloc.stop()


FLOODS = (
    b"Configuring (net0 ",
    b"No such file ",
    b"Permission denied(http:",
    b"\x1b]7337;",
    b"\x1b]7337;a 1 ",
    b"\x1b]7337;{mac.__class__} 999999999999 {0}\x07",
    b"\x1b]7337;init 000000000000 \x1b[2J\xff\xfe\x07",
    b"SeaBIOS (version\x1b]7338;serving\x07",
    b"Nothing to boot: Not Found{mac!r}(https://ipxe.org",
)


@pytest.mark.parametrize("piece", FLOODS)
def test_whatever_a_machine_writes_its_stage_is_told_at_once(piece: bytes) -> None:
    text = (piece * (console_log.TAIL // len(piece) + 1))[-console_log.TAIL :]
    began = monotonic()
    for number in range(5):
        found = console_log.stage_of("c1", MAC, text[number:], now=0.0)
        assert found.power is Power.ON
        assert len(found.stage) <= 40
        assert len(found.detail) <= 200
        console_log.booted_at(text)
        console_log.serves(text)
    assert monotonic() - began < 10


def test_noise_is_told_as_some_stage() -> None:
    noise = random.Random(20)
    for _ in range(200):
        parts = [noise.choice((noise.randbytes(40), *FLOODS, POST, IPXE)) for _ in range(20)]
        found = console_log.stage_of("c1", MAC, b"".join(parts), now=0.0)
        assert len(found.stage) <= 40
        assert len(found.detail) <= 200
