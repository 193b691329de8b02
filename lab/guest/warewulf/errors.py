"""The one base class of what Warewulf's programs report to people."""

from __future__ import annotations


class WarewulfError(Exception):
    """Something cannot be done; the text says what and, on its last line, often what to type."""
