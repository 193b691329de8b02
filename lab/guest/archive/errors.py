"""The errors of packing; each program adds the hint with its own next command."""

from __future__ import annotations


class ArchiveError(Exception):
    """A tree cannot be packed; `path` is the file at fault, relative to the tree, if one is."""

    def __init__(self, text: str, path: str = "") -> None:
        super().__init__(text)
        self.path = path
