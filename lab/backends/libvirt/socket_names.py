"""Names of the files of a lab's own switch, in the lab's folder; the switch and the backend both use them."""

from __future__ import annotations

SWITCH, WIRE = "{network}.switch", "{node}.{network}.wire"
LOCK, PID = "switch.lock", "switch.pid"
CARDS = "switch.cards"
"""A line for each card: the name of its socket, and its address in hexadecimal digits."""
