"""Runs what waits (an engine, a node, a lock) beside the event loop, in threads that end with the server."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

T = TypeVar("T")


def soon(loop: asyncio.AbstractEventLoop, what: Callable[[], object]) -> None:
    """Has the event loop do something, from any thread; nothing happens once it has ended with the server."""
    with suppress(RuntimeError):
        loop.call_soon_threadsafe(what)


async def in_thread(work: Callable[[], T], name: str = "web") -> T:
    """Returns what `work` returns, or raises what it raises.

    Not `asyncio.to_thread`: Python waits at its end for those threads, and a check may take minutes.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def tell(settle: Callable[[], None]) -> None:
        soon(loop, lambda: None if done.done() else settle())

    def run() -> None:
        try:
            value = work()
        except BaseException as problem:  # noqa: BLE001 - whoever waits gets it
            flaw = problem
            tell(lambda: done.set_exception(flaw))
        else:
            tell(lambda: done.set_result(value))

    threading.Thread(target=run, name=name, daemon=True).start()
    return await done
