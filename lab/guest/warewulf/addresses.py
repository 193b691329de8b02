"""IPv4 addresses as text: their shape, and counting on from one."""

from __future__ import annotations


def is_address(text: str) -> bool:
    """Whether a text is four numbers below 256 with dots between them."""
    parts = text.split(".")
    return len(parts) == 4 and all(part.isdigit() and part.isascii() and int(part) < 256 for part in parts)


def as_number(address: str) -> int:
    """The address as one number."""
    value = 0
    for part in address.split("."):
        value = value * 256 + int(part)
    return value


def as_address(number: int) -> str:
    """The address of a number."""
    return ".".join(str(number >> shift & 255) for shift in (24, 16, 8, 0))


def counted(address: str, steps: int) -> str:
    """The address that is `steps` after the first; several nodes get consecutive addresses."""
    return as_address((as_number(address) + steps) % 2**32)
