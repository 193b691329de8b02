"""Runs guest programs inside the set-up's process: starting Python takes 2 s on an emulated processor."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from importlib import import_module

from lab.guest.main import PROGRAMS
from lab.guest.system import Outcome, System


def run(system: System, command: Sequence[str], data: bytes = b"") -> Outcome:
    """Runs a guest program in this process as a command line would; returns its status and output."""
    streams = [_stream(data), _stream(), _stream()]
    kept = sys.stdin, sys.stdout, sys.stderr
    sys.stdin, sys.stdout, sys.stderr = streams
    try:
        status = import_module(PROGRAMS[command[0]]).main(list(command[1:]), system)
    finally:
        sys.stdin, sys.stdout, sys.stderr = kept
    return Outcome(status, *(_written(stream) for stream in streams[1:]))


def _stream(content: bytes = b"") -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(content), "utf-8", "surrogateescape")


def _written(stream: io.TextIOWrapper) -> bytes:
    stream.flush()
    found: bytes = stream.buffer.getvalue()  # type: ignore[attr-defined]  # a BytesIO, see _stream
    return found
