"""Decides what may be shown of a node's text: it steers no terminal, forges no line, and fills no screen."""

from __future__ import annotations

import codecs
import json
import re
import unicodedata

LINE = 400  # characters of a node's text that one line shows
LONG = 1600  # the same for lines of ours, which may hold text of several nodes, and for lines of evidence
LINES = 200  # lines of a node's text that are shown as evidence
PLAIN = "\x1b[0m"
_STEERING = ("Cc", "Cf", "Cs", "Zl", "Zp")  # controls, direction marks, lone surrogates, line separators
_COLOURS = re.compile(r"\x1b\[[0-9;]{0,40}m")
# No part can match what another part begins with: a megabyte of beginnings is searched in a moment.
_SEQUENCES = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # move the cursor, erase
    r"|\x1b[\]PX^_][^\x07\x1b\n]*(?:\x07|\x1b\\)"  # set titles, write to the clipboard
)
_SPLIT = 16  # characters of an escape sequence that a chunk may have cut in two


def steers(char: str) -> bool:
    """Whether a character changes how a terminal shows others, or ends a line for some program."""
    return unicodedata.category(char) in _STEERING


def printable(text: str) -> str:
    """Removes escape sequences and control characters; tabs and line ends stay."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(char for char in _SEQUENCES.sub("", text) if char in "\t\n" or not steers(char))


def printable_line(text: str, longest: int = LINE) -> str:
    """The same in one line of at most so many characters."""
    begin, rest = text[: 4 * longest], text[4 * longest :]
    flat = printable(begin).strip().replace("\n", " ").replace("\t", " ")
    return _cut(flat + ("…" if rest else ""), longest)


def printable_lines(text: str) -> list[str]:
    """The lines of a node's text that may be shown as evidence, long ones and the last of many cut."""
    found = [_cut(line, LONG) for line in printable(text[: LINE * LINES]).split("\n")]
    return found if len(found) <= LINES else [*found[: LINES - 1], "…"]


def escaped(text: str) -> str:
    r"""Shows control characters as escapes such as `\x1b`, line ends included; removes nothing."""
    return "".join(char.encode("unicode_escape").decode("ascii") if steers(char) else char for char in text)


def as_json(value: object, indent: int | None = None) -> str:
    """JSON that harms neither a terminal nor a program: what steers is escaped, and all of it is UTF-8."""
    text = json.dumps(value, indent=indent, ensure_ascii=False)
    return "".join(_json_escape(char) if char > "~" and steers(char) else char for char in text)


def console_text(text: str) -> str:
    """Keeps the colours of a console's output, and removes everything else that steers a terminal."""
    parts = _COLOURS.split(text)
    colours = [*_COLOURS.findall(text), ""]
    return "".join(printable(part) + colour for part, colour in zip(parts, colours))  # noqa: B905 - no such argument in Python 3.9


class ConsoleText:
    """The same for output that comes in chunks of bytes, which may cut a character or a sequence in two."""

    def __init__(self, *, colours: bool = True) -> None:
        self._colours = colours
        self._coloured = False
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._held = ""

    def feed(self, data: bytes, *, final: bool = False) -> str:
        """What may be shown of the next chunk; with `final`, none follows, and no colour stays."""
        text = (self._held + self._decoder.decode(data, final)).replace("\r\n", "\n")
        cut = text.rfind("\x1b")
        whole = final or cut < 0 or len(text) - cut >= _SPLIT or "\n" in text[cut:]
        self._held = "" if whole else text[cut:]
        shown = (console_text if self._colours else printable)(text if whole else text[:cut])
        self._coloured = self._coloured or "\x1b" in shown
        return f"{shown}{PLAIN}" if final and self._coloured else shown


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "…"


def _json_escape(char: str) -> str:
    code = ord(char)
    if unicodedata.category(char) == "Cs":
        return "\\ufffd"  # half a character: many readers of JSON refuse it
    words = (code,) if code < 0x10000 else (0xD7C0 + (code >> 10), 0xDC00 + (code & 0x3FF))
    return "".join(f"\\u{word:04x}" for word in words)
