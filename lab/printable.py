"""Makes text from a node harmless: nothing in it can steer the terminal that shows it."""

from __future__ import annotations

import re
import unicodedata

_STEERING = ("Cc", "Cf", "Cs", "Zl", "Zp")  # controls, direction marks, lone surrogates, line separators
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_SEQUENCES = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # move the cursor, erase
    r"|\x1b[\]PX^_].*?(?:\x07|\x1b\\)"  # set titles, write to the clipboard
)


def printable(text: str) -> str:
    """Removes escape sequences and control characters; tabs and line ends stay."""
    return "".join(char for char in _SEQUENCES.sub("", text) if char in "\t\n" or not _steers(char))


def escaped(text: str) -> str:
    r"""Shows control characters as escapes such as `\x1b`, line ends included; removes nothing."""
    return "".join(char.encode("unicode_escape").decode("ascii") if _steers(char) else char for char in text)


def console_text(text: str) -> str:
    """Keeps the colours of a console's output, and removes everything else that steers a terminal."""
    parts = _COLOURS.split(text)
    colours = [*_COLOURS.findall(text), ""]
    return "".join(printable(part) + colour for part, colour in zip(parts, colours, strict=True))


def _steers(char: str) -> bool:
    return unicodedata.category(char) in _STEERING
