"""The base class of all errors that Warewulf's programs report to users."""

from __future__ import annotations


class WarewulfError(Exception):
    """A request failed. The text names the failure; its last line is often a hint with the next command."""
