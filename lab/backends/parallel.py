"""Runs the same step for several nodes in parallel."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

_WORKERS = 4  # more do not help: Docker's engine is busy with two already
T = TypeVar("T")


def for_each_parallel(items: Iterable[T], action: Callable[[T], object]) -> None:
    """Runs an action on several items in parallel; raises the first error when all have been tried."""
    with ThreadPoolExecutor(_WORKERS) as pool:
        for done in [pool.submit(action, item) for item in items]:
            done.result()
