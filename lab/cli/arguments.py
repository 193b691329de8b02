"""What click leaves to us: options before the command, readers that go away, terminals without styles."""

from __future__ import annotations

import contextlib
import select
import sys
from collections.abc import Iterator, Mapping, Sequence

OWN = frozenset({"--backend", "--version", "-h", "--help"})
# `lab` must not import its commands, so their options that take a value are repeated; a test compares them.
TAKE_VALUE = frozenset(
    "-l --lab -n -u --user --unit --lines --config --set --timeout --progress --patience --step "
    "--port --release".split()
)


class UnreadError(Exception):
    """Whoever read our output has gone; not an OSError, which click ends with status 1 (core.py, main)."""


@contextlib.contextmanager
def unread_as_error() -> Iterator[None]:
    """Tells a reader that has gone from any other connection that broke."""
    try:
        yield
    except BrokenPipeError as problem:
        if _is_unread():
            raise UnreadError from problem
        raise RuntimeError(f"a connection broke: {problem}") from problem


def command_first(args: Sequence[str]) -> list[str]:
    """Moves options that stand before the command, and are not ours, to right behind it."""
    ours: list[str] = []
    moved: list[str] = []
    rest = list(args)
    while rest and rest[0].startswith("-") and rest[0] not in ("-", "--"):
        word = rest.pop(0)
        name, equals, _ = word.partition("=")
        kept = ours if name in OWN else moved
        kept.append(word)
        if rest and not equals and (name in TAKE_VALUE or name == "--backend"):
            kept.append(rest.pop(0))
    return [*ours, rest[0], *moved, *rest[1:]] if rest else list(args)


def is_plain(environ: Mapping[str, str]) -> bool:
    """Whether the terminal gets text without styles: NO_COLOR is set, or it shows none (TERM=dumb)."""
    return bool(environ.get("NO_COLOR")) or environ.get("TERM") == "dumb"


def _is_unread() -> bool:
    """Whether nobody reads our output or our messages any more (poll(2), POLLERR)."""
    poll = select.poll()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            poll.register(stream.fileno(), 0)
    return any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0))
