"""Whether a terminal gets styled text; `lab --help` needs this, too, so it imports nothing."""

from __future__ import annotations

from collections.abc import Mapping


def is_plain(environ: Mapping[str, str]) -> bool:
    """Whether the terminal gets text without styles: NO_COLOR is set, or it shows none (TERM=dumb)."""
    return bool(environ.get("NO_COLOR")) or environ.get("TERM") == "dumb"
