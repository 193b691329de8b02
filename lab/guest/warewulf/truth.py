"""Words for yes and no: each of Warewulf's modules understands others."""

from __future__ import annotations

import re

_OFF = ("UNDEF", "FALSE", "NO", "N")
_NUMBER = re.compile(r"\s*([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)")


def enabled(word: str) -> bool | None:
    """The value of `node set --enabled`; UNDEF means the default, true. None for any other word."""
    # Cli/Node.pm takes these words in three spellings only, Node.pm (enabled) in any.
    return {"0": False, "FALSE": False, "1": True, "TRUE": True, "UNDEF": True}.get(word.upper())


def switch(word: str) -> bool:
    """The value of a switch of `provision set`: on for a number but zero, so off for `yes` and `true`."""
    # Cli/Provision.pm compares the word with `== 0`, for which Perl reads the number that it begins with.
    match = _NUMBER.match(word)
    return word.upper() not in _OFF and match is not None and float(match.group(1)) != 0


def seems_on(word: str) -> bool:
    """Whether a person who wrote this word wanted `switch` to be on."""
    return word.upper() in ("TRUE", "YES", "Y", "ON", "ENABLE", "ENABLED")


def ucode(word: str) -> bool | None:
    """The value of --ucode; None for a word that is neither yes nor no. UNDEF is for the caller."""
    # Cli/Provision.pm and Cli/Bootstrap.pm.
    if word.upper() in ("FALSE", "NO", "N", "0"):
        return False
    return True if word.upper() in ("TRUE", "YES", "Y", "1") else None
