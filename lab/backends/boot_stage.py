"""What a node says of its boot stage, as far as a backend believes it: root there may write anything."""

from __future__ import annotations

import re

from lab.model import NodeStatus, Power
from lab.printable import printable_line

UNREADABLE = "unreadable"
"""The stage of a node that reports no word as its stage."""
_STAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,31}")
_SECONDS = re.compile(r"[0-9]{1,12}")
DETAIL = 200  # characters


def boot_stage(node: str, power: Power, now: float, stage: str, since: str, detail: str) -> NodeStatus:
    """The status of a node that reports a stage, begun at `since`; times in Unix seconds."""
    age = max(0.0, now - float(since)) if _SECONDS.fullmatch(since) else None
    believed = stage if not stage or _STAGE.fullmatch(stage) else UNREADABLE
    return NodeStatus(node, power, believed, printable_line(detail, DETAIL), age)
