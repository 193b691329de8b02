"""What machines wrote to their consoles, kept by libvirt's logging daemon: for people, and for stages."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from lab.backends.boot_stage import boot_stage
from lab.model import BOOTED, NodeStatus, Power

Place = tuple[int, int]
"""Inode of one of a log's files, and how many bytes of it stand before."""
NOWHERE: Place = (0, 0)
TAIL = 1 << 18
"""Bytes from the end in which a machine's latest boot is looked for."""
MOST = 1 << 23
"""Bytes from the end that are read of each file: more than the logging daemon keeps in one, if it is used."""
MARK = re.compile(rb"\x1b\]7337;([!-~]{1,40}) (\d{1,12}) ?([^\x00-\x1f]{0,200})\x07")
"""What the boot agent says of its stage (lab/guest/files/initramfs/lib/agent/report.sh)."""
SERVING = b"\x1b]7338;serving\x07"
"""What the SMS says when it answers nodes that boot (lab/guest/files/sms, rackling-serving.service)."""
POWER_ON = re.compile(rb"SeaBIOS \(version")
NO_ANSWER = "no DHCP answer for {mac}: registered?"
NO_SCRIPT = "no boot script for {mac}: bootstrap assigned?"
ASKING = re.compile(rb"iPXE initialising devices")
NO_FILE = re.compile(
    rb"(?<!Nothing to boot: )(?:Permission denied|No such file|Not Found)[^\n]{0,200}\(https?://ipxe.org"
)
NO_LOAD = "could not load {url}"
LOADED = re.compile(rb"(?:https?|tftp)://[!-~]{1,160}?(?=\.\.\.)")
"""What iPXE says it is loading, in front of how that went."""
OF_WAREWULF = b"/WW/ipxe/cfg/"
# What iPXE has found out, newest wins: stage and detail; each dot is a moment without an answer. A card that
# got only an IPv6 address, since the SMS announces itself as a router, counts as configured. iPXE then has
# nothing to boot, because DHCP answers registered nodes only (iPXE, src/usr/autoboot.c, netboot).
FIRMWARE = (
    (re.compile(rb"Configuring \(net0[^)]{,99}\)\.{8}|No configuration methods succeeded"), "pxe", NO_ANSWER),
    (re.compile(rb"Nothing to boot: "), "pxe", NO_ANSWER),
    (re.compile(rb"Filename: "), "pxe", ""),
    (NO_FILE, "pxe", NO_SCRIPT),
    (re.compile(rb"Now booting \S+ with (?:Warewulf bootstrap|the active image of)"), "bootstrap", ""),
)  # fmt: skip


def read(log: Path, tail: int = TAIL) -> bytes:
    """The end of what a machine wrote, older parts included where the newest is short."""
    text = b""
    for _, _, part in _parts(log):
        text = part[-tail:] + text
        if len(text) >= tail:
            break
    return text[-tail:]


def _files(log: Path) -> tuple[Path, ...]:
    """The files of a log, newest first: the logging daemon moves a full one aside."""
    return (log, *(log.with_name(f"{log.name}.{number}") for number in range(3)))


def _parts(log: Path) -> Iterator[tuple[int, int, bytes]]:
    """Of each file of a log, newest first: its inode, how many bytes are passed over, and what follows them.

    While the daemon moves them on, one may be missing for a moment, and another be met twice.
    """
    seen: set[int] = set()
    for path in _files(log):
        with suppress(OSError), path.open("rb") as file:
            inode = os.fstat(file.fileno()).st_ino
            if inode not in seen:
                seen.add(inode)
                over = file.seek(max(0, file.seek(0, os.SEEK_END) - MOST))
                yield inode, over, file.read(MOST)


def _end(log: Path) -> Place:
    """Where a log ends now."""
    for path in _files(log):
        with suppress(OSError):
            found = path.stat()
            return found.st_ino, found.st_size
    return NOWHERE


def _since(log: Path, place: Place) -> tuple[bytes, Place]:
    """What was written after a place, in newer files too, and where that ends."""
    text, end = b"", NOWHERE
    for inode, over, part in _parts(log):
        end = (inode, over + len(part)) if end == NOWHERE else end
        here = inode == place[0]
        known = place[1] - over if here else 0
        text = part[known if 0 <= known <= len(part) else 0 :] + text
        if here:
            break
    return text, end


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
    inode, offset = _end(log)
    _note(log).write_text(f"{inode} {offset}")


def read_since_power_on(log: Path) -> bytes:
    """What a machine wrote since it got power, or the end of that."""
    note = _note(log)
    inode, offset = map(int, (note.read_text() if note.exists() else "").split() or NOWHERE)
    text, _ = _since(log, (inode, offset))
    before = _before(log)
    return ((before.read_bytes() if before.exists() else b"") + text)[-TAIL:]


def _before(log: Path) -> Path:
    return log.with_suffix(".before")


def _note(log: Path) -> Path:
    return log.with_suffix(".power")


def stage_of(name: str, mac: str, text: bytes, now: float) -> NodeStatus:
    """How far a machine under power is, from what it wrote since its power came on."""
    latest = _this_boot(text)
    metadata = list(MARK.finditer(latest))
    if metadata:
        stage, since, detail = (part.decode(errors="replace") for part in metadata[-1].groups())
        return boot_stage(name, Power.ON, now, stage, since, detail)
    stage, detail = _found_out(text)
    if not stage:
        stage = "pxe" if ASKING.search(latest) else "post"
    return NodeStatus(name, Power.ON, stage, detail.format(mac=mac))


def _found_out(text: bytes) -> tuple[str, str]:
    """Stage and detail of what iPXE said last, in this round or, while it asks anew, in the one before."""
    systems = [match.end() for match in MARK.finditer(text)]
    text = text[systems[-1] :] if systems else text
    found = [
        (match.start(), stage, _unloaded(text, match) if pattern is NO_FILE else detail)
        for pattern, stage, detail in FIRMWARE
        for match in pattern.finditer(text)
    ]
    return max(found)[1:] if found else ("", "")


def _unloaded(text: bytes, match: re.Match[bytes]) -> str:
    """What a file that could not be loaded means: no script of Warewulf's, or else that file."""
    line = text[text.rfind(b"\n", 0, match.start()) + 1 : match.start()]
    loaded = LOADED.findall(line)
    if not loaded or OF_WAREWULF in loaded[-1]:
        return NO_SCRIPT
    return NO_LOAD.format(url=loaded[-1].decode().replace("{", "{{").replace("}", "}}"))


def serves(text: bytes) -> bool:
    """Whether the SMS has said, since its power came on, that it answers nodes."""
    return SERVING in _this_boot(text)


def booted_at(text: bytes) -> str:
    """What tells this boot from all others: when its system was started; "" before that."""
    found = [match for match in MARK.finditer(_this_boot(text)) if match[1] == BOOTED.encode()]
    return found[-1][2].decode() if found else ""


def _this_boot(text: bytes) -> bytes:
    """What was written since power came on, or since the reset."""
    begins = [match.start() for match in POWER_ON.finditer(text)]
    return text[begins[-1] :] if begins else text


def last_lines(text: bytes, count: int) -> bytes:
    """The last lines."""
    return b"".join(text.splitlines(keepends=True)[-count:]) if count else b""


def follow(log: Path, wait: Callable[[], bool]) -> Iterator[bytes]:
    """Yields what is written from now on; ends when `wait`, which passes a moment, says that it is over."""
    place = _end(log)
    while wait():
        if _end(log) != place:
            text, place = _since(log, place)
            yield text
