"""What root in a node may write wherever a node is heard, and what must never come of it on a terminal."""

from __future__ import annotations

import json
import unicodedata

FORGED = "FORGED"
STRINGS: dict[str, str] = {
    "clears the screen": "\x1b[2J\x1b[H",
    "sets the title": f"\x1b]0;{FORGED}\x07",
    "writes to the clipboard": "\x1b]52;c;Rk9SR0VE\x07",
    "links to a place": f"\x1b]8;;https://node.invalid\x1b\\{FORGED}\x1b]8;;\x1b\\",
    "asks the terminal back": "\x1b[6n\x1b[c\x1bZ\x05",
    "resets the terminal": "\x1bc\x1b(0\x1b#8",
    "C1: CSI": "\x9b2J\x9b31m",
    "C1: OSC": f"\x9d0;{FORGED}\x9c",
    "C1: DCS": f"\x90q{FORGED}\x9c",
    "turns the direction": "\u202eDEGROF\u202c",
    "isolates a direction": f"\u2066{FORGED}\u2069\u200f\u061c",
    "is not seen": f"\u200b\ufeff\u00ad{FORGED}\U000e0041",
    "forges a line": f"\nerror: {FORGED}\nhint: {FORGED}\n@@ready\n@@clock\n9",
    "returns the carriage": f"\r\nready {FORGED}\r{FORGED}",
    "ends a line for Python": f"\x0bhint: {FORGED}\x0c\x1c\x1dhint: {FORGED}\x1e\x1f",
    "ends a line for Unicode": f"\x85hint: {FORGED}\u2028hint: {FORGED}\u2029",
    "steps back": "\x08" * 40 + f"{FORGED}\x7f\x07\x01",
    "is very long": "A" * 1_000_000,
    "is no text": "\udcff\udcc3\udced\udca0\udc80",  # as bytes: no UTF-8, and half a character
    "is markup and shell": f"[bold red]{FORGED}[/] %s {{0}} $(touch {FORGED}) `touch {FORGED}`; --help \\",
}
LONGEST_LINE = 2500
LARGEST = 400_000


def as_bytes(text: str) -> bytes:
    """The text as a node writes it."""
    return text.encode("utf-8", "surrogateescape")


def assert_harmless(shown: str, *, of_node: bool = False, longest: int = LONGEST_LINE) -> None:
    """Nothing steers a terminal; unless it is a node's own output, no line is forged, and none is endless."""
    steering = {char for char in shown if unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp")}
    assert steering <= {"\n", "\t"}, f"{steering!r} in {shown[:2000]!r}"
    assert "error: unexpected" not in shown, shown
    assert "Traceback" not in shown, shown
    if of_node:
        return
    for line in shown.split("\n"):
        assert len(line) <= longest, line[:200]
        assert not line.startswith((f"error: {FORGED}", f"hint: {FORGED}", f"ready {FORGED}")), shown[:2000]
    assert len(shown) <= LARGEST


def assert_json(shown: str) -> None:
    """It is one JSON text that every program can read and pass on."""
    json.dumps(json.loads(shown), ensure_ascii=False, allow_nan=False).encode()
