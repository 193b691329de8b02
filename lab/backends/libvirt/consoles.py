"""What machines wrote to their consoles, kept by libvirt's logging daemon: for people, and for stages."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from lab.model import NodeStatus, Power

TAIL = 1 << 18
"""Bytes from the end in which a machine's latest boot is looked for."""
MARK = re.compile(rb"\x1b\]7337;(\S+) (\d+) ?([^\x07]*)\x07")
"""What the boot agent says of its stage (lab/guest/files/initramfs/lib/agent/report.sh)."""
SERVING = b"\x1b]7338;serving\x07"
"""What the SMS says when it answers nodes that boot (lab/guest/files/sms, rackling-serving.service)."""
POWER_ON = re.compile(rb"SeaBIOS \(version")
NO_ANSWER = "no DHCP answer for {mac}: registered?"
NO_SCRIPT = "no boot script for {mac}: bootstrap assigned?"
ASKING = re.compile(rb"iPXE initialising devices")
FIRMWARE = (  # what iPXE has found out, newest wins: stage and detail; each dot is a moment without an answer
    (re.compile(rb"Configuring \(net0[^)]*\)\.{8}|No configuration methods succeeded"), "pxe", NO_ANSWER),
    (re.compile(rb"Filename: "), "pxe", ""),
    (re.compile(rb"(?:Permission denied|No such file|Not Found)[^\n]*\(https?://ipxe.org"), "pxe", NO_SCRIPT),
    (re.compile(rb"Now booting \S+ with Warewulf bootstrap"), "bootstrap", ""),
)  # fmt: skip


def read(log: Path, tail: int = TAIL) -> bytes:
    """The end of what a machine wrote, older parts included where the newest is short."""
    text = b""
    for _, part in _parts(log):
        text = part[-tail:] + text
        if len(text) >= tail:
            break
    return text[-tail:]


def _parts(log: Path) -> Iterator[tuple[int, bytes]]:
    """Inode and text of each file of a log, newest first: the logging daemon moves a full one aside."""
    for path in (log, *(log.with_name(f"{log.name}.{number}") for number in range(3))):
        try:
            with path.open("rb") as file:
                yield os.fstat(file.fileno()).st_ino, file.read()
        except OSError:
            return


def note_power_on(log: Path) -> None:
    """Keeps where the console stood when power came on: what stands before tells nothing of this boot."""
    _before(log).unlink(missing_ok=True)
    _mark_place(log)


def go_back(log: Path, said: Path) -> None:
    """What a machine is put back to has said this since its power came on, and nothing of what followed."""
    if said.exists():
        _before(log).write_bytes(said.read_bytes())
        _mark_place(log)


def _mark_place(log: Path) -> None:
    place = log.stat() if log.exists() else None
    _note(log).write_text(f"{place.st_ino} {place.st_size}" if place else "0 0")


def read_since_power_on(log: Path) -> bytes:
    """What a machine wrote since it got power, or the end of that."""
    note = _note(log)
    inode, _, offset = (note.read_text() if note.exists() else "0 0").partition(" ")
    text = b""
    for number, part in _parts(log):
        here = str(number) == inode
        text = part[int(offset) if here else 0 :] + text
        if here:
            break
    before = _before(log)
    return ((before.read_bytes() if before.exists() else b"") + text)[-TAIL:]


def _before(log: Path) -> Path:
    return log.with_suffix(".before")


def _note(log: Path) -> Path:
    return log.with_suffix(".power")


def stage_of(name: str, mac: str, text: bytes, now: float) -> NodeStatus:
    """How far a machine under power is, from what it wrote since its power came on."""
    latest = _this_boot(text)
    marks = list(MARK.finditer(latest))
    if marks:
        stage, since, detail = (part.decode(errors="replace") for part in marks[-1].groups())
        return NodeStatus(name, Power.ON, stage, detail.strip(), max(0.0, now - float(since)))
    stage, detail = _found_out(text)
    if not stage:
        stage = "pxe" if ASKING.search(latest) else "post"
    return NodeStatus(name, Power.ON, stage, detail.format(mac=mac))


def _found_out(text: bytes) -> tuple[str, str]:
    """Stage and detail of what iPXE said last, in this round or, while it asks anew, in the one before."""
    systems = [match.end() for match in MARK.finditer(text)]
    text = text[systems[-1] :] if systems else text
    found = [
        (match.start(), stage, detail)
        for pattern, stage, detail in FIRMWARE
        for match in pattern.finditer(text)
    ]
    return max(found)[1:] if found else ("", "")


def serves(text: bytes) -> bool:
    """Whether the SMS has said, since its power came on, that it answers nodes."""
    return SERVING in _this_boot(text)


def booted_at(text: bytes) -> str:
    """What tells this boot from all others: when its system was started; "" before that."""
    found = [match for match in MARK.finditer(_this_boot(text)) if match[1] == b"init"]
    return found[-1][2].decode() if found else ""


def _this_boot(text: bytes) -> bytes:
    """What was written since power came on, or since the reset."""
    begins = [match.start() for match in POWER_ON.finditer(text)]
    return text[begins[-1] :] if begins else text


def last_lines(text: bytes, count: int) -> bytes:
    """The last lines."""
    return b"".join(text.splitlines(keepends=True)[-count:]) if count else b""


def follow(log: Path, wait: Callable[[], bool]) -> Iterator[bytes]:
    """Yields what is written from now on; ends when `wait`, which passes a moment, says that it is over.

    The logging daemon starts a new file when one is full: then the new one is read from its beginning.
    """
    place, number = (log.stat().st_size, log.stat().st_ino) if log.exists() else (0, 0)
    while wait():
        try:
            found = log.stat()
        except OSError:
            continue
        if found.st_ino != number or found.st_size < place:
            place, number = 0, found.st_ino
        if found.st_size > place:
            with log.open("rb") as file:
                file.seek(place)
                data = file.read()
            place += len(data)
            yield data
